"""The last issues of a publication beside each other, and how they arrived at each mailbox provider. Read-only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from newsletter.delivery.models import Mailing
from newsletter.publications import Publication
from newsletter.reports.counting import rows_of
from newsletter.reports.issue import IssueReport, of_an_issue, subject_of
from newsletter.reports.tallies import Tally, added, by, tally


@dataclass(frozen=True)
class MailedIssue:
    """An issue by all its mailings together: also by those that went later, to who did not have it yet.

    Attributes:
        begun_at: When the first of them began.
    """

    issue_id: int
    subject: str
    begun_at: datetime
    total: Tally
    by_provider: Mapping[str, Tally]

    def as_json(self) -> dict[str, object]:
        """Write it by name."""
        providers = {name: one.as_json() for name, one in self.by_provider.items()}
        return {**vars(self), "total": self.total.as_json(), "by_provider": providers}


def last_issues(
    session: Session, publication: Publication, *, issues: int, live: bool, up_to: IssueReport | None = None
) -> list[MailedIssue]:
    """Count the last issues of a publication, the newest first.

    Args:
        session: A session.
        publication: The publication.
        issues: How many at most.
        live: Which side of NOT LIVE they were mailed on.
        up_to: A report that they stand beside: none that began later, and its own mailing is not counted again.
    """
    if up_to is not None and up_to.begun_at is None:
        return []
    begun = func.min(Mailing.begun_at)
    found = (
        select(Mailing.issue_id, begun)
        .where(Mailing.publication_id == publication.id, col(Mailing.live).is_(live), of_an_issue())
        .group_by(col(Mailing.issue_id))
        .order_by(begun.desc(), col(Mailing.issue_id).desc())
        .limit(issues)
    )
    if up_to is not None:
        found = found.having(begun <= up_to.begun_at)
    newest = session.exec(found).all()
    return [_counted(session, issue_id, begun_at, live=live, known=up_to) for issue_id, begun_at in newest if begun_at]


def _counted(
    session: Session, issue_id: int, begun_at: datetime, *, live: bool, known: IssueReport | None
) -> MailedIssue:
    found = select(Mailing.id).where(Mailing.issue_id == issue_id, col(Mailing.live).is_(live), of_an_issue())
    mailings = session.exec(found.order_by(col(Mailing.id))).all()
    others = [one for one in mailings if known is None or one != known.mailing_id]
    rows = [row for mailing_id in others for row in rows_of(session, mailing_id)]
    total: list[Tally] = [tally(rows)]
    providers: list[Mapping[str, Tally]] = [by(rows, lambda row: row.provider)]
    if known is not None and known.mailing_id in mailings:
        total.append(known.total)
        providers.append(known.by_provider)
    return MailedIssue(issue_id, subject_of(session, mailings[-1]), begun_at, added(total), joined(providers))


def joined(parts: Iterable[Mapping[str, Tally]]) -> dict[str, Tally]:
    """Add up what stands under the same names, the largest first."""
    groups: dict[str, list[Tally]] = {}
    for name, one in (pair for part in parts for pair in part.items()):
        groups.setdefault(name, []).append(one)
    tallies = {name: added(those) for name, those in groups.items()}
    return dict(sorted(tallies.items(), key=lambda one: (-one[1].recipients, one[0])))
