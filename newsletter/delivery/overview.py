"""A mailing as an operator looks at it: its account whole, by plan and by mailbox provider, its pace, its trouble.

Read-only, of the ledger's own rows; ``briefing`` puts it into words.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from newsletter.delivery.accounts import Account, BatchInTrouble, account_of, batches_in_trouble
from newsletter.delivery.life import first_call, undo_until
from newsletter.delivery.lifecycle import BatchState, Difference, MailingState
from newsletter.delivery.models import Attempt, Batch, Delivery, Lane, Mailing, Variant
from newsletter.delivery.progress import Standing, standing
from newsletter.providers.base import Ending
from subscribers.plans import list_plans


#: The pace is that of so long before now.
PACE_WINDOW = timedelta(minutes=1)
#: What stands in no batch yet has neither variant nor lane.
UNSORTED = "not sorted yet"


@dataclass(frozen=True)
class Overview:
    """Everything about one mailing at one moment.

    Attributes:
        undo_until: Until when it waits only so that it can be undone.
        first_call_at: When its first call was made.
        last_call_at: When its last call ended.
        per_second: Recipients accepted a second: of late while it runs, else over its whole way.
        in_flight: Calls under way.
        next_try_at: When the first of the batches that wait after a failed try goes again.
        away_since: Since when SendGrid does not answer.
    """

    mailing: Mailing
    now: datetime
    account: Account
    by_plan: Mapping[str, Standing]
    by_lane: Mapping[str, Standing]
    held_lanes: Mapping[str, str]
    trouble: Sequence[BatchInTrouble]
    undo_until: datetime | None
    first_call_at: datetime | None
    last_call_at: datetime | None
    per_second: float
    in_flight: int
    next_try_at: datetime | None
    away_since: datetime | None
    retry_at: datetime | None

    @property
    def standing(self) -> Standing:
        """What became of the recipients so far."""
        return self.account.standing

    @property
    def seconds_left(self) -> float | None:
        """How long it takes at this pace; nothing where nobody can tell."""
        is_moving = self.mailing.state is MailingState.running and self.per_second > 0 and self.standing.pending
        return self.standing.pending / self.per_second if is_moving else None

    def line(self) -> str:
        """Account for every recipient in one line."""
        return self.standing.line()


def overview_of(session: Session, mailing: Mailing, *, now: datetime) -> Overview:
    """Look at a mailing from all sides, in the one snapshot of the session."""
    rows = _rows(session, mailing)
    began, ended = first_call(session, mailing.id), _last_end(session, mailing.id)
    tried = (col(Batch.state).in_((BatchState.ready, BatchState.retry_wait))) & (col(Batch.tries) > 0)
    in_flight = select(func.count()).where(Batch.mailing_id == mailing.id, Batch.state == BatchState.submitting)
    next_try = select(func.min(Batch.not_before)).where(Batch.mailing_id == mailing.id, tried)
    return Overview(
        mailing=mailing,
        now=now,
        account=account_of(session, mailing),
        by_plan=_by_plan(session, mailing, rows),
        by_lane=_standings((one.lane or UNSORTED, one) for one in rows),
        held_lanes=_held_lanes(session, mailing.id),
        trouble=batches_in_trouble(session, mailing.id),
        undo_until=None if began else undo_until(mailing, now=now),
        first_call_at=began,
        last_call_at=ended,
        per_second=_pace(session, mailing, began, ended, now),
        in_flight=session.exec(in_flight).one(),
        next_try_at=session.exec(next_try).one(),
        away_since=mailing.away_since,
        retry_at=mailing.retry_at,
    )


@dataclass(frozen=True)
class _Row:
    variant_id: int | None
    lane: str
    state: BatchState | None
    difference: Difference | None
    count: int


def _rows(session: Session, mailing: Mailing) -> list[_Row]:
    kinds = (col(Batch.variant_id), col(Batch.lane), col(Batch.state), col(Delivery.difference))
    counted = (
        select(*kinds, func.count())  # type: ignore[call-overload]  # sqlmodel types four columns at most
        .select_from(Delivery)
        .join(Batch, col(Batch.id) == col(Delivery.batch_id), isouter=True)
        .where(col(Delivery.mailing_id) == mailing.id)
        .group_by(*kinds)
    )
    return [
        _Row(
            variant,
            lane or "",
            BatchState(state) if state else None,
            Difference(difference) if difference else None,
            count,
        )
        for variant, lane, state, difference, count in session.execute(counted)
    ]


def _by_plan(session: Session, mailing: Mailing, rows: Iterable[_Row]) -> dict[str, Standing]:
    codes = {plan.id: plan.code for plan in list_plans(session, mailing.publication_id)}
    variants = session.exec(select(Variant.id, Variant.plan_id).where(Variant.mailing_id == mailing.id))
    plan_of = {variant_id: codes.get(plan_id, "") for variant_id, plan_id in variants}
    # A batch without a lane was cancelled before anything was sorted.
    return _standings((plan_of.get(one.variant_id or 0, "") if one.lane else UNSORTED, one) for one in rows)


def _standings(named: Iterable[tuple[str, _Row]]) -> dict[str, Standing]:
    groups: dict[str, dict[tuple[BatchState | None, Difference | None], int]] = {}
    for name, row in named:
        counts = groups.setdefault(name, {})
        counts[row.state, row.difference] = counts.get((row.state, row.difference), 0) + row.count
    found = {name: standing(sum(counts.values()), counts) for name, counts in groups.items()}
    return dict(sorted(found.items(), key=lambda one: (-one[1].recipients, one[0])))


def _held_lanes(session: Session, mailing_id: int) -> dict[str, str]:
    held = select(Lane.lane, Lane.held_for).where(Lane.mailing_id == mailing_id, col(Lane.held_at).is_not(None))
    return dict(session.exec(held.order_by(col(Lane.lane))).all())


def _last_end(session: Session, mailing_id: int) -> datetime | None:
    ended = select(func.max(Attempt.ended_at)).join(Batch, col(Batch.id) == col(Attempt.batch_id))
    return session.exec(ended.where(Batch.mailing_id == mailing_id)).one()


def _pace(session: Session, mailing: Mailing, began: datetime | None, ended: datetime | None, now: datetime) -> float:
    if began is None or ended is None:
        return 0.0
    is_running = mailing.state is MailingState.running
    until = now if is_running else ended
    since = max(began, now - PACE_WINDOW) if is_running else began
    accepted = (
        select(func.coalesce(func.sum(Attempt.size), 0))
        .join(Batch, col(Batch.id) == col(Attempt.batch_id))
        .where(Batch.mailing_id == mailing.id, col(Attempt.ending) == Ending.accepted, col(Attempt.ended_at) >= since)
    )
    return float(session.exec(accepted).one() / max((until - since).total_seconds(), 1.0))
