"""Binding: an issue takes an occurrence of the slot, as a scheduled mailing; and lets it go again. Beside scheduling.

An occurrence is taken once, by the unique constraint ``uq_mailing_occurrence``; where two machines try, one is told
that it was too late. What was bound and has not begun follows every change of slot, zone and exceptions.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from newsletter.delivery.agenda import LOOK_AHEAD, exceptions_of, free, needed_slot_of, slot_of
from newsletter.delivery.issue_states import mailing_ahead, newest_revision
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.mailings import NOT_BEGUN, move
from newsletter.delivery.models import Mailing
from newsletter.delivery.occurrences import Occurrence, occurrence_on
from newsletter.delivery.policies import policy_of
from newsletter.delivery.scheduling import Order, schedule
from newsletter.delivery.slot_alerts import Unfilled, tell_unfilled
from newsletter.delivery.slot_models import WeeklySlot
from newsletter.delivery.variants import Workshop
from newsletter.errors import Refused
from newsletter.issues.models import Issue
from newsletter.issues.shelf import find_issue
from newsletter.publications import Publication, publication_by_id
from subscribers.actors import CLOCK, Actor


def lock_slot(session: Session, publication_id: int, *, wait: bool = True) -> WeeklySlot | None:
    """Lock a publication's slot until the transaction ends: one at a time fills or changes it.

    SQLite has one writer anyway. Gives nothing where there is no slot, or another has it and ``wait`` is false.
    """
    found = select(WeeklySlot).where(WeeklySlot.publication_id == publication_id)
    locked = found.with_for_update(skip_locked=not wait).execution_options(populate_existing=True)
    return session.exec(locked).first()


def bind(  # noqa: PLR0913 - which issue, onto what, with what, for whom, and when
    session: Session, issue: Issue, occurrence: Occurrence, workshop: Workshop, *, live: bool, now: datetime
) -> Mailing | None:
    """Let a ready issue take an occurrence, on the word of whoever approved it; nothing where another was faster.

    Raises:
        Refused: The issue cannot be mailed as it is; it stays ready and the occurrence free.
    """
    by, approval = issue.ready_by, issue.ready_revision_id
    order = Order(
        issue.id,
        occurrence.at,
        live=live,
        overrides=frozenset(issue.ready_overrides),
        occurrence=occurrence.planned,
        ready_at=issue.ready_at,
    )
    with suppress(IntegrityError), session.begin_nested():
        if _locked(session, issue.id).ready_revision_id != approval:
            return None
        mailing = schedule(session, order, workshop, by=CLOCK, now=now)
        mailing.created_by = by
        session.flush()
        return mailing
    return None


def _locked(session: Session, issue_id: int) -> Issue:
    found = select(Issue).where(Issue.id == issue_id).with_for_update()
    return session.exec(found.execution_options(populate_existing=True)).one()


def schedule_for_next_slot(  # noqa: PLR0913 - which issue, with what, for whom, by whom and when
    session: Session,
    issue_id: int,
    workshop: Workshop,
    *,
    overrides: frozenset[str] = frozenset(),
    undo_minutes: int | None = None,
    live: bool,
    by: Actor,
    now: datetime,
) -> Mailing:
    """Schedule an issue's newest revision for the next free occurrence, however far ahead it is.

    Raises:
        NotFound: There is no such issue, or no slot.
        Refused: It is scheduled already, no occurrence is free for a year, or ``schedule`` refuses it.
    """
    publication = publication_by_id(session, find_issue(session, issue_id).publication_id)
    lock_slot(session, publication.id)
    needed_slot_of(session, publication)
    if other := mailing_ahead(session, issue_id, live=live):
        raise Refused(f"issue {issue_id} is scheduled already, by mailing {other.id}")
    open_ones = free(session, publication, live=live, since=now, until=now + LOOK_AHEAD)
    if not open_ones:
        raise Refused("no occurrence of the slot is free within a year; `newsletter slots list` shows what takes them")
    chosen = open_ones[0]
    order = Order(
        issue_id,
        chosen.at,
        live=live,
        overrides=overrides,
        undo_minutes=undo_minutes,
        occurrence=chosen.planned,
        ready_at=now,
    )
    return schedule(session, order, workshop, by=by, now=now)


def replan(session: Session, publication: Publication, *, now: datetime) -> None:
    """Have every bound mailing that has not begun follow the slot as it stands; one that cannot is let go.

    Its issue is then ready again and takes the next free occurrence, unless it has a newer revision meanwhile, which
    nobody approved: an operator is told so.
    """
    if (row := session.get(WeeklySlot, publication.id)) and row.zone != publication.time_zone:
        # Its times are others now: what is past in the new zone was never missed.
        row.zone, row.set_at = publication.time_zone, now
        session.add(row)
        session.flush()
    for mailing in _bound(session, publication.id):
        _follow(session, publication, mailing, now)


def _bound(session: Session, publication_id: int) -> Sequence[Mailing]:
    bound = (col(Mailing.publication_id) == publication_id) & col(Mailing.occurrence).is_not(None) & NOT_BEGUN
    states = (MailingState.scheduled, MailingState.held)
    return session.exec(select(Mailing).where(bound, col(Mailing.state).in_(states)).order_by(col(Mailing.id))).all()


def _follow(session: Session, publication: Publication, mailing: Mailing, now: datetime) -> None:
    slot, planned = slot_of(session, publication), mailing.occurrence
    found = occurrence_on(slot, exceptions_of(session, publication.id), planned) if slot and planned else None
    if found is None:
        unschedule_from_slot(session, mailing, reason="the weekly slot was changed", now=now)
    elif found.skipped:
        unschedule_from_slot(session, mailing, reason=f"the occurrence of {planned} is skipped", now=now)
    elif newest_revision(session, mailing.issue_id) != mailing.revision_id:
        _let_go_of_the_old_revision(session, publication, mailing, now)
    elif found.at != mailing.due_at:
        _move_to(session, mailing, found, now)


def _move_to(session: Session, mailing: Mailing, occurrence: Occurrence, now: datetime) -> None:
    # What waits for a person begins by that person's word only, and what would be past is not mailed at once.
    if mailing.state is MailingState.held or occurrence.at <= now:
        reason = f"the occurrence of {occurrence.planned} comes at another time now"
        unschedule_from_slot(session, mailing, reason=reason, now=now)
        return
    first_call_at = max(occurrence.at, now + policy_of(session, mailing.publication_id).undo)
    mine = (col(Mailing.id) == mailing.id) & (col(Mailing.state) == MailingState.scheduled)
    session.execute(update(Mailing).where(mine).values(due_at=occurrence.at, first_call_at=first_call_at))


def _let_go_of_the_old_revision(session: Session, publication: Publication, mailing: Mailing, now: datetime) -> None:
    reason = f"issue {mailing.issue_id} has a newer revision than the one that was approved"
    if unschedule_from_slot(session, mailing, reason=reason, now=now):
        unfilled = Unfilled(f"issue {mailing.issue_id}", mailing.due_at, reason, mailing.issue_id)
        tell_unfilled(session, publication, unfilled, live=mailing.live, now=now)


def unschedule_from_slot(
    session: Session, mailing: Mailing, *, reason: str, now: datetime, ready_again: bool = True
) -> bool:
    """Cancel a bound mailing that has not begun, and free its occurrence; tell whether it was in time.

    Args:
        session: The session.
        mailing: The mailing.
        reason: Why, as the mailing will say.
        now: The time.
        ready_again: Whether its issue goes back into the queue with its old approval; else it is a draft.
    """
    freed: dict[str, Any] = {"occurrence": None, "ended_at": now}
    if not move(session, mailing.id, MailingState.cancelled, now=now, reason=reason, where=NOT_BEGUN, **freed):
        return False
    if ready_again:
        issue = find_issue(session, mailing.issue_id)
        issue.ready_revision_id, issue.ready_at = mailing.revision_id, mailing.ready_at or mailing.created_at
        issue.ready_by = mailing.created_by
        issue.ready_overrides = sorted({one["check"] for one in mailing.overrides})
        session.add(issue)
    session.flush()
    return True
