"""Lapsing: who asked and never confirmed is forgotten after a time. Called by the clock.

Addresses that nobody confirmed were perhaps never the asker's to give: they are kept for as long as a confirm link
may still be found in a mailbox, and not longer (GDPR, Article 5(1)(e)).
"""

from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, exists, select

from subscribers.actors import Actor
from subscribers.bulk import insert_all
from subscribers.consent_models import ConsentEvent, ConsentKind, OptIn
from subscribers.forgetting import forget
from subscribers.models import Subscription, SubscriptionState
from subscribers.opt_in import close_requests


PENDING_FOR = timedelta(days=30)
CHUNK = 1000


def lapse(session: Session, *, by: Actor, now: datetime) -> int:
    """End up to a thousand subscriptions that waited for their confirmation too long; give how many.

    A person without any other subscription is forgotten; the ledger keeps that somebody asked, and not who.
    """
    overdue = (col(Subscription.state) == SubscriptionState.pending) & (col(Subscription.asked_at) <= now - PENDING_FOR)
    found = select(Subscription).where(overdue).order_by(col(Subscription.id)).limit(CHUNK)
    ending = session.exec(found.with_for_update(skip_locked=True)).all()
    ids = [one.id for one in ending]
    session.execute(
        update(Subscription).where(col(Subscription.id).in_(ids)).values(state=SubscriptionState.lapsed, asked_at=None)
    )
    close_requests(session, [*ids, *_asked_in_vain(session, now)], now=now)
    insert_all(session, ConsentEvent, [_event(one, by, now) for one in ending])
    forget(session, _without_another(session, ids), now=now)
    return len(ids)


def _asked_in_vain(session: Session, now: datetime) -> list[int]:
    """Give those whose request to come back, or for a new address, has waited too long."""
    open_ = col(OptIn.closed_at).is_(None) & col(OptIn.confirmed_at).is_(None)
    found = select(OptIn.subscription_id).where(open_, OptIn.created_at <= now - PENDING_FOR)
    return list(session.exec(found.limit(CHUNK)))


def _event(ending: Subscription, by: Actor, now: datetime) -> dict[str, object]:
    return {
        "publication_id": ending.publication_id,
        "subscriber_id": ending.subscriber_id,
        "subscription_id": ending.id,
        "plan_id": ending.plan_id,
        "kind": ConsentKind.lapsed,
        "at": now,
        "by": str(by),
        "source": "",
        "detail": {},
    }


def _without_another(session: Session, subscription_ids: list[int]) -> list[int]:
    """Give the subscribers of these subscriptions who have no other that has not lapsed."""
    other = aliased(Subscription)
    elsewhere = exists().where(
        col(other.subscriber_id) == col(Subscription.subscriber_id), col(other.state) != SubscriptionState.lapsed
    )
    found = select(Subscription.subscriber_id).where(col(Subscription.id).in_(subscription_ids), ~elsewhere)
    return list(session.exec(found.distinct()))
