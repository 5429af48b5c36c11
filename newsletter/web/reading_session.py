"""The reading session: a signed cookie by which a reader reads the archive with a plan. Only pages under `/issues` ask.

The cookie names a subscription and nothing else; what it may read is looked up each time, so that who left, was
suppressed or erased, or has another plan now, reads what is right now.
"""

from dataclasses import dataclass
from datetime import datetime

from fastapi.responses import Response
from sqlmodel import Session

from newsletter.publications import Publication
from newsletter.signing import LIFETIMES, ExpiredToken, ForgedToken, Purpose
from newsletter.web.pages import Visit
from subscribers.addresses import mask
from subscribers.audience import ExclusionReason, may_mail
from subscribers.errors import UnknownSubscriber
from subscribers.roster import SubscriptionView, find_subscription


@dataclass(frozen=True)
class PresentReader:
    """Somebody who may read with the plan that the subscription has now."""

    subscription: SubscriptionView

    @property
    def masked_address(self) -> str:
        """The address, for its owner's eye."""
        return mask(self.subscription.email)


def present_reader(
    session: Session, publication: Publication, subscription_id: int, *, now: datetime
) -> PresentReader | None:
    """Give the reader of a subscription; nothing where it is not one of this publication that reads with a plan now."""
    try:
        view = find_subscription(session, subscription_id)
    except UnknownSubscriber:
        return None
    row = session.execute(may_mail([subscription_id], now=now)).mappings().one()
    # A pause stops mails, not reading.
    reads = row["exclusion"] in {None, ExclusionReason.paused}
    if not reads or view.publication_id != publication.id:
        return None
    return PresentReader(view)


def signed_in(session: Session, visit: Visit, publication: Publication) -> PresentReader | None:
    """Give the reader whose cookie the request brought, if any."""
    if not (token := visit.request.cookies.get(_name(publication))):
        return None
    return reader_of_token(session, visit, publication, Purpose.reading_session, token)


def reader_of_token(
    session: Session, visit: Visit, publication: Publication, purpose: Purpose, token: str
) -> PresentReader | None:
    """Give the reader whom a token of one subscription names; nothing where it is no such token, or not any more."""
    try:
        (subscription_id,) = visit.service.signer.ids(purpose, token, now=visit.now)
    except (ForgedToken, ExpiredToken):
        return None
    return present_reader(session, publication, subscription_id, now=visit.now)


def begin_session(answer: Response, visit: Visit, publication: Publication, reader: PresentReader) -> None:
    """Set the cookie."""
    service = visit.service
    answer.set_cookie(
        _name(publication),
        service.signer.sign(Purpose.reading_session, reader.subscription.id, at=visit.now),
        max_age=int(LIFETIMES[Purpose.reading_session].total_seconds()),
        path="/issues",
        secure=service.settings.public_url.startswith("https://"),
        httponly=True,
        samesite="lax",
    )


def end_session(answer: Response, publication: Publication) -> None:
    """Take the cookie away."""
    answer.delete_cookie(_name(publication), path="/issues", httponly=True, samesite="lax")


def _name(publication: Publication) -> str:
    return f"reading-{publication.id}"
