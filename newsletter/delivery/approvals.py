"""Approvals: a person says that an issue is ready for the next free slot, or takes that back. Before ``filling``.

An approval belongs to the revision that was looked at, and stands on the issue until a mailing takes it along.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlmodel import Session, col, select

from newsletter.delivery.binding import unschedule_from_slot
from newsletter.delivery.issue_states import IssueState, mailing_ahead, state_of
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.mailings import NOT_BEGUN
from newsletter.delivery.models import Mailing
from newsletter.delivery.scheduling import clear
from newsletter.delivery.variants import Workshop
from newsletter.errors import Refused
from newsletter.issues import shelf
from newsletter.issues.models import Issue
from newsletter.issues.shelf import find_issue, latest_revision
from subscribers.actors import Actor


def approve(  # noqa: PLR0913 - which issue, with what, for whom, by whom and when
    session: Session,
    issue_id: int,
    workshop: Workshop,
    *,
    overrides: Iterable[str] = (),
    live: bool,
    by: Actor,
    now: datetime,
) -> Issue:
    """Say that an issue's newest revision is ready; once more renews the approval, and puts it behind the others.

    Raises:
        NotFound: There is no such issue.
        Refused: It is scheduled or mailed already, was retracted, its publication is not complete, or preflight found a
            blocker that was not overridden.
        BadIssue: The source cannot be read any more.
    """
    shelved = latest_revision(session, issue_id)
    if (state := state_of(session, shelved.issue, live=live)) in {IssueState.scheduled, IssueState.mailed}:
        raise Refused(_why_not(session, issue_id, state, live=live))
    overridden = clear(session, shelved, frozenset(overrides), workshop, live=live, now=now)
    shelf.approve(session, shelved, (one["check"] for one in overridden), by=str(by), now=now)
    return shelved.issue


def _why_not(session: Session, issue_id: int, state: IssueState, *, live: bool) -> str:
    if state is IssueState.scheduled and (ahead := mailing_ahead(session, issue_id, live=live)):
        return f"issue {issue_id} is scheduled already, by mailing {ahead.id}, which is {ahead.state}"
    return (
        f"issue {issue_id} is mailed already: a mended revision reaches those who do not have it with `newsletter "
        f"mailing schedule {issue_id} --now`"
    )


def withdraw(session: Session, issue_id: int, *, live: bool, now: datetime) -> bool:
    """Take an approval back: the issue is a draft, and a mailing that it took a slot with is cancelled.

    Returns:
        Whether anything changed.

    Raises:
        NotFound: There is no such issue.
        Refused: Its mailing has begun, or was scheduled for a time of its own.
    """
    issue = find_issue(session, issue_id)
    if state_of(session, issue, live=live) is IssueState.mailed:
        raise Refused(f"issue {issue_id} is mailed already; `newsletter mailing list` shows by which mailing")
    ahead = mailing_ahead(session, issue_id, live=live)
    if ahead and ahead.occurrence is None:
        raise Refused(f"mailing {ahead.id} of issue {issue_id} was scheduled for a time of its own: cancel that one")
    if ahead and not unschedule_from_slot(
        session, ahead, reason="the approval was taken back", now=now, ready_again=False
    ):
        raise Refused(f"mailing {ahead.id} of issue {issue_id} has just begun")
    return shelf.unready(session, issue_id) or ahead is not None


def retract(session: Session, issue_id: int, *, by: Actor, now: datetime) -> bool:
    """Take an issue back: nobody can read it here any more, it is not ready, and mailings that wait are cancelled.

    A mailing that has begun goes on: who was mailed cannot be unmailed, and the rest is the operator's to cancel.

    Returns:
        Whether anything changed: twice is once.

    Raises:
        NotFound: There is no such issue.
    """
    is_new = shelf.retract(session, issue_id, by=by, now=now)
    shelf.unready(session, issue_id)
    for mailing in mailings_waiting(session, issue_id):
        unschedule_from_slot(session, mailing, reason="its issue was retracted", now=now, ready_again=False)
    return is_new


def mailings_waiting(session: Session, issue_id: int) -> list[Mailing]:
    """List the mailings of an issue that have not begun, on either side of NOT LIVE."""
    states = (MailingState.draft, MailingState.scheduled, MailingState.held)
    found = select(Mailing).where(Mailing.issue_id == issue_id, col(Mailing.state).in_(states), NOT_BEGUN)
    return list(session.exec(found.order_by(col(Mailing.id))))
