"""Claims: which worker sends which notice, by compare-and-swap; and what becomes of one whose worker died.

``dispatch`` claims here before it builds a mail. Unlike a batch, a claimed notice still waits: only its lease keeps
others off, so that a worker that dies before its call leaves nothing to mend.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, or_, update
from sqlmodel import Session, col, select

from newsletter.outbox import BY_STRANGERS, ENDED, Notice, NoticeState
from newsletter.providers.base import CallEnd, Ending
from subscribers.bulk import rows_changed


#: From which states a notice may come into a state.
COMES_FROM: Mapping[NoticeState, frozenset[NoticeState]] = {
    # Also from waiting: a mail that cannot be built has not left.
    NoticeState.waiting: frozenset({NoticeState.sending, NoticeState.waiting}),
    NoticeState.sending: frozenset({NoticeState.waiting}),
    # The late repair: the worker that made the call learns its end after the sweep took it for dead.
    NoticeState.accepted: frozenset({NoticeState.sending, NoticeState.unknown}),
    NoticeState.unknown: frozenset({NoticeState.sending}),
    NoticeState.refused: frozenset({NoticeState.sending, NoticeState.waiting}),
    NoticeState.dropped: frozenset({NoticeState.waiting}),
}
#: What follows for a notice when its call has ended, for each row of the class table (DESIGN §5).
AFTER: Mapping[Ending, NoticeState] = {
    Ending.accepted: NoticeState.accepted,
    Ending.never_left: NoticeState.waiting,
    Ending.throttled: NoticeState.waiting,
    Ending.unauthorised: NoticeState.waiting,
    Ending.ambiguous: NoticeState.unknown,
    # One recipient cannot be divided.
    Ending.recipients_refused: NoticeState.refused,
    Ending.too_large: NoticeState.refused,
    Ending.refused: NoticeState.refused,
}

FIRST_WAIT_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 3600.0
#: A notice that cannot be sent for so long is given up: who asked for it has asked again, or no longer wants it.
GIVE_UP_AFTER = timedelta(hours=24)


@dataclass(frozen=True)
class NoticeClaim:
    """A notice that a worker may work on, as its ``number``-th attempt, until the lease ends."""

    notice_id: int
    number: int


def is_work(session: Session, *, live: bool, now: datetime) -> bool:
    """Tell whether a notice may be claimed now; only looks, so that an idle worker never keeps a writer waiting."""
    return session.exec(select(Notice.id).where(_is_due(live=live, now=now)).limit(1)).first() is not None


def claim_next(session: Session, *, live: bool, lease_until: datetime, now: datetime) -> NoticeClaim | None:
    """Claim the oldest notice that may be worked on, or nothing where there is none or another was faster.

    A person waits for what strangers can cause, such as a confirmation: it goes first.
    """
    found = (
        select(Notice.id, Notice.attempt)
        .where(_is_due(live=live, now=now))
        .order_by(case((col(Notice.kind).in_(BY_STRANGERS), 0), else_=1), col(Notice.id))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if (notice := session.exec(found).first()) is None:
        return None
    seen = NoticeClaim(*notice)
    mine = NoticeClaim(seen.notice_id, seen.number + 1)
    claimed = update(Notice).where(_is(seen), _in(NoticeState.waiting))
    values = {"attempt": mine.number, "lease_until": lease_until}
    return mine if rows_changed(session.execute(claimed.values(**values))) else None


def find_claimed(session: Session, claim: NoticeClaim) -> Notice | None:
    """Read a claimed notice; nothing where the claim was lost or the notice no longer waits."""
    return session.exec(select(Notice).where(_is(claim), _in(NoticeState.waiting))).first()


def move_notice(session: Session, claim: NoticeClaim, to: NoticeState, **also: object) -> bool:
    """Move a notice into a state, if it may come there and the attempt is still this one; tell whether it was."""
    allowed = _is(claim) & col(Notice.state).in_(COMES_FROM[to])
    return rows_changed(session.execute(update(Notice).where(allowed).values(state=to, **also))) == 1


def put_back(session: Session, claim: NoticeClaim) -> None:
    """Give up a claim without a call: whoever claims next begins anew."""
    session.execute(update(Notice).where(_is(claim), _in(NoticeState.waiting)).values(lease_until=None))


def drop(session: Session, claim: NoticeClaim, reason: str, *, now: datetime) -> None:
    """End a claimed notice unsent, for this reason."""
    move_notice(session, claim, NoticeState.dropped, reason=reason, lease_until=None, ended_at=now)


def settle(session: Session, claim: NoticeClaim, end: CallEnd, *, now: datetime) -> NoticeState | None:
    """Write down how a call ended, and give the state that follows; nothing where the notice has gone on without it.

    A notice that is to be tried again waits longer each time, and is refused once that would be more than a day after
    it was made.
    """
    notice = session.get_one(Notice, claim.notice_id, with_for_update=True)
    tries = notice.tries + 1
    again = now + timedelta(seconds=wait_seconds(tries, end.wait_seconds))
    state = AFTER[end.ending]
    if state is NoticeState.waiting and again > notice.created_at + GIVE_UP_AFTER:
        state = NoticeState.refused
    values: dict[str, object] = {"tries": tries, "lease_until": None, "message_id": end.message_id}
    values |= {"reason": "" if state is NoticeState.accepted else in_words(end)}
    values |= {"ended_at": now} if state in ENDED else {"not_before": again}
    return state if move_notice(session, claim, state, **values) else None


def wait_seconds(tries: int, asked: float | None) -> float:
    """Tell how long a notice waits before its next try: twice as long each time, or as asked; an hour at most."""
    wait = asked or FIRST_WAIT_SECONDS * 2.0 ** min(tries - 1, 16)
    return min(LONGEST_WAIT_SECONDS, max(FIRST_WAIT_SECONDS, wait))


def sweep(session: Session, *, now: datetime, all_of_them: bool = False) -> int:
    """Deal with notices whose worker died during its call: they are ``unknown``, and never sent again by machine.

    A claim without a call needs nothing: another takes it when its lease has ended. With ``all_of_them`` every claim
    and call is taken for abandoned: only for a process that knows it is alone.

    Returns:
        How many became unknown.
    """
    if all_of_them:
        session.execute(update(Notice).where(_in(NoticeState.waiting)).values(lease_until=None))
    gone = col(Notice.id).is_not(None) if all_of_them else col(Notice.lease_until) < now
    unknown = {"state": NoticeState.unknown, "lease_until": None, "ended_at": now, "reason": "the worker died"}
    return rows_changed(session.execute(update(Notice).where(_in(NoticeState.sending), gone).values(**unknown)))


def prove_notices(session: Session, notice_ids: Collection[int], *, now: datetime) -> int:
    """Take these notices for accepted where that was unknown: an event carried their call; tell how many there were."""
    unknown = col(Notice.id).in_(notice_ids) & _in(NoticeState.unknown)
    proven = {"state": NoticeState.accepted, "reason": "proven by an event", "ended_at": now}
    return rows_changed(session.execute(update(Notice).where(unknown).values(**proven))) if notice_ids else 0


def drop_other_side(session: Session, *, live: bool, now: datetime) -> int:
    """Drop what waits and was meant for the other side of NOT LIVE (DESIGN §4.11); tell how many."""
    values = {"state": NoticeState.dropped, "reason": "meant for the other side of NOT LIVE", "ended_at": now}
    other = _in(NoticeState.waiting) & col(Notice.live).is_not(live)
    return rows_changed(session.execute(update(Notice).where(other).values(**values)))


def in_words(end: CallEnd) -> str:
    """Say how a call ended, for people."""
    answered = f"the provider answered {end.status} ({end.ending})" if end.status else f"no answer ({end.ending})"
    return f"{answered}: {end.detail}" if end.detail else answered


def _is_due(*, live: bool, now: datetime) -> ColumnElement[bool]:
    due = or_(col(Notice.not_before).is_(None), col(Notice.not_before) <= now)
    free = or_(col(Notice.lease_until).is_(None), col(Notice.lease_until) <= now)
    return _in(NoticeState.waiting) & due & free & col(Notice.live).is_(live)


def _is(claim: NoticeClaim) -> ColumnElement[bool]:
    return (col(Notice.id) == claim.notice_id) & (col(Notice.attempt) == claim.number)


def _in(state: NoticeState) -> ColumnElement[bool]:
    return col(Notice.state) == state
