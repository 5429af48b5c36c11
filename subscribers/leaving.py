"""Leaving: a reader's way out, by link, mail client, or an operator's hand. After delivery, and for ever.

Leaving ends the one subscription that the id names, and needs no suppression: the address may come back by its own
sign-up, and may stay in other publications. What must never be mailed again is ``suppression``.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import update
from sqlmodel import Session, col

from subscribers.actors import Actor
from subscribers.addresses import mask
from subscribers.bulk import rows_changed
from subscribers.consent import Proof, record
from subscribers.consent_models import ConsentKind
from subscribers.models import Subscription, SubscriptionState
from subscribers.roster import SubscriptionView, find_by_address, find_by_unsubscribe_id, find_subscription


class LeavingChannel(StrEnum):
    """The way a reader left, kept in the ledger of consent."""

    one_click = "one_click"
    page = "page"
    mailto = "mailto"
    complaint = "complaint"
    provider = "provider"
    operator = "operator"


@dataclass(frozen=True)
class Departure:
    """What leaving did: the subscription that has ended, and since when.

    ``is_new`` is true only for the one call that ended it; for all later ones it had ended already.
    """

    subscription_id: int
    subscriber_id: int
    publication_id: int
    masked_address: str
    locale: str
    left_at: datetime
    is_new: bool


def leave(
    session: Session, unsubscribe_id: str, *, channel: LeavingChannel, by: Actor, now: datetime
) -> Departure | None:
    """End the subscription that an unsubscribe id names; a second time is fine, and recorded once.

    Returns:
        What was done, or nothing where the id is unknown.
    """
    if (view := find_by_unsubscribe_id(session, unsubscribe_id)) is None:
        return None
    return _end(session, view, channel, by=by, now=now)


def leave_by_address(session: Session, publication_id: int, address: str, *, by: Actor, now: datetime) -> Departure:
    """End somebody's subscription to a publication, where an operator was asked to.

    Raises:
        InvalidAddress: What was typed is no address.
        UnknownSubscriber: Nobody of this address is in the publication.
    """
    view = find_by_address(session, publication_id, address)
    return _end(session, view, LeavingChannel.operator, by=by, now=now)


def _end(session: Session, view: SubscriptionView, channel: LeavingChannel, *, by: Actor, now: datetime) -> Departure:
    still_in = (col(Subscription.id) == view.id) & (col(Subscription.state) != SubscriptionState.left)
    ended = update(Subscription).where(still_in).values(state=SubscriptionState.left, left_at=now)
    is_new = bool(rows_changed(session.execute(ended)))
    if is_new:
        record(session, view, Proof(ConsentKind.left, channel, {"from": view.state}), by=by, now=now)
    after = find_subscription(session, view.id)
    return Departure(
        subscription_id=after.id,
        subscriber_id=after.subscriber_id,
        publication_id=after.publication_id,
        masked_address=mask(after.email),
        locale=after.locale,
        left_at=after.left_at or now,
        is_new=is_new,
    )
