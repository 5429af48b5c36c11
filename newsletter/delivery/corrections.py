"""Corrections: a mistake that is found after the issue was mailed. Beside ``scheduling``; ``published`` shows them.

The archive and the feeds show the mended revision with a dated note; a mail that was sent stays what it was, and its
page says the note above it.
"""

from collections.abc import Collection
from datetime import datetime

from sqlmodel import Session, col, select

from newsletter.delivery.models import Correction
from newsletter.delivery.published import published_issues
from newsletter.delivery.variants import Workshop, edition_of, reader_plans
from newsletter.errors import Refused
from newsletter.issues.models import Revision
from newsletter.issues.shelf import latest_revision
from newsletter.preflight.edition import Moment, Severity
from newsletter.preflight.inspection import inspect
from newsletter.publications import Publication, publication_by_id, zone_of
from subscribers.actors import Actor


LONGEST_NOTE = 500


def correct(  # noqa: PLR0913 - what, in which words, by whom and when: the shape of every use case
    session: Session, issue_id: int, note: str, workshop: Workshop, *, live: bool, by: Actor, now: datetime
) -> Correction:
    """Let an issue's newest revision take the place of the mailed one in archive and feeds, with a dated note.

    Raises:
        NotFound: There is no such issue.
        Refused: It was not mailed yet, was retracted, has no newer revision, the note says nothing, or preflight found
            a blocker in the newer revision.
        BadIssue: The source cannot be read.
    """
    said = " ".join(note.split())
    if not said or len(said) > LONGEST_NOTE:
        raise Refused(f"say in up to {LONGEST_NOTE} characters what was wrong and is right now: --note")
    shelved = latest_revision(session, issue_id)
    publication = publication_by_id(session, shelved.issue.publication_id)
    shown = {one.issue_id: one for one in published_issues(session, publication.id, live=live, now=now)}
    if issue_id not in shown:
        raise Refused(
            f"issue {issue_id} is not in the archive: before it is mailed, a mended text is just its next revision "
            f"(`newsletter issue add FILE --revises {issue_id}`)"
        )
    if shelved.revision.id <= shown[issue_id].revision_id:
        raise Refused(
            f"issue {issue_id} has no revision after the one in the archive: give the mended text with --file"
        )
    _refuse_blockers(session, shelved.revision, publication, workshop, now)
    row = Correction(issue_id=issue_id, revision_id=shelved.revision.id, note=said, made_at=now, made_by=str(by))
    session.add(row)
    session.flush()
    return row


def _refuse_blockers(
    session: Session, revision: Revision, publication: Publication, workshop: Workshop, now: datetime
) -> None:
    """Refuse what no mail may hold: above all what a plan may not read."""
    plans = reader_plans(session, publication).values()
    moment = Moment(now.astimezone(zone_of(publication)).date(), None)
    findings = inspect(edition_of(revision.source, publication, plans, workshop, moment))
    blockers = [finding for finding in findings if finding.severity is Severity.blocker]
    if blockers:
        listed = "; ".join(f"{one.check} ({one.where}): {one.message}" for one in blockers)
        raise Refused(f"revision {revision.number} cannot stand in the archive as it is: {listed}")


def corrections_after(session: Session, revision_id: int) -> list[Correction]:
    """List the corrections of an issue that were made after one of its revisions, oldest first."""
    issue = select(Revision.issue_id).where(Revision.id == revision_id).scalar_subquery()
    found = select(Correction).where(col(Correction.issue_id) == issue, col(Correction.revision_id) > revision_id)
    return list(session.exec(found.order_by(col(Correction.id))))


def lines_of(corrections: Collection[Correction], publication: Publication, words: str) -> tuple[str, ...]:
    """Write corrections as readers see them, in plain text.

    Args:
        corrections: Those to write, in their order.
        publication: Whose days they are dated in.
        words: Such as ``Correction ({date}): {note}``.
    """
    zone = zone_of(publication)
    return tuple(words.format(date=one.made_at.astimezone(zone).date(), note=one.note) for one in corrections)
