"""The inbox: what was delivered, for people to look at. Works on a phone, by keyboard, and without JavaScript."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Annotated, Any

import yaml
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from newsletter.emulator.fates import fates_of
from newsletter.emulator.record import Delivered, Record


#: Our pages load nothing from elsewhere and run nothing; a mail is shown in a frame of its own.
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'; base-uri 'none'"
#: A mail's own page: its styles, its inline pictures, and no script, whoever wrote it.
_MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
)
_PAGE_SIZE = 50
#: RFC 2047 wants encoded words of 75 characters at most, RFC 2045 lines of quoted-printable of 76.
_RAW_POLICY = SMTP.clone(max_line_length=76)
#: An address in a header must stay one line: Python would encode a long List-Unsubscribe, and no program read it.
_LONG_LINES = SMTP.clone(max_line_length=998)
_VIEWS = ("phone", "desktop", "text", "headers", "raw")

router = APIRouter()


@dataclass(frozen=True)
class Pages:
    """The inbox's templates and words."""

    environment: Environment
    words: Mapping[str, Mapping[str, str]]

    def show(self, request: Request, name: str, **values: Any) -> HTMLResponse:
        """Render a page in the language that the request asks for; English where it asks for neither."""
        asked = request.headers.get("accept-language", "").lower().split(",")
        language = next((word.strip()[:2] for word in asked if word.strip()[:2] in self.words), "en")
        html = self.environment.get_template(f"{name}.html.j2").render(
            t=self.words[language], language=language, **values
        )
        return HTMLResponse(html, headers={"Content-Security-Policy": _PAGE_POLICY, "Cache-Control": "no-store"})


def load_pages(folder: Path) -> Pages:
    """Load the inbox's templates."""
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=select_autoescape(["j2"]), undefined=StrictUndefined
    )
    # The C reader, where there is one, is ten times as fast: every start of the emulator waits for it.
    reader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    words = yaml.load((folder / "words.yaml").read_text(encoding="utf-8"), Loader=reader)  # noqa: S506 - safe both
    return Pages(environment, words)


@router.get("/")
def inbox(request: Request, q: Annotated[str, Query(max_length=200)] = "", before: int | None = None) -> Response:
    """List what was delivered, newest first."""
    record: Record = request.app.state.record
    lines = record.lines(q.strip(), before=before, limit=_PAGE_SIZE)
    older = lines[-1].id if len(lines) == _PAGE_SIZE else None
    pages: Pages = request.app.state.pages
    fates = fates_of(request.app.state.feed, [line.id for line in lines])
    return pages.show(
        request, "inbox", lines=lines, fates=fates, q=q, older=older, before=before, counts=record.counts()
    )


@router.get("/messages/{number}")
def message(request: Request, number: int, view: str = "phone") -> Response:
    """Show one message."""
    found = _find(request, number)
    if found is None:
        return PlainTextResponse("There is no such message.\n", 404)
    view = view if view in _VIEWS else _VIEWS[0]
    pages: Pages = request.app.state.pages
    raw = _raw_bytes(found).decode("utf-8", "replace") if view == "raw" else ""
    fate = fates_of(request.app.state.feed, [number])[number]
    return pages.show(
        request, "message", one=found, fate=fate, view=view, views=_VIEWS, raw=raw, headers=_headers(found)
    )


@router.get("/messages/{number}/html")
def message_html(request: Request, number: int) -> Response:
    """Give a message's HTML as a page that can run nothing; links open beside it."""
    found = _find(request, number)
    if found is None:
        return PlainTextResponse("There is no such message.\n", 404)
    html = found.html.replace("<head>", '<head><base target="_blank">', 1)
    return HTMLResponse(html, headers={"Content-Security-Policy": _MAIL_POLICY, "Referrer-Policy": "no-referrer"})


@router.get("/messages/{number}/text")
def message_text(request: Request, number: int) -> Response:
    """Give a message's text part."""
    found = _find(request, number)
    return PlainTextResponse(found.text if found else "There is no such message.\n", 200 if found else 404)


@router.get("/messages/{number}/raw")
def message_raw(request: Request, number: int) -> Response:
    """Give a message as mail programs would get it."""
    found = _find(request, number)
    if found is None:
        return PlainTextResponse("There is no such message.\n", 404)
    disposition = {"Content-Disposition": f'attachment; filename="message-{number}.eml"'}
    return Response(_raw_bytes(found), media_type="message/rfc822", headers=disposition)


def _find(request: Request, number: int) -> Delivered | None:
    record: Record = request.app.state.record
    return record.find(number)


def _headers(one: Delivered) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in _raw(one).items() if not name.lower().startswith("content-")]


def _raw(one: Delivered) -> EmailMessage:
    mail = EmailMessage(policy=_RAW_POLICY)
    mail["From"] = Address(one.sender_name, addr_spec=one.sender)
    mail["To"] = Address(one.to_name, addr_spec=one.to)
    mail["Subject"] = " ".join(one.subject.split())
    mail["Date"] = format_datetime(datetime.fromisoformat(one.accepted_at))
    mail["Message-ID"] = f"<{one.message_id}@local-sendgrid.invalid>"
    if one.reply_to:
        mail["Reply-To"] = one.reply_to
    for name, value in one.headers.items():
        mail[name] = value
    mail.set_content(one.text, cte="quoted-printable")
    if one.html:
        mail.add_alternative(one.html, subtype="html", cte="quoted-printable")
    return mail


def _raw_bytes(one: Delivered) -> bytes:
    mail = _raw(one)
    _, body = mail.as_bytes(policy=_RAW_POLICY).split(b"\r\n\r\n", 1)
    head = b"".join(
        (_LONG_LINES if name.lower().startswith("list-") else _RAW_POLICY).fold_binary(name, value)
        for name, value in mail.items()
    )
    return head + b"\r\n" + body
