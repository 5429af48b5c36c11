"""The accounts of a mailing, read from the ledger's own rows. ``progress`` derives what they mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_
from sqlmodel import Session, col, select

from newsletter.delivery.lifecycle import BatchState, Difference
from newsletter.delivery.models import Attempt, Batch, Delivery, Exclusion, Mailing
from newsletter.delivery.progress import Standing, standing


@dataclass(frozen=True)
class Account:
    """Every candidate of a mailing accounted for.

    Attributes:
        candidates: Who stood in the audience when it was frozen.
        exclusions: How many of them are not mailed, by reason.
        standing: What became of the recipients.
    """

    candidates: int
    exclusions: Mapping[str, int]
    standing: Standing

    @property
    def balances(self) -> bool:
        """Whether candidates = recipients + exclusions, and the recipients balance."""
        return self.candidates == self.standing.recipients + sum(self.exclusions.values()) and self.standing.balances


ENDED_BADLY = (BatchState.unknown, BatchState.rejected)


@dataclass(frozen=True)
class BatchInTrouble:
    """A batch whose outcome nobody knows, or that was refused or waits, for people to look at."""

    batch_id: int
    state: BatchState
    recipients: int
    attempt: str
    since: datetime
    detail: str


def account_of(session: Session, mailing: Mailing) -> Account:
    """Count a mailing's rows."""
    return Account(mailing.candidates, exclusions_of(session, mailing.id), standing_of(session, mailing))


def exclusions_of(session: Session, mailing_id: int) -> dict[str, int]:
    """Count a mailing's exclusions by reason."""
    counted = (
        select(Exclusion.reason, func.count()).where(Exclusion.mailing_id == mailing_id).group_by(Exclusion.reason)
    )
    return dict(sorted(session.exec(counted).all()))


def standing_of(session: Session, mailing: Mailing) -> Standing:
    """Count a mailing's deliveries by the state of their batch and by what sets them apart from it."""
    counted = (
        select(Batch.state, Delivery.difference, func.count())
        .select_from(Delivery)
        .join(Batch, col(Batch.id) == col(Delivery.batch_id), isouter=True)
        .where(Delivery.mailing_id == mailing.id)
        .group_by(col(Batch.state), col(Delivery.difference))
    )
    rows: dict[tuple[BatchState | None, Difference | None], int] = {
        (BatchState(state) if state else None, Difference(difference) if difference else None): count
        for state, difference, count in session.exec(counted)
    }
    return standing(mailing.recipients, rows)


#: Why a batch stands as accepted that was unknown before; ``settlement`` writes it.
PROVEN = "proven by an event"


def proven_count(session: Session, mailing_id: int) -> int:
    """Count the recipients whose request was unknown until a signed event proved it accepted."""
    proven = (col(Batch.state) == BatchState.accepted) & (col(Batch.state_reason) == PROVEN)
    apart = (Difference.skipped, Difference.rejected)
    counted = (
        select(func.count())
        .select_from(Delivery)
        .join(Batch, col(Batch.id) == col(Delivery.batch_id))
        .where(Delivery.mailing_id == mailing_id, proven)
        .where(or_(col(Delivery.difference).is_(None), col(Delivery.difference).not_in(apart)))
    )
    return session.exec(counted).one()


def batch_states(session: Session, mailing_id: int) -> dict[BatchState, int]:
    """Count a mailing's batches by state."""
    counted = select(Batch.state, func.count()).where(Batch.mailing_id == mailing_id).group_by(col(Batch.state))
    return {BatchState(state): count for state, count in session.exec(counted)}


def batches_in_trouble(session: Session, mailing_id: int) -> list[BatchInTrouble]:
    """List the batches that a person must know of: unknown, refused, or waiting after a failed try."""
    sizes = (
        select(col(Delivery.batch_id), func.count().label("recipients"))
        .where(Delivery.mailing_id == mailing_id, col(Delivery.difference).is_distinct_from(Difference.skipped))
        .group_by(col(Delivery.batch_id))
        .subquery()
    )
    waits = col(Batch.state).in_((BatchState.ready, BatchState.retry_wait)) & (col(Batch.tries) > 0)
    found = (
        select(Batch, Attempt, func.coalesce(sizes.c.recipients, 0))
        .join(Attempt, (col(Attempt.batch_id) == col(Batch.id)) & (col(Attempt.number) == col(Batch.attempt)))
        .join(sizes, sizes.c.batch_id == col(Batch.id), isouter=True)
        .where(Batch.mailing_id == mailing_id, or_(col(Batch.state).in_(ENDED_BADLY), waits))
        .order_by(col(Batch.id))
    )
    return [
        BatchInTrouble(batch.id, batch.state, recipients, attempt.id, attempt.submitting_at, batch.state_reason)
        for batch, attempt, recipients in session.exec(found)
    ]
