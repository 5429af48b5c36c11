"""Pausing: no mail for some weeks, and then again, as the reader wished. Read by ``audience``."""

from datetime import datetime, timedelta

from sqlalchemy import update
from sqlmodel import Session, col

from subscribers.actors import Actor
from subscribers.bulk import rows_changed
from subscribers.consent import Proof, record
from subscribers.consent_models import ConsentKind
from subscribers.errors import RefusedPause
from subscribers.models import Subscription, SubscriptionState
from subscribers.roster import SubscriptionView, find_subscription


#: Longer than a quarter is leaving under another name, and old consent is doubted (email-rules §1.1: reconfirm).
MAX_WEEKS = 12


def pause(session: Session, reader: SubscriptionView, weeks: int, *, by: Actor, now: datetime) -> SubscriptionView:
    """Mail nothing to a confirmed reader for some weeks from now; a new wish takes the place of the last.

    Raises:
        RefusedPause: It is no number of weeks from 1 to 12, or the reader gets nothing anyway.
    """
    if not 1 <= weeks <= MAX_WEEKS:
        raise RefusedPause(f"a pause takes 1 to {MAX_WEEKS} weeks, not {weeks}")
    until = now + timedelta(weeks=weeks)
    if not _set(session, reader.id, until):
        raise RefusedPause("only a confirmed subscription can be paused")
    proof = Proof(ConsentKind.paused, "preferences", {"until": until.isoformat()})
    record(session, reader, proof, by=by, now=now)
    return find_subscription(session, reader.id)


def resume(session: Session, reader: SubscriptionView, *, by: Actor, now: datetime) -> SubscriptionView:
    """End a reader's pause; where there is none, nothing changes."""
    if reader.paused_until and reader.paused_until > now and _set(session, reader.id, None):
        record(session, reader, Proof(ConsentKind.resumed, "preferences"), by=by, now=now)
    return find_subscription(session, reader.id)


def _set(session: Session, subscription_id: int, until: datetime | None) -> bool:
    confirmed = (col(Subscription.id) == subscription_id) & (col(Subscription.state) == SubscriptionState.confirmed)
    return bool(rows_changed(session.execute(update(Subscription).where(confirmed).values(paused_until=until))))
