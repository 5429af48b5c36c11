"""Leaving: a reader's way out, by link, mail program, or an operator's hand; and back again. After delivery, for ever.

Leaving ends the one subscription that the id names, and needs no suppression: the address may come back by its own
sign-up, and may stay in other publications. What must never be mailed again is ``suppression``.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import update
from sqlmodel import Session, col, select

from subscribers.actors import Actor
from subscribers.addresses import mask
from subscribers.bulk import rows_changed
from subscribers.consent import ConsentView, Proof, consent_of, record
from subscribers.consent_models import ConsentKind
from subscribers.errors import NewPepper, OtherPepper
from subscribers.hashing import AddressHasher
from subscribers.models import Subscription, SubscriptionState, SuppressionReason
from subscribers.opt_in import READER_CAN_LIFT, close_requests
from subscribers.roster import SubscriptionView, find_by_address, find_by_unsubscribe_id, find_subscription
from subscribers.suppression import SuppressionOrder, add, lift_own, reasons_against


#: For so long a departure can be taken back with one click. After it coming back is a sign-up, which asks again.
UNDO_WITHIN = timedelta(hours=24)


class LeavingChannel(StrEnum):
    """The way a reader left, kept in the ledger of consent."""

    one_click = "one_click"
    page = "page"
    mailto = "mailto"
    complaint = "complaint"
    provider = "provider"
    operator = "operator"
    erasure = "erasure"


class LeavingReason(StrEnum):
    """Why a reader left, chosen from these: in words of their own people write what they should not."""

    too_many = "too_many"
    not_relevant = "not_relevant"
    never_asked = "never_asked"
    hard_to_read = "hard_to_read"
    read_elsewhere = "read_elsewhere"
    other = "other"


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


def leave_everything(
    session: Session, unsubscribe_id: str, *, hasher: AddressHasher, by: Actor, now: datetime
) -> Departure | None:
    """End all that a person reads here, and keep the address from being imported into anything else.

    Where a pepper is lost the address cannot be kept from imports; all that the person reads ends nevertheless.

    Returns:
        What was done to the subscription that the id names, or nothing where the id is unknown.
    """
    if (view := find_by_unsubscribe_id(session, unsubscribe_id)) is None:
        return None
    for other in _others(session, view):
        _end(session, other, LeavingChannel.page, by=by, now=now)
    if view.email:
        order = SuppressionOrder(view.email, SuppressionReason.unsubscribed, origin="left everything")
        with suppress(OtherPepper, NewPepper):
            add(session, order, hasher=hasher, by=by, now=now)
    return _end(session, view, LeavingChannel.page, by=by, now=now)


def leave_by_provider(
    session: Session, subscription_id: int, channel: LeavingChannel, *, by: Actor, now: datetime
) -> bool:
    """End a subscription because the mail provider says its reader wants no more; tell whether it still stood."""
    return _end(session, find_subscription(session, subscription_id), channel, by=by, now=now).is_new


def restore(session: Session, subscription_id: int, channel: LeavingChannel, *, by: Actor, now: datetime) -> bool:
    """Let a subscription stand again as before a departure that was none, if that is how it ended; tell whether so."""
    view = find_subscription(session, subscription_id)
    if view.state is not SubscriptionState.left:
        return False
    last = _last_departure(session, view.id)
    if last.source != channel:
        return False
    before = SubscriptionState(last.detail["from"])
    left = (col(Subscription.id) == view.id) & (col(Subscription.state) == SubscriptionState.left)
    session.execute(update(Subscription).where(left).values(state=before, left_at=None))
    record(session, view, Proof(ConsentKind.returned, "operator", {"to": before}), by=by, now=now)
    return True


def leave_by_erasure(session: Session, subscriber_id: int, *, by: Actor, now: datetime) -> int:
    """End everything of a person who is about to be forgotten; tell how many subscriptions this ended."""
    found = select(Subscription.id).where(Subscription.subscriber_id == subscriber_id).order_by(col(Subscription.id))
    views = [find_subscription(session, one) for one in session.exec(found)]
    return sum(_end(session, view, LeavingChannel.erasure, by=by, now=now).is_new for view in views)


def reads_more(session: Session, view: SubscriptionView) -> bool:
    """Tell whether the person still gets, or waits for, anything else here."""
    return any(one.state is not SubscriptionState.left for one in _others(session, view))


def can_undo(session: Session, view: SubscriptionView, *, hasher: AddressHasher, now: datetime) -> bool:
    """Tell whether a reader may take the last departure back with one click: an own one, of the last 24 hours."""
    if view.state is not SubscriptionState.left or not view.email or not view.left_at:
        return False
    last = _last_departure(session, view.id)
    # Who had only asked has lost nothing by leaving that signing up again would not give.
    was_reading = last.detail.get("from") == SubscriptionState.confirmed
    if now - view.left_at > UNDO_WITHIN or last.source not in OWN_CHANNELS or not was_reading:
        return False
    try:
        reasons = reasons_against(session, view.publication_id, view.email, hasher=hasher)
    except (OtherPepper, NewPepper):
        # The way out works whatever the installation has lost; the way back waits until it is found.
        return False
    return not set(reasons) - READER_CAN_LIFT


def undo(
    session: Session, unsubscribe_id: str, *, hasher: AddressHasher, by: Actor, now: datetime
) -> SubscriptionView | None:
    """Take a departure back: this subscription stands again as it stood before. Others that ended with it do not.

    Returns:
        The subscription, or nothing where there is nothing to take back any more.
    """
    view = find_by_unsubscribe_id(session, unsubscribe_id)
    if view is None or not can_undo(session, view, hasher=hasher, now=now):
        return None
    left = (col(Subscription.id) == view.id) & (col(Subscription.state) == SubscriptionState.left)
    values = {"state": SubscriptionState.confirmed, "left_at": None}
    if rows_changed(session.execute(update(Subscription).where(left).values(**values))):
        lift_own(session, view.publication_id, view.email, READER_CAN_LIFT, hasher=hasher, by=by, now=now)
        record(session, view, Proof(ConsentKind.returned, "page", {"to": "confirmed"}), by=by, now=now)
    return find_subscription(session, view.id)


def give_reason(session: Session, unsubscribe_id: str, reason: LeavingReason, *, by: Actor, now: datetime) -> bool:
    """Keep why a reader left; tell whether there was a departure. The same one twice is kept once."""
    view = find_by_unsubscribe_id(session, unsubscribe_id)
    if view is None or view.state is not SubscriptionState.left:
        return False
    last = consent_of(session, view.id)[-1]
    if (last.kind, last.detail.get("reason")) != (ConsentKind.reason_given, reason):
        record(session, view, Proof(ConsentKind.reason_given, "page", {"reason": reason}), by=by, now=now)
    return True


#: The ways out that only the reader's own hand takes, so that the same hand may take them back.
OWN_CHANNELS = frozenset({LeavingChannel.page, LeavingChannel.one_click, LeavingChannel.mailto})


#: Where there is nothing to leave any more.
_OUT = (SubscriptionState.left, SubscriptionState.lapsed)


def _last_departure(session: Session, subscription_id: int) -> ConsentView:
    return next(one for one in reversed(consent_of(session, subscription_id)) if one.kind is ConsentKind.left)


def _others(session: Session, view: SubscriptionView) -> list[SubscriptionView]:
    found = select(Subscription.id).where(
        Subscription.subscriber_id == view.subscriber_id,
        Subscription.id != view.id,
        Subscription.state != SubscriptionState.lapsed,
    )
    return [find_subscription(session, one) for one in session.exec(found.order_by(col(Subscription.id)))]


def _end(session: Session, view: SubscriptionView, channel: LeavingChannel, *, by: Actor, now: datetime) -> Departure:
    still_in = (col(Subscription.id) == view.id) & col(Subscription.state).not_in(_OUT)
    ended = update(Subscription).where(still_in).values(state=SubscriptionState.left, left_at=now, asked_at=None)
    is_new = bool(rows_changed(session.execute(ended)))
    # Also of who had left: a link in a mail that waits in some folder must not bring anybody back.
    close_requests(session, [view.id], now=now)
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
