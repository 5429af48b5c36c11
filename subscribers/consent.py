"""The ledger of consent: what was asked, confirmed, changed and ended, by whom and when. Only ever inserted.

Single events are written here, those of many readers at once in ``enrolment``. What proves an event and is personal
(the address as typed, IP, browser) goes into a row of its own, which ``forgetting`` empties.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import Session, col, select

from subscribers.actors import Actor
from subscribers.consent_models import ConsentEvent, ConsentEvidence, ConsentKind
from subscribers.models import Plan
from subscribers.roster import SubscriptionView


@dataclass(frozen=True)
class Evidence:
    """The personal part of a proof: the address as it was typed, or before a change, and who connected."""

    address_typed: str = ""
    address_before: str = ""
    ip: str = ""
    user_agent: str = ""

    def __bool__(self) -> bool:
        return any(vars(self).values())


NO_EVIDENCE = Evidence()


@dataclass(frozen=True)
class Proof:
    """What an event proves: its kind, the way it came, what was shown, and details. ``detail`` holds no address."""

    kind: ConsentKind
    source: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)
    consent_text_id: int | None = None
    frequency: str = ""
    locale: str = ""
    evidence: Evidence = NO_EVIDENCE


@dataclass(frozen=True)
class ConsentView:
    """One event of the ledger as other packages see it."""

    kind: ConsentKind
    at: datetime
    by: str
    source: str
    plan: str
    detail: Mapping[str, str]


def record(session: Session, subscription: SubscriptionView, proof: Proof, *, by: Actor, now: datetime) -> int:
    """Write one event about a subscription, with the plan that the view shows; give the event's id."""
    event = ConsentEvent(
        publication_id=subscription.publication_id,
        subscriber_id=subscription.subscriber_id,
        subscription_id=subscription.id,
        plan_id=subscription.plan_id,
        kind=proof.kind,
        at=now,
        by=str(by),
        source=proof.source,
        consent_text_id=proof.consent_text_id,
        frequency=proof.frequency,
        locale=proof.locale,
        detail=dict(proof.detail),
    )
    session.add(event)
    session.flush()
    if proof.evidence:
        session.add(ConsentEvidence(event_id=event.id, subscriber_id=event.subscriber_id, **vars(proof.evidence)))
        session.flush()
    return event.id


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
