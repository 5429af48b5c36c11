"""``/read/<token>``: the mail in the browser. GET and HEAD change nothing.

The mail that a reader was sent is shown as it was, from the stored variant, so that also who is on another plan by
now sees that one mail. The link in the mail works for a time; then the page offers to mail another.
"""

import re
from dataclasses import dataclass
from html import escape

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from sqlmodel import Session

from newsletter.delivery.corrections import corrections_after, lines_of
from newsletter.delivery.models import Correction, Mailing, Variant
from newsletter.delivery.published import is_retracted
from newsletter.delivery.replay import variant_sent
from newsletter.delivery.variants import substitutions_of
from newsletter.publications import Publication, publication_by_id
from newsletter.rendering.personalisation import SAMPLE, fill, values_by_tag
from newsletter.signing import ExpiredToken, ForgedToken, Purpose
from newsletter.web.articles import path_of
from newsletter.web.link_mails import ask_for_read_link
from newsletter.web.pages import PAGE_HEADERS, Here, Visit
from newsletter.web.reading_session import present_reader
from newsletter.web.site import home_of, missing
from subscribers.errors import UnknownSubscriber
from subscribers.roster import SubscriptionView, find_subscription


router = APIRouter()

#: The mail's images come from the publication's site; nothing in it runs, and its links open as in any page.
_MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src https: http:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox allow-top-navigation-by-user-activation allow-popups"
)


_BODY = re.compile(r"<body\b[^>]*>", re.IGNORECASE)
_NOTE_STYLE = (
    "margin:0;padding:14px 20px;background:#fff4d6;color:#3d2f00;border-bottom:1px solid #d9b84a;"
    "font:15px/1.6 -apple-system,'PingFang SC','Microsoft YaHei',sans-serif"
)


@dataclass(frozen=True)
class _Sent:
    """What a token names, as the store has it now: a mail that was sent to somebody who is still there."""

    reader: SubscriptionView
    mailing: Mailing
    variant: Variant
    publication: Publication
    is_retracted: bool
    corrections: tuple[Correction, ...]


@router.api_route("/read/{token}", methods=["GET", "HEAD"])
def read(visit: Here, token: str) -> Response:
    """Show the mail that this reader was sent."""
    ids, is_fresh = _ids(visit, token)
    with visit.service.database.reading() as session:
        sent = _sent(session, *ids) if ids else None
    if sent is None or sent.is_retracted:
        return _gone(visit, sent)
    if not is_fresh:
        return _again(visit, sent, "expired", status=410)
    values = visit.service.letterhead.values(sent.reader, sent.reader.id, sent.mailing)
    headers = PAGE_HEADERS | {"Content-Security-Policy": _MAIL_POLICY}
    mail = fill(sent.variant.html, values_by_tag(substitutions_of(sent.variant), values))
    return HTMLResponse(_with_notes(mail, _lines(visit, sent)), headers=headers)


@router.post("/read/{token}")
def ask_again(visit: Here, token: str) -> Response:
    """Mail a fresh link to the reader whose link this was."""
    ids, _ = _ids(visit, token)
    with visit.service.database.writing() as session:
        sent = _sent(session, *ids) if ids else None
        if sent is None or sent.is_retracted:
            return _gone(visit, sent)
        # Whoever left or was suppressed gets no mail any more; the answer tells nobody.
        if present_reader(session, sent.publication, sent.reader.id, now=visit.now):
            ask_for_read_link(session, visit, sent.reader, sent.mailing.id, _title(sent.variant))
    return _again(visit, sent, "mailed")


def _ids(visit: Visit, token: str) -> tuple[tuple[int, ...], bool]:
    """Read a token: the subscription and the mailing it names, or nothing; and whether it still works."""
    try:
        return visit.service.signer.ids(Purpose.read, token, now=visit.now), True
    except ExpiredToken as expired:
        return expired.ids, False
    except ForgedToken:
        return (), False


def _sent(session: Session, subscription_id: int, mailing_id: int) -> _Sent | None:
    try:
        reader = find_subscription(session, subscription_id)
    except UnknownSubscriber:
        return None
    if (found := variant_sent(session, reader, mailing_id)) is None:
        return None
    variant, mailing = found
    publication = publication_by_id(session, reader.publication_id)
    retracted = is_retracted(session, mailing.issue_id, publication.id)
    later = tuple(corrections_after(session, mailing.revision_id))
    return _Sent(reader, mailing, variant, publication, retracted, later)


def _lines(visit: Visit, sent: _Sent) -> tuple[str, ...]:
    words = visit.service.workshop.theme.words_for(sent.publication.locale)["correction"]
    return lines_of(sent.corrections, sent.publication, str(words))


def _with_notes(mail: str, lines: tuple[str, ...]) -> str:
    """Say what was corrected since above the mail, which itself stays what was sent, to the byte."""
    if not lines:
        return mail
    notes = "".join(f'<p role="note" style="{_NOTE_STYLE}">{escape(line)}</p>' for line in lines)
    body = _BODY.search(mail)
    place = body.end() if body else 0
    return f"{mail[:place]}{notes}{mail[place:]}"


def _title(variant: Variant) -> str:
    """Give the mail's subject as everybody sees it: the outbox keeps neither a reader's name nor any address."""
    subject = fill(variant.subject, values_by_tag(substitutions_of(variant), SAMPLE))
    return subject.replace("@", "\N{FULLWIDTH COMMERCIAL AT}")


def _again(visit: Visit, sent: _Sent, state: str, *, status: int = 200) -> Response:
    public = path_of(sent.publication, sent.mailing.issue_id)
    return visit.show("read_again", status=status, state=state, public=public)


def _gone(visit: Visit, sent: _Sent | None) -> Response:
    if sent is None:
        return missing(visit, "gone")
    return missing(visit, "retracted", status=410, archive=home_of(sent.publication))
