"""``POST /webhooks/inbound``: mails to a publication's leaving mailbox, as SendGrid's Inbound Parse posts them.

Who writes there wants to leave. Mail programs write ``unsubscribe:<id>`` in the subject, as the header of every issue
tells them; people forward the mail that they no longer want. The id is the authority, as it is for one click, so the
call needs no signature: whoever has the id could press the button too.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from email import message_from_bytes
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse
from sqlmodel import Session

from newsletter.composition import Service
from newsletter.departures import depart
from newsletter.forwarded_mail import clues_in, clues_in_texts, header_text
from newsletter.web.pages import service_of
from subscribers.leaving import LeavingChannel
from subscribers.roster import find_by_unsubscribe_id


log = structlog.get_logger(__name__)
router = APIRouter()

#: The beginning of a call holds what a person wrote; attachments come last, and are read past.
READ_LIMIT = 1_000_000
_ID = re.compile(r"(?<![\w-])[A-Za-z0-9_-]{22}(?![\w-])", re.ASCII)


async def _call(request: Request) -> bytes:
    """Give a call as a MIME message, as far as it is read; the rest of it is taken in and dropped."""
    body = b""
    async for chunk in request.stream():
        body += chunk[: READ_LIMIT - len(body)]
    return b"Content-Type: " + request.headers.get("content-type", "").encode("latin-1") + b"\r\n\r\n" + body


@router.post("/webhooks/inbound")
def take_mail(
    service: Annotated[Service, Depends(service_of)], call: Annotated[bytes, Depends(_call)]
) -> PlainTextResponse:
    """Unsubscribe whom a mail names. Whatever it holds, the answer is 200: only a failing database wants it again."""
    fields = _fields(call)
    with service.database.reading() as session:
        unsubscribe_id = _meant(session, fields)
    if unsubscribe_id is None:
        # Neither who wrote nor what: a log is no place for a person.
        log.warning("a mail to the leaving mailbox names no subscription", bytes=sum(map(len, fields.values())))
        return PlainTextResponse("nothing to unsubscribe\n")
    with service.database.writing() as session:
        depart(session, unsubscribe_id, LeavingChannel.mailto, live=service.live, now=service.clock())
    return PlainTextResponse("unsubscribed\n")


def _fields(call: bytes) -> Mapping[str, bytes]:
    """Give the fields of a multipart call; none where it is something else. Of two with one name the first counts."""
    fields: dict[str, bytes] = {}
    # The parts of the call itself: what is nested deeper is no field of it.
    for part in _parts(call):
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            fields.setdefault(name, content)
    return fields


def _parts(call: bytes) -> Sequence[Message]:
    try:
        parts = message_from_bytes(call).get_payload()
    except RecursionError:
        return ()
    return [part for part in parts if isinstance(part, Message)] if isinstance(parts, list) else ()


def _meant(session: Session, fields: Mapping[str, bytes]) -> str | None:
    """Find the one subscription that a mail names: in its subject, else by the links of ours in it."""
    raw = fields.get("email", b"")
    subject = _text(fields.get("subject", b"")) or _subject_of(raw)
    if found := _known(session, _ID.findall(subject)):
        return found
    texts = clues_in_texts(_text(fields.get(name, b"")) for name in ("text", "html"))
    return _known(session, (*texts.unsubscribe_ids, *clues_in(raw).unsubscribe_ids))


def _known(session: Session, ids: Iterable[str]) -> str | None:
    """Give the id that a subscription has; nothing where none has one, or several have: who is meant is not known."""
    known = [one for one in dict.fromkeys(ids) if find_by_unsubscribe_id(session, one)]
    return known[0] if len(known) == 1 else None


def _subject_of(raw: bytes) -> str:
    """Read the subject of a whole mail, encoded or not."""
    return header_text(BytesHeaderParser().parsebytes(raw).get("subject", ""))


def _text(content: bytes) -> str:
    """Read a field as text. Ids are ASCII: a charset that was guessed wrong costs nothing."""
    return content.decode("utf-8", "replace")
