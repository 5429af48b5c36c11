"""Ingest: a genuine call's raw body is kept before it is answered, and applied later. Before ``record``.

The webhook writes one row and answers; the worker reads the bodies in their order, some events at a time. A worker that
dies begins again at the cursor, which is committed with the rows; what it did twice comes to the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import ColumnElement, func
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlmodel import Session, col, select

from newsletter.database import Database
from newsletter.delivery.hearing import hear
from newsletter.delivery.settlement import prove
from newsletter.errors import NotFound
from newsletter.feedback.alone import alone
from newsletter.feedback.applying import Scene
from newsletter.feedback.histories import addresses_to_decide
from newsletter.feedback.levelling import bring_level
from newsletter.feedback.matching import Matched, match
from newsletter.feedback.models import EventCall
from newsletter.feedback.record import (
    Classified,
    classified,
    problem_of,
    record_clicks,
    record_events,
    record_outcomes,
)
from newsletter.feedback.surges import watch
from newsletter.feedback.telling import tell_of_account, tell_of_stepped_over
from newsletter.notices.claims import prove_notices
from newsletter.providers.feedback import FeedbackEvent, FeedbackKind
from newsletter.providers.sendgrid_events import UnreadableBody, entries_in, read_event
from subscribers.errors import NewPepper, OtherPepper


log = structlog.get_logger(__name__)

#: Events applied in one transaction: who unsubscribes meanwhile waits for no more than these.
CHUNK = 1000


def keep_call(session: Session, body: bytes, *, now: datetime) -> None:
    """Keep a genuine call as it came; it is applied later."""
    session.add(EventCall(received_at=now, body=body, size=len(body)))


@dataclass(frozen=True)
class Applied:
    """What applying some events came to."""

    events: int
    news: int
    problems: int
    consequences: int
    #: How many named a request of a mailing of ours.
    of_requests: int = 0


def apply_next(database: Database, scene: Scene) -> bool:
    """Apply the next events of the oldest call that waits; tell whether there was one.

    One event that cannot be applied must not keep all that come after it from being heard: ever fewer are tried, until
    it is found and stepped over.
    """
    with database.reading() as session:
        if not is_work(session):
            return False
    most = CHUNK
    while True:
        place = None
        try:
            with database.writing() as session:
                alone(session)
                waiting = select(EventCall).where(_waits()).order_by(col(EventCall.id)).limit(1)
                if (call := session.exec(waiting).first()) is None:
                    return False
                place = call.id, call.cursor
                _apply_some(session, call, scene, most)
        except Exception as error:
            if place is None or _is_the_stores_fault(error):
                raise
            if most == 1:
                log.exception("an event could not be applied", call=place[0], number=place[1] + 1)
                _step_over(database, *place, error, scene)
                return True
            most //= 2
        else:
            return True


#: Of errors of PostgreSQL those that the same call meets again: data, integrity, and limits of what can be stored.
_OF_THE_CALL = ("22", "23", "54")


def _is_the_stores_fault(error: Exception) -> bool:
    """Tell whether the store or the installation is in trouble: the same call works when that is mended."""
    state = str(getattr(getattr(error, "orig", None), "sqlstate", "") or "")
    if isinstance(error, DBAPIError) and state:
        return not state.startswith(_OF_THE_CALL)
    return isinstance(error, OperationalError | InterfaceError | OtherPepper | NewPepper)


def _step_over(database: Database, call_id: int, cursor: int, error: Exception, scene: Scene) -> None:
    """Go on behind an event that cannot be applied, unless somebody else has gone on meanwhile; have operators told."""
    with database.writing() as session:
        alone(session)
        call = session.get_one(EventCall, call_id)
        if call.cursor != cursor or call.applied_at:
            return
        call.problem = (
            f"event {cursor + 1} could not be applied ({type(error).__name__}): "
            f"`newsletter feedback again {call_id}` tries once more"
        )[:200]
        call.cursor, call.problems = cursor + 1, call.problems + 1
        call.applied_at = scene.now if call.cursor >= _count(call.body) else None
        session.add(call)
        tell_of_stepped_over(session, call_id, cursor + 1, type(error).__name__, scene)


def _count(body: bytes) -> int:
    try:
        return len(entries_in(body))
    except Exception:
        # What made it fail may be just this.
        log.exception("a call cannot be read at all")
        return 0


def apply_again(session: Session, call_id: int) -> None:
    """Have a call applied from its beginning once more; what was applied of it changes nothing.

    Raises:
        NotFound: There is no such call, or its body was purged.
    """
    call = session.get(EventCall, call_id)
    if call is None or not call.body:
        raise NotFound(
            f"call {call_id} is not kept any more: bodies are for 7 days (30 where an event could not be applied), "
            "or until somebody in them is erased"
        )
    call.applied_at, call.cursor, call.problem = None, 0, ""
    call.news = call.problems = 0
    session.add(call)


def is_work(session: Session) -> bool:
    """Tell whether a call waits to be applied."""
    return session.exec(select(EventCall.id).where(_waits()).limit(1)).first() is not None


def last_gap(session: Session) -> datetime | None:
    """Tell when the last call came of which something could not be applied: what it says nobody knows."""
    return session.exec(select(func.max(EventCall.received_at)).where(col(EventCall.problem) != "")).one()


def _waits() -> ColumnElement[bool]:
    return col(EventCall.applied_at).is_(None)


def _apply_some(session: Session, call: EventCall, scene: Scene, most: int) -> None:
    try:
        entries = entries_in(call.body)
    except UnreadableBody as error:
        call.problem, call.problems, call.applied_at = str(error)[:200], 1, scene.now
        session.add(call)
        return
    some = [read_event(entry) for entry in entries[call.cursor : call.cursor + most]]
    applied = apply_events(session, some, scene, received_at=call.received_at)
    call = session.get_one(EventCall, call.id)
    call.events = len(entries)
    call.cursor += len(some)
    call.news += applied.news
    call.problems += applied.problems
    call.applied_at = scene.now if call.cursor >= len(entries) else None
    session.add(call)
    if call.applied_at:
        # Only now: what proves a request may stand at a call's end.
        hear(session, applied.of_requests, at=call.received_at)


def apply_events(session: Session, events: Sequence[FeedbackEvent], scene: Scene, *, received_at: datetime) -> Applied:
    """Record events and bring their consequences level; the same events again change nothing."""
    # A test mail is nobody's delivery: neither its opens nor its bounce say anything of a reader.
    heard = [event for event in events if not event.is_of_trial]
    matches = match(session, heard, hasher=scene.hasher, received_at=received_at, live=scene.live)
    meant = classified(matches)
    of_requests = [one.event.attempt for one in matches if one.delivery_id is not None and one.event.attempt]
    prove(session, set(of_requests), now=scene.now)
    prove_notices(session, {one.notice_id for one in matches if one.notice_id is not None}, now=scene.now)
    news = record_outcomes(session, meant)
    record_clicks(session, matches)
    new_events = record_events(session, meant, received_at=received_at)
    if any(event.is_of_account for event in heard):
        tell_of_account(session, new_events, scene)
    touched = watch(session, _bounced_in(matches), now=scene.now)
    reached = {
        one.subscriber_id
        for one in matches
        if one.event.kind is FeedbackKind.delivered and one.subscriber_id is not None
    }
    touched |= addresses_to_decide(session, new_events, reached)
    changed = bring_level(session, touched, scene)
    return Applied(
        len(events), news + len(new_events), sum(_is_problem(one) for one in meant), changed, len(of_requests)
    )


def _bounced_in(matches: Sequence[Matched]) -> set[tuple[int, str]]:
    watched = {FeedbackKind.bounced, FeedbackKind.complained}
    return {
        (one.mailing_id, one.provider) for one in matches if one.event.kind in watched and one.mailing_id is not None
    }


def _is_problem(one: Classified) -> bool:
    """Tell whether a person should look: something could not be read, or is about nobody of ours."""
    return bool(problem_of(one.matched))


@dataclass(frozen=True)
class Backlog:
    """What waits to be applied, and what was kept of late."""

    calls: int
    oldest: datetime | None


def backlog(session: Session) -> Backlog:
    """Tell how many calls wait, and since when."""
    count, oldest = session.exec(select(func.count(), func.min(EventCall.received_at)).where(_waits())).one()
    return Backlog(count, oldest)
