"""Where an issue is on its way to readers: draft, ready, scheduled, mailed. Derived from its approval and mailings.

Nothing is stored twice: an approval stands on the issue until a mailing takes it along (``scheduling``), and belongs to
the revision that was looked at. ``approvals`` gives it, ``binding`` takes it.
"""

from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy import ColumnElement, or_
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
    if _any(session, _mailings(live=live) & _HAS_BEGUN & (col(Mailing.issue_id) == issue.id)):
        return IssueState.mailed
    if mailing_ahead(session, issue.id, live=live):
        return IssueState.scheduled
    approved = issue.ready_revision_id is not None and issue.retracted_at is None
    if approved and issue.ready_revision_id == newest_revision(session, issue.id):
        return IssueState.ready
    return IssueState.draft


def mailing_ahead(session: Session, issue_id: int, *, live: bool) -> Mailing | None:
    """Find the mailing to everybody that an issue waits for."""
    mine = _mailings(live=live) & _IS_AHEAD & (col(Mailing.issue_id) == issue_id)
    return session.exec(select(Mailing).where(mine).order_by(col(Mailing.due_at))).first()


def newest_revision(session: Session, issue_id: int) -> int | None:
    """Give the id of an issue's newest revision."""
    return session.exec(select(func.max(Revision.id)).where(Revision.issue_id == issue_id)).one()


def ready_issues(session: Session, publication_id: int, *, live: bool) -> Sequence[Issue]:
    """List the issues that are ready, in the order in which they take a slot: who was ready first goes first."""
    newest = select(func.max(Revision.id)).where(Revision.issue_id == Issue.id).scalar_subquery()
    mailing = select(Mailing.id).where(Mailing.issue_id == Issue.id, _mailings(live=live), or_(_HAS_BEGUN, _IS_AHEAD))
    approved = (col(Issue.ready_revision_id) == newest) & col(Issue.retracted_at).is_(None)
    found = select(Issue).where(Issue.publication_id == publication_id, approved, ~mailing.exists())
    return session.exec(found.order_by(col(Issue.ready_at), col(Issue.id))).all()


def _any(session: Session, condition: ColumnElement[bool]) -> bool:
    return session.exec(select(Mailing.id).where(condition).limit(1)).first() is not None


def _mailings(*, live: bool) -> ColumnElement[bool]:
    """Tell in SQL which mailings are to everybody, on this side of NOT LIVE."""
    return (col(Mailing.audience) == "") & col(Mailing.live).is_(live)


_REACHED = select(Delivery.id).where(Delivery.mailing_id == Mailing.id, col(Delivery.may_have_reached)).exists()
_HAS_BEGUN = col(Mailing.begun_at).is_not(None) & ((col(Mailing.state) != MailingState.cancelled) | _REACHED)
_IS_AHEAD = col(Mailing.begun_at).is_(None) & col(Mailing.state).in_((MailingState.scheduled, MailingState.held))
