"""The accounts of a mailing, read from the ledger's own rows. ``progress`` derives what they mean."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, case, exists, func, or_, union_all
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from newsletter.delivery.doubt_models import PROOFS, Decision, Doubt, Settlement
from newsletter.delivery.doubts import follows_its_batch, is_open
from newsletter.delivery.lifecycle import BatchState, Difference
from newsletter.delivery.models import Attempt, Batch, Delivery, Exclusion, Mailing
from newsletter.delivery.progress import Standing, standing
from newsletter.providers.base import Ending


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
    counts = _accepted_without_an_answer(session, mailing.id)
    if any(difference is Difference.proven for _, difference in rows):
        counts.update(_proven_alone(session, mailing.id))
    by_event, looked_up, presumed = (counts[how] for how in (Decision.event, Decision.look_up, None))
    return standing(mailing.recipients, rows, proven=by_event + looked_up, looked_up=looked_up, presumed=presumed)


def _accepted_without_an_answer(session: Session, mailing_id: int) -> Counter[Decision | None]:
    """Count those in accepted batches of whom no answer spoke, by what did: an event, a look-up, or a person."""
    mine = (col(Batch.mailing_id) == mailing_id) & (col(Batch.state) == BatchState.accepted)
    of_batch = col(Attempt.batch_id) == col(Batch.id)
    answered = exists().where(of_batch, col(Attempt.ending) == Ending.accepted)
    of_its = col(Settlement.batch_id) == col(Batch.id)
    batches = {
        batch_id: _by(is_told=is_told, is_found=is_found)
        for batch_id, is_told, is_found in session.execute(
            select_columns(
                col(Batch.id),
                exists().where(of_its, col(Settlement.decision) == Decision.event),
                exists().where(of_its, col(Settlement.decision) == Decision.look_up),
            ).where(mine, ~answered)
        )
    }
    counts: Counter[Decision | None] = Counter()
    counted = (
        select(col(Delivery.batch_id), func.count())
        .where(col(Delivery.mailing_id) == mailing_id, col(Delivery.batch_id).in_(batches), follows_its_batch())
        .group_by(col(Delivery.batch_id))
    )
    for batch_id, count in session.exec(counted) if batches else ():
        counts[batches[batch_id or 0]] += count
    return counts


def _by(*, is_told: bool, is_found: bool) -> Decision | None:
    return Decision.event if is_told else Decision.look_up if is_found else None


def _proven_alone(session: Session, mailing_id: int) -> dict[Decision | None, int]:
    """Count who was proven after leaving a batch in doubt: few at most, and not looked for among all deliveries."""
    theirs = (col(Delivery.mailing_id) == mailing_id) & (col(Delivery.difference) == Difference.proven)
    proofs = (
        select_columns(
            col(Delivery.id).label("delivery_id"),
            func.max(case((col(Attempt.ending) == Ending.accepted, 1), else_=0)).label("answered"),
            func.max(case((col(Settlement.decision) == Decision.event, 1), else_=0)).label("told"),
        )
        .join(Doubt, col(Doubt.delivery_id) == col(Delivery.id))
        .join(Attempt, col(Attempt.id) == col(Doubt.attempt_id))
        .join(Settlement, col(Settlement.attempt_id) == col(Attempt.id), isouter=True)
        .where(theirs)
        .group_by(col(Delivery.id))
        .subquery()
    )
    counted = (
        select_columns(proofs.c.told, func.count())
        .select_from(proofs)
        .where(proofs.c.answered == 0)
        .group_by(proofs.c.told)
    )
    return {_by(is_told=bool(told), is_found=True): count for told, count in session.execute(counted)}


@dataclass(frozen=True)
class Resent:
    """Who was mailed once more after an outcome that nobody knew, in recipients.

    Attributes:
        again: Who was in more than one request that was accepted or may have been.
        twice: Of them, who was in more than one that is known to have been accepted, and may have it twice.
    """

    again: int = 0
    twice: int = 0


def resent_in(session: Session, mailing_id: int) -> Resent:
    """Count who was in more than one request of a mailing that may have been accepted."""
    proven = exists().where(col(Settlement.attempt_id) == col(Attempt.id), col(Settlement.decision).in_(PROOFS))
    known = or_(col(Attempt.ending) == Ending.accepted, proven)
    reaching = or_(is_open(), known)
    stayed: Select[*tuple[Any, ...]] = select_columns(col(Delivery.id).label("delivery_id"), known.label("known")).join(
        Attempt, (col(Attempt.batch_id) == col(Delivery.batch_id)) & follows_its_batch()
    )
    left: Select[*tuple[Any, ...]] = (
        select_columns(col(Doubt.delivery_id), known.label("known"))
        .join(Attempt, col(Attempt.id) == col(Doubt.attempt_id))
        .join(Delivery, col(Delivery.id) == col(Doubt.delivery_id))
    )
    # Only batches with a doubt can have more than one such request.
    doubtful = select_columns(col(Batch.id)).where(_had_a_doubt(mailing_id))
    of_theirs = col(Delivery.mailing_id) == mailing_id
    both = union_all(
        stayed.where(of_theirs, reaching, col(Delivery.batch_id).in_(doubtful)), left.where(of_theirs, reaching)
    ).subquery()
    calls = (
        select_columns(func.count().label("calls"), func.sum(case((both.c.known, 1), else_=0)).label("known"))
        .group_by(both.c.delivery_id)
        .having(func.count() > 1)
        .subquery()
    )
    twice = func.coalesce(func.sum(case((calls.c.known > 1, 1), else_=0)), 0)
    return Resent(*session.execute(select_columns(func.count(), twice).select_from(calls)).one())


def _had_a_doubt(mailing_id: int) -> ColumnElement[bool]:
    lost = exists().where(col(Attempt.batch_id) == col(Batch.id), col(Attempt.ending) == Ending.ambiguous)
    # Or its readers came out of one that had.
    return (col(Batch.mailing_id) == mailing_id) & or_(lost, col(Batch.parent_id).is_not(None))


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
