"""Claims: which worker works on which batch, by compare-and-swap; and what becomes of batches whose worker died.

``dispatch`` claims here before it builds a request. A batch is never taken from a worker that may have begun its call.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, update
from sqlmodel import Session, col, select

from newsletter.delivery.dividing import cut_off
from newsletter.delivery.lifecycle import BATCH_COMES_FROM, BatchState
from newsletter.delivery.models import Attempt, Batch
from newsletter.delivery.openings import Gate, Opening, gate_of, is_still_open, openings, use_up, waits_in
from newsletter.delivery.pacing import PROBE_SIZE
from newsletter.providers.base import Ending
from subscribers.bulk import rows_changed


@dataclass(frozen=True)
class Claim:
    """A batch that a worker may work on, as its ``number``-th attempt, until the lease ends."""

    batch_id: int
    number: int


@dataclass(frozen=True)
class Claimant:
    """A worker that claims: its name, which side of NOT LIVE it stands on, and how long a claim holds, in seconds."""

    worker: str
    live: bool
    lease_seconds: float

    def lease_from(self, now: datetime) -> datetime:
        """Tell until when a claim made now holds."""
        return now + timedelta(seconds=self.lease_seconds)


def claim_next(session: Session, claimant: Claimant, *, now: datetime) -> Claim | None:
    """Claim the oldest batch that may be worked on, or nothing where there is none or others were faster.

    The lane with the oldest batch comes first; one that is held, paced or waits for its next wave stops no other.
    """
    gates: dict[int, Gate] = {}
    for opening in openings(session, live=claimant.live, now=now):
        if (gate := gates.get(opening.publication_id)) is None:
            gate = gates[opening.publication_id] = gate_of(session, opening, waits=not gates, now=now)
        if gate.is_open and (claim := _claim_in(session, opening, gate, claimant, now)):
            return claim
    return None


def _claim_in(session: Session, opening: Opening, gate: Gate, claimant: Claimant, now: datetime) -> Claim | None:
    if not is_still_open(session, gate, opening, now=now):
        return None
    found = (
        select(Batch.id, Batch.attempt)
        .where(waits_in(opening.mailing_id, opening.lane, opening.wave, now))
        .order_by(col(Batch.wave), col(Batch.id))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if (batch := session.exec(found).first()) is None:
        return None
    seen = Claim(*batch)
    if opening.retry_at is not None:
        probe = cut_off(session, session.get_one(Batch, seen.batch_id, populate_existing=True), PROBE_SIZE, now=now)
        seen = Claim(probe.id, probe.attempt)
    mine, until = Claim(seen.batch_id, seen.number + 1), claimant.lease_from(now)
    values = {"worker": claimant.worker, "lease_until": until, "attempt": mine.number}
    if not move_batch(session, seen, BatchState.claimed, **values):
        return None
    use_up(session, gate, opening, seen.batch_id, probe_until=until, now=now)
    return mine


def move_batch(session: Session, claim: Claim, to: BatchState, **also: object) -> bool:
    """Move a batch into a state, if the lifecycle allows it and the attempt is still this one; tell whether it was."""
    mine = (col(Batch.id) == claim.batch_id) & (col(Batch.attempt) == claim.number)
    allowed = mine & col(Batch.state).in_(BATCH_COMES_FROM[to])
    return rows_changed(session.execute(update(Batch).where(allowed).values(state=to, **also))) == 1


def sweep(session: Session, *, now: datetime, all_of_them: bool = False) -> tuple[int, int]:
    """Deal with batches whose worker is gone; give back how many became ready again, and how many unknown.

    A claim without a call is safe to give to another. A call that had begun may have been accepted: its batch becomes
    ``unknown`` and is never mailed again by machine (DESIGN §4.4). With ``all_of_them`` every claim is taken for
    abandoned, whatever its lease: only for a process that knows it is alone.
    """
    gone = col(Batch.id).is_not(None) if all_of_them else col(Batch.lease_until) < now
    ready = update(Batch).where(_in(BatchState.claimed), gone).values(state=BatchState.ready, lease_until=None)
    calls = select(Batch.id).where(_in(BatchState.submitting), gone)
    _close_attempts(session, calls=_current_attempts(gone), now=now)
    unknown = (
        update(Batch)
        .where(col(Batch.id).in_(calls), _in(BatchState.submitting))
        .values(state=BatchState.unknown, lease_until=None, state_reason="the worker died before the answer came")
    )
    freed = rows_changed(session.execute(ready))
    return freed, rows_changed(session.execute(unknown))


def _in(state: BatchState) -> ColumnElement[bool]:
    return col(Batch.state) == state


def _current_attempts(gone: ColumnElement[bool]) -> ColumnElement[bool]:
    abandoned = (
        select(Attempt.id)
        .join(Batch, (col(Batch.id) == col(Attempt.batch_id)) & (col(Batch.attempt) == col(Attempt.number)))
        .where(_in(BatchState.submitting), gone)
    )
    return col(Attempt.id).in_(abandoned)


def _close_attempts(session: Session, *, calls: ColumnElement[bool], now: datetime) -> None:
    closed = {"ended_at": now, "ending": Ending.ambiguous, "detail": "the worker died before the answer came"}
    session.execute(update(Attempt).where(calls, col(Attempt.ended_at).is_(None)).values(**closed))
