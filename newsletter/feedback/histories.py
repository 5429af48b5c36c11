"""Histories: what is known of addresses, read for the decisions. Between ``record`` and ``consequences``."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlmodel import Session, col, select

from newsletter.delivery.models import Delivery, Mailing
from newsletter.feedback.consequences import COUNTED, Fact, History, Limits
from newsletter.feedback.models import (
    Consequence,
    ConsequenceState,
    Deed,
    DeliveryOutcome,
    FeedbackEventRow,
    FeedbackPolicy,
    SurgeDecision,
)
from newsletter.feedback.outcomes import Outcome
from newsletter.feedback.pardons import Confirmed, Key, came_back, confirmed_by, done_for, taken_back
from newsletter.feedback.removals import Removed, removed
from newsletter.outbox import Notice
from newsletter.providers.feedback import FeedbackKind
from subscribers.models import SuppressionReason


@dataclass(frozen=True)
class Known:
    """What is known of one address.

    Attributes:
        events: The events that its facts were made of, by their ids.
        subscriber_id: Whose address it is, or was when it happened.
        done: What was done because of them.
    """

    history: History
    events: Mapping[int, FeedbackEventRow]
    subscriber_id: int | None
    done: Mapping[Key, Consequence]


#: Surges by mailing and mailbox provider, each with what an operator said of it.
Surges = Mapping[tuple[int, str], SurgeDecision | None]


def addresses_to_decide(session: Session, event_ids: Collection[int], delivered_to: Collection[int]) -> set[str]:
    """Tell whose consequences may have changed: who is named by new events, and who was reached after soft bounces.

    Args:
        session: The store.
        event_ids: New events.
        delivered_to: Subscribers of whom some delivery became known to have reached them.
    """
    named = select(FeedbackEventRow.address_hash).where(
        col(FeedbackEventRow.id).in_(event_ids), FeedbackEventRow.address_hash != ""
    )
    found = set(session.exec(named)) if event_ids else set()
    if delivered_to:
        counted = select(Consequence.address_hash).where(
            col(Consequence.subscriber_id).in_(delivered_to), col(Consequence.state) != ConsequenceState.undone
        )
        # Only these depend on what was delivered in between.
        by_rows = counted.where(col(Consequence.deed).in_((Deed.pause, Deed.suppress)))
        found |= set(session.exec(by_rows))
    return found


def histories(session: Session, address_hashes: Collection[str], surges: Surges) -> dict[str, Known]:
    """Read what is known of these addresses."""
    found = select(FeedbackEventRow, Mailing.publication_id, Notice.publication_id)
    found = found.join(Mailing, col(Mailing.id) == col(FeedbackEventRow.mailing_id), isouter=True)
    found = found.join(Notice, col(Notice.id) == col(FeedbackEventRow.notice_id), isouter=True)
    rows: dict[str, list[tuple[FeedbackEventRow, int | None]]] = {}
    for event, of_mailing, of_notice in session.exec(
        found.where(col(FeedbackEventRow.address_hash).in_(address_hashes))
    ):
        rows.setdefault(event.address_hash, []).append((event, of_mailing or of_notice))
    every = [event for events in rows.values() for event, _ in events]
    aside = _Aside(
        surges,
        _delivered(session, every),
        done_for(session, address_hashes),
        confirmed_by(session, every),
        removed(session, address_hashes),
    )
    return {address_hash: _known(address_hash, events, aside) for address_hash, events in rows.items()}


@dataclass(frozen=True)
class _Aside:
    """What is known beside the events, of all addresses that are read at once."""

    surges: Surges
    delivered: Mapping[int, frozenset[int]]
    done: Mapping[str, Mapping[Key, Consequence]]
    confirmed: Confirmed
    removed: Removed


def _known(address_hash: str, rows: list[tuple[FeedbackEventRow, int | None]], aside: _Aside) -> Known:
    facts = [_fact(*one, aside.surges) for one in rows if not _is_anothers(*one)]
    events = {event.id: event for event, _ in sorted(rows, key=lambda one: one[0].id)}
    owners = [event.subscriber_id for event in events.values() if event.subscriber_id]
    subscriber_id = owners[-1] if owners else None
    done = aside.done.get(address_hash, {})
    pardons = (*taken_back(done.values(), events, aside.removed), *came_back(rows, aside.confirmed, aside.removed))
    delivered = aside.delivered.get(subscriber_id or 0, frozenset())
    return Known(History(facts, delivered, pardons), events, subscriber_id, done)


def _is_anothers(event: FeedbackEventRow, publication_id: int | None) -> bool:
    """Tell whether somebody left a group of some other product on the same account: we have no groups at SendGrid."""
    return event.said == "group_unsubscribe" and publication_id is None


def place_of(event: FeedbackEventRow) -> tuple[int, str]:
    """Tell to which surge an event would belong."""
    return event.mailing_id or 0, event.provider


def _fact(event: FeedbackEventRow, publication_id: int | None, surges: Surges) -> Fact:
    held_back = event.kind in {FeedbackKind.dropped, FeedbackKind.listed} and event.cause
    return Fact(
        at=event.at,
        event_id=event.id,
        kind=event.kind,
        publication_id=publication_id,
        mailing_id=event.mailing_id,
        bounce_class=event.bounce_class,
        cause=SuppressionReason(event.cause) if held_back else None,
        mark=event.fingerprint,
        is_dismissed=surges.get(place_of(event)) is SurgeDecision.dismissed,
    )


def _delivered(session: Session, events: Iterable[FeedbackEventRow]) -> dict[int, frozenset[int]]:
    """Give the later mailings that reached each subscriber, since the first of those that bounced."""
    first: dict[int, int] = {}
    for event in events:
        if event.bounce_class in COUNTED and event.mailing_id and event.subscriber_id:
            first[event.subscriber_id] = min(first.get(event.subscriber_id, event.mailing_id), event.mailing_id)
    reached: dict[int, frozenset[int]] = {}
    for since in sorted(set(first.values())):
        reached |= _reached_after(session, since, [one for one, mailing in first.items() if mailing == since])
    return reached


def _reached_after(session: Session, mailing_id: int, subscribers: Collection[int]) -> dict[int, frozenset[int]]:
    # Deliveries are found by mailing and subscriber only.
    later = session.exec(select(Mailing.id).where(col(Mailing.id) > mailing_id)).all()
    found = (
        select(Delivery.subscriber_id, Delivery.mailing_id)
        .join(DeliveryOutcome, col(DeliveryOutcome.delivery_id) == col(Delivery.id))
        .where(
            col(Delivery.mailing_id).in_(later),
            col(Delivery.subscriber_id).in_(subscribers),
            DeliveryOutcome.outcome == int(Outcome.delivered),
        )
    )
    reached: dict[int, set[int]] = {}
    for subscriber_id, later_id in session.exec(found) if later else ():
        reached.setdefault(subscriber_id, set()).add(later_id)
    return {subscriber_id: frozenset(those) for subscriber_id, those in reached.items()}


def limits_of_all(session: Session) -> dict[int, Limits]:
    """Read the limits of every publication that has its own."""
    return {row.publication_id: limits_from(row) for row in session.exec(select(FeedbackPolicy))}


def limits_from(row: FeedbackPolicy) -> Limits:
    """Give the limits that a row holds."""
    return Limits(
        soft_issues=row.soft_issues,
        disabled_issues=row.disabled_issues,
        probe_days=row.probe_days,
        surge_share=row.surge_share,
        surge_bounces=row.surge_bounces,
        complaint_share=row.complaint_share,
    )
