"""Where an issue is on its way to readers: draft, ready, scheduled, mailed. Derived from its approval and mailings.

Nothing is stored twice: an approval stands on the issue until a mailing takes it along (``scheduling``), and belongs to
the revision that was looked at. ``approvals`` gives it, ``binding`` takes it.
"""

from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, select

from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.models import Delivery, Mailing
from newsletter.issues.models import Issue, Revision


class IssueState(StrEnum):
    """Where an issue is."""

    draft = "draft"
    ready = "ready"
    scheduled = "scheduled"
    mailed = "mailed"


def state_of(session: Session, issue: Issue, *, live: bool) -> IssueState:
    """Tell where an issue is on one side of NOT LIVE.

    Mailings to some readers only do not count, nor one that was cancelled before it can have reached anybody.
    """
    if _any_mailing(session, issue, col(Mailing.begun_at).is_not(None) & _counts(), live=live):
        return IssueState.mailed
    if mailing_ahead(session, issue.id, live=live):
        return IssueState.scheduled
    approved = issue.ready_revision_id is not None and issue.retracted_at is None
    if approved and issue.ready_revision_id == newest_revision(session, issue.id):
        return IssueState.ready
    return IssueState.draft


def mailing_ahead(session: Session, issue_id: int, *, live: bool) -> Mailing | None:
    """Find the mailing to everybody that an issue waits for."""
    ahead = select(Mailing).where(Mailing.issue_id == issue_id, Mailing.audience == "", col(Mailing.live).is_(live))
    states = (MailingState.scheduled, MailingState.held)
    found = ahead.where(col(Mailing.begun_at).is_(None), col(Mailing.state).in_(states))
    return session.exec(found.order_by(col(Mailing.due_at))).first()


def newest_revision(session: Session, issue_id: int) -> int | None:
    """Give the id of an issue's newest revision."""
    return session.exec(select(func.max(Revision.id)).where(Revision.issue_id == issue_id)).one()


def ready_issues(session: Session, publication_id: int, *, live: bool) -> Sequence[Issue]:
    """List the issues that wait for a slot, in the order in which they take one: who was ready first goes first."""
    approved = select(Issue).where(Issue.publication_id == publication_id, col(Issue.ready_at).is_not(None))
    found = session.exec(approved.order_by(col(Issue.ready_at), col(Issue.id))).all()
    return [issue for issue in found if state_of(session, issue, live=live) is IssueState.ready]


def _any_mailing(session: Session, issue: Issue, condition: ColumnElement[bool], *, live: bool) -> bool:
    mine = (col(Mailing.issue_id) == issue.id) & (col(Mailing.audience) == "") & col(Mailing.live).is_(live)
    return session.exec(select(Mailing.id).where(mine, condition).limit(1)).first() is not None


def _counts() -> ColumnElement[bool]:
    may_have_reached = select(Delivery.id).where(Delivery.mailing_id == Mailing.id, col(Delivery.may_have_reached))
    return (col(Mailing.state) != MailingState.cancelled) | may_have_reached.exists()
