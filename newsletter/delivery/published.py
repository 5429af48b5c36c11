"""What of a publication stands in its archive: issues of which a mailing has begun. Read-only; for pages and feeds.

An issue that was only scheduled, can still be undone, or was mailed on the other side of NOT LIVE, is nobody's to read
yet; one that was retracted is nobody's any more. Of the rest the newest revision that was mailed is shown, or the one
that a correction put in its place; not one that still waits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, exists, or_
from sqlmodel import Session, col, func, select

from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.models import Attempt, Batch, Correction, Delivery, Mailing
from newsletter.issues.models import Issue, Revision


@dataclass(frozen=True)
class Published:
    """An issue of the archive: since when it stands there, since when in this revision, and what was corrected."""

    issue_id: int
    revision_id: int
    published_at: datetime
    revised_at: datetime
    corrections: tuple[Correction, ...] = ()


def published_issues(session: Session, publication_id: int, *, live: bool, now: datetime) -> tuple[Published, ...]:
    """List a publication's archive, newest first."""
    revisions: dict[int, list[tuple[int, datetime]]] = {}
    for issue_id, revision_id, begun_at in _begun(session, publication_id, live=live, now=now):
        revisions.setdefault(issue_id, []).append((revision_id, begun_at))
    mended = _corrections(session, revisions)
    found = (_published(issue_id, begun, mended.get(issue_id, ())) for issue_id, begun in revisions.items())
    return tuple(sorted(found, key=lambda one: (one.published_at, one.issue_id), reverse=True))


def _begun(session: Session, publication_id: int, *, live: bool, now: datetime) -> Iterable[tuple[int, int, datetime]]:
    # What can still be undone, or was undone before any mail left, is nobody's to read.
    may_have_left = or_(col(Mailing.first_call_at).is_(None), col(Mailing.first_call_at) <= now)
    stands = may_have_left & not_taken_back()
    found = (
        select(Mailing.issue_id, Mailing.revision_id, Mailing.begun_at)
        .join(Issue, col(Issue.id) == col(Mailing.issue_id))
        .where(Mailing.publication_id == publication_id, col(Mailing.live).is_(live))
        .where(col(Mailing.begun_at).is_not(None), col(Issue.retracted_at).is_(None), stands)
    )
    return ((issue_id, revision_id, begun) for issue_id, revision_id, begun in session.exec(found) if begun)


def _corrections(session: Session, issue_ids: Iterable[int]) -> dict[int, tuple[Correction, ...]]:
    found = select(Correction).where(col(Correction.issue_id).in_(list(issue_ids))).order_by(col(Correction.id))
    grouped: dict[int, tuple[Correction, ...]] = {}
    for one in session.exec(found):
        grouped[one.issue_id] = (*grouped.get(one.issue_id, ()), one)
    return grouped


def _published(issue_id: int, begun: Sequence[tuple[int, datetime]], corrections: tuple[Correction, ...]) -> Published:
    shown = [*begun, *((one.revision_id, one.made_at) for one in corrections)]
    # A later revision has a greater id.
    newest = max(revision_id for revision_id, _ in shown)
    return Published(
        issue_id,
        newest,
        published_at=min(at for _, at in begun),
        revised_at=min(at for revision_id, at in shown if revision_id == newest),
        corrections=corrections,
    )


def not_taken_back() -> ColumnElement[bool]:
    """Give the condition for mailings that were not cancelled before their first call."""
    called = exists().where(col(Batch.mailing_id) == col(Mailing.id), col(Attempt.batch_id) == col(Batch.id))
    return or_(col(Mailing.state) != MailingState.cancelled, called)


def is_retracted(session: Session, issue_id: int, publication_id: int) -> bool:
    """Tell whether an issue of a publication was taken back."""
    mine = (col(Issue.id) == issue_id) & (col(Issue.publication_id) == publication_id)
    return session.exec(select(Issue.retracted_at).where(mine)).first() is not None


def sources_of(session: Session, revision_ids: Iterable[int]) -> dict[int, str]:
    """Read the sources of revisions, by their ids."""
    found = select(Revision.id, Revision.source).where(col(Revision.id).in_(list(revision_ids)))
    return dict(session.exec(found).all())


def readers_of(session: Session, issue_id: int, *, live: bool) -> int:
    """Count the readers whom an issue reached, or may have reached."""
    reached = select(func.count(func.distinct(Delivery.subscriber_id))).where(
        Delivery.issue_id == issue_id, col(Delivery.live).is_(live), col(Delivery.may_have_reached)
    )
    return session.exec(reached).one()
