"""The ledger of consent: what was asked, confirmed, changed and ended, by whom and when. Only ever inserted.

Single events are written here, those of many readers at once in ``enrolment``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session, col, select

from subscribers.actors import Actor
from subscribers.models import ConsentEvent, ConsentKind, Plan
from subscribers.roster import SubscriptionView


@dataclass(frozen=True)
class Proof:
    """What an event proves: its kind, the way it came, and details. It holds no address."""

    kind: ConsentKind
    source: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ConsentView:
    """One event of the ledger as other packages see it."""

    kind: ConsentKind
    at: datetime
    by: str
    source: str
    plan: str
    detail: Mapping[str, str]


def record(session: Session, subscription: SubscriptionView, proof: Proof, *, by: Actor, now: datetime) -> None:
    """Write one event about a subscription, with the plan that the view shows."""
    session.add(
        ConsentEvent(
            publication_id=subscription.publication_id,
            subscriber_id=subscription.subscriber_id,
            subscription_id=subscription.id,
            plan_id=subscription.plan_id,
            kind=proof.kind,
            at=now,
            by=str(by),
            source=proof.source,
            detail=dict(proof.detail),
        )
    )
    session.flush()


def consent_of(session: Session, subscription_id: int) -> list[ConsentView]:
    """Give everything the ledger holds of a subscription, in the order it was written."""
    found = (
        select(ConsentEvent, Plan.code)
        .join(Plan, col(Plan.id) == col(ConsentEvent.plan_id))
        .where(ConsentEvent.subscription_id == subscription_id)
        .order_by(col(ConsentEvent.id))
    )
    return [
        ConsentView(event.kind, event.at, event.by, event.source, plan, dict(event.detail))
        for event, plan in session.exec(found)
    ]
