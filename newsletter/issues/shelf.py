"""The shelf: where issues and their revisions are stored and found. After ``document.parse``, before rendering."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from newsletter.errors import NotFound, Refused
from newsletter.issues.document import decode, parse
from newsletter.issues.models import Issue, Revision
from subscribers.actors import Actor


@dataclass(frozen=True)
class Shelved:
    """A revision as the shelf holds it, with its issue; ``is_new`` is false where the same source already stood."""

    issue: Issue
    revision: Revision
    is_new: bool = False


@dataclass(frozen=True)
class Placing:
    """Where a source goes: into the issue it ``revises``, or into one of its own.

    ``separate`` makes it one of its own even where another issue has the same title.
    """

    revises: int | None = None
    separate: bool = False


def add_source(  # noqa: PLR0913 - what, where and by whom: the shape of every use case
    session: Session, publication_id: int, data: bytes, placing: Placing, *, by: Actor, now: datetime
) -> Shelved:
    """Store an issue's source; the same bytes twice are stored once.

    Raises:
        BadIssue: The source cannot be read, or has no title.
        Refused: The publication already has an issue of this title and it was not said which is meant.
        NotFound: The issue to revise does not exist.
    """
    source = decode(data)
    title = parse(source).title
    sha256 = hashlib.sha256(source.encode()).hexdigest()
    issue = _place(session, publication_id, title, sha256, placing)
    if issue is None:
        issue = Issue(publication_id=publication_id, title=title, created_at=now, created_by=str(by))
    elif same := _same_source(session, issue, sha256):
        return Shelved(issue, same)
    issue.title = title
    session.add(issue)
    session.flush()
    revision = Revision(
        issue_id=issue.id,
        number=len(revisions_of(session, issue.id)) + 1,
        source=source,
        sha256=sha256,
        created_at=now,
        created_by=str(by),
    )
    session.add(revision)
    session.flush()
    return Shelved(issue, revision, is_new=True)


def _place(session: Session, publication_id: int, title: str, sha256: str, placing: Placing) -> Issue | None:
    if placing.revises is not None:
        issue = find_issue(session, placing.revises)
        if issue.publication_id != publication_id:
            raise Refused(f"issue {issue.id} belongs to another publication: name that one with --publication")
        return issue
    for other in list_issues(session, publication_id):
        if _same_source(session, other, sha256):
            return other
        if other.title == title and not placing.separate:
            raise Refused(
                f"issue {other.id} has the same title: add this as its next revision with --revises {other.id}, "
                "or as an issue of its own with --separate"
            )
    return None


def _same_source(session: Session, issue: Issue, sha256: str) -> Revision | None:
    found = select(Revision).where(col(Revision.issue_id) == issue.id, col(Revision.sha256) == sha256)
    return session.exec(found).first()


def list_issues(session: Session, publication_id: int) -> Sequence[Issue]:
    """List a publication's issues, newest first."""
    return session.exec(
        select(Issue).where(Issue.publication_id == publication_id).order_by(col(Issue.id).desc())
    ).all()


def find_issue(session: Session, issue_id: int) -> Issue:
    """Find an issue by its id.

    Raises:
        NotFound: There is no such issue.
    """
    if (issue := session.get(Issue, issue_id)) is None:
        raise NotFound(f"there is no issue {issue_id}; `newsletter issue list` shows what there is")
    return issue


def revisions_of(session: Session, issue_id: int) -> Sequence[Revision]:
    """List an issue's revisions, oldest first."""
    found = select(Revision).where(Revision.issue_id == issue_id).order_by(col(Revision.number))
    return session.exec(found).all()


def latest_revision(session: Session, issue_id: int) -> Shelved:
    """Find an issue with its newest revision.

    Raises:
        NotFound: There is no such issue.
    """
    issue = find_issue(session, issue_id)
    return Shelved(issue, revisions_of(session, issue_id)[-1])


def approve(session: Session, shelved: Shelved, overrides: Iterable[str], *, by: str, now: datetime) -> None:
    """Write down that a revision is ready for the next free slot; ``delivery.approvals`` decides whether it is."""
    issue = shelved.issue
    issue.ready_revision_id, issue.ready_at, issue.ready_by = shelved.revision.id, now, by
    issue.ready_overrides = sorted(set(overrides))
    session.add(issue)
    session.flush()


def unready(session: Session, issue_id: int) -> bool:
    """Forget that an issue is ready; tell whether it was.

    Raises:
        NotFound: There is no such issue.
    """
    issue = find_issue(session, issue_id)
    if issue.ready_revision_id is None:
        return False
    issue.ready_revision_id, issue.ready_at, issue.ready_by, issue.ready_overrides = None, None, "", []
    session.add(issue)
    session.flush()
    return True


def retract(session: Session, issue_id: int, *, by: Actor, now: datetime) -> bool:
    """Take an issue back: its pages and feeds hold it no more, until it is put back. Mails that were sent stay sent.

    Returns:
        Whether anything changed: twice is once.

    Raises:
        NotFound: There is no such issue.
    """
    issue = find_issue(session, issue_id)
    if issue.retracted_at:
        return False
    issue.retracted_at, issue.retracted_by = now, str(by)
    session.add(issue)
    return True


def put_back(session: Session, issue_id: int) -> bool:
    """Undo a retraction; tell whether there was one.

    Raises:
        NotFound: There is no such issue.
    """
    issue = find_issue(session, issue_id)
    if issue.retracted_at is None:
        return False
    issue.retracted_at, issue.retracted_by = None, ""
    session.add(issue)
    return True
