"""History: which mailings meant a person, and what became of each mail. Read-only; for who asks what is held."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from newsletter.delivery.lifecycle import Difference
from newsletter.delivery.models import Attempt, Batch, Delivery, Exclusion, Mailing
from newsletter.delivery.progress import class_of
from newsletter.issues.models import Issue


@dataclass(frozen=True)
class PastDelivery:
    """One mail to a person.

    Attributes:
        at: When the call that carried it began; nothing where there was none.
        outcome: Accepted, skipped, rejected, unknown, pending, given_up or cancelled.
        batch_id: The request it was part of, with others'.
        attempt: The random id that the provider was given with it.
    """

    id: int
    subscription_id: int
    mailing_id: int
    issue_id: int
    title: str
    at: datetime | None
    outcome: str
    difference: str | None
    reason: str
    live: bool
    round: int
    may_have_reached: bool
    batch_id: int | None
    attempt: str | None


@dataclass(frozen=True)
class PastExclusion:
    """A mailing that left a person out, and why."""

    subscription_id: int
    mailing_id: int
    title: str
    at: datetime
    reason: str


def count_deliveries(session: Session, subscription_ids: Sequence[int]) -> dict[int, int]:
    """Count the deliveries of each of these subscriptions."""
    theirs = col(Delivery.subscription_id).in_(subscription_ids)
    counted = select(Delivery.subscription_id, func.count()).where(theirs).group_by(col(Delivery.subscription_id))
    return {**dict.fromkeys(subscription_ids, 0), **dict(session.exec(counted).all())}


def deliveries_to(session: Session, subscription_ids: Sequence[int]) -> list[PastDelivery]:
    """List every delivery of these subscriptions, the oldest first."""
    found = (
        select(Delivery, Issue.title, Batch, Attempt)
        .join(Issue, col(Issue.id) == col(Delivery.issue_id))
        .join(Batch, col(Batch.id) == col(Delivery.batch_id), isouter=True)
        .join(
            Attempt,
            (col(Attempt.batch_id) == col(Batch.id)) & (col(Attempt.number) == col(Batch.attempt)),
            isouter=True,
        )
        .where(col(Delivery.subscription_id).in_(subscription_ids))
        .order_by(col(Delivery.id))
    )
    return [_delivery(*row) for row in session.exec(found)]


def _delivery(one: Delivery, title: str, batch: Batch | None, attempt: Attempt | None) -> PastDelivery:
    difference = Difference(one.difference) if one.difference else None
    return PastDelivery(
        id=one.id,
        subscription_id=one.subscription_id,
        mailing_id=one.mailing_id,
        issue_id=one.issue_id,
        title=title,
        at=attempt.submitting_at if attempt else None,
        outcome=class_of(batch.state if batch else None, difference),
        difference=difference,
        reason=one.reason,
        live=one.live,
        round=one.round,
        may_have_reached=one.may_have_reached,
        batch_id=one.batch_id,
        attempt=attempt.id if attempt else None,
    )


def exclusions_from(session: Session, subscription_ids: Sequence[int]) -> list[PastExclusion]:
    """List the mailings that left these subscriptions out, the oldest first."""
    found = (
        select(Exclusion, Issue.title, func.coalesce(Mailing.begun_at, Mailing.due_at))
        .join(Mailing, col(Mailing.id) == col(Exclusion.mailing_id))
        .join(Issue, col(Issue.id) == col(Mailing.issue_id))
        .where(col(Exclusion.subscription_id).in_(subscription_ids))
        .order_by(col(Exclusion.mailing_id), col(Exclusion.subscription_id))
    )
    return [
        PastExclusion(one.subscription_id, one.mailing_id, title, at, one.reason)
        for one, title, at in session.exec(found)
    ]
