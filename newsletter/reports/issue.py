"""The report of one mailing: every candidate accounted for, from the audience to what the provider said last.

``counting`` counts deliveries by everything that tells them apart; all numbers are sums of its rows (``tallies``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, exists, func
from sqlalchemy import select as select_columns
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col, select

from newsletter.delivery.accounts import exclusions_of
from newsletter.delivery.mailings import find_mailing
from newsletter.delivery.models import Delivery, Mailing, Variant
from newsletter.delivery.published import not_taken_back
from newsletter.errors import NotFound
from newsletter.feedback.models import DeliveryOutcome, LinkClick, TrackedLink
from newsletter.feedback.outcomes import Outcome
from newsletter.reports.counting import rows_of
from newsletter.reports.tallies import Tally, by, tally
from subscribers.consent_models import ConsentEvent, ConsentKind


#: Who leaves within so many days, and before the next issue, is counted for this one.
LEFT_WITHIN = timedelta(days=7)
TOP_LINKS = 10


@dataclass(frozen=True)
class IssueReport:
    """What became of a mailing.

    Attributes:
        left: Of those it may have reached, who left the publication within a week and before its next issue.
        top_links: The links that most readers clicked, with how many, where the publication counts clicks.
    """

    mailing_id: int
    issue_id: int
    begun_at: datetime | None
    live: bool
    candidates: int
    exclusions: Mapping[str, int]
    total: Tally
    by_plan: Mapping[str, Tally]
    by_provider: Mapping[str, Tally]
    left: int
    top_links: tuple[tuple[str, int], ...]

    @property
    def balances(self) -> bool:
        """Whether every candidate is accounted for, and the parts make the whole."""
        whole = self.candidates == self.total.recipients + sum(self.exclusions.values()) and self.total.balances
        parts = (self.by_plan.values(), self.by_provider.values())
        return whole and all(sum(one.accepted for one in part) == self.total.accepted for part in parts)

    def as_json(self) -> dict[str, object]:
        """Write it by name."""
        return {
            **vars(self),
            "exclusions": dict(self.exclusions),
            "total": self.total.as_json(),
            "by_plan": {name: one.as_json() for name, one in self.by_plan.items()},
            "by_provider": {name: one.as_json() for name, one in self.by_provider.items()},
            "balances": self.balances,
        }


def report_of(session: Session, mailing_id: int) -> IssueReport:
    """Report on a mailing.

    Raises:
        NotFound: There is no such mailing.
    """
    mailing = find_mailing(session, mailing_id)
    rows = rows_of(session, mailing.id)
    return IssueReport(
        mailing_id=mailing.id,
        issue_id=mailing.issue_id,
        begun_at=mailing.begun_at,
        live=mailing.live,
        candidates=mailing.candidates,
        exclusions=exclusions_of(session, mailing.id),
        total=tally(rows),
        by_plan=by(rows, lambda row: row.plan),
        by_provider=by(rows, lambda row: row.provider),
        left=_left(session, mailing),
        top_links=_top_links(session, mailing.id),
    )


def latest_mailing(session: Session, issue_id: int, *, live: bool) -> int:
    """Find the mailing of an issue that began last, on this side of NOT LIVE where there is one.

    Raises:
        NotFound: The issue was not mailed yet, or there is none.
    """
    found = select(Mailing.id).where(Mailing.issue_id == issue_id, of_an_issue())
    other_side = case((col(Mailing.live).is_(live), 0), else_=1)
    latest = (other_side, col(Mailing.begun_at).desc(), col(Mailing.id).desc())
    mailing_id = session.exec(found.order_by(*latest).limit(1)).first()
    if mailing_id is None:
        raise NotFound(f"issue {issue_id} was not mailed yet: `newsletter mailing list` shows what was")
    return mailing_id


def of_an_issue() -> ColumnElement[bool]:
    """Give the condition for mailings that brought an issue: they began, and were not taken back before any mail left.

    A correction is another mail, and has a report of its own, by its mailing's number.
    """
    return col(Mailing.correction_id).is_(None) & col(Mailing.begun_at).is_not(None) & not_taken_back()


def subject_of(session: Session, mailing_id: int) -> str:
    """Give the subject that a mailing's first variant had."""
    found = select(Variant.subject).where(Variant.mailing_id == mailing_id).order_by(col(Variant.id)).limit(1)
    return session.exec(found).first() or f"mailing {mailing_id}"


def arrivals(session: Session, mailing_id: int) -> dict[str, int]:
    """Count deliveries by the hour they arrived in (UTC, as 2026-11-23 09), the earliest first."""
    hour = hour_of(col(DeliveryOutcome.outcome_at), session.get_bind().dialect.name)
    found = (
        select_columns(hour, func.count())
        .join(Delivery, col(Delivery.id) == col(DeliveryOutcome.delivery_id))
        .where(col(Delivery.mailing_id) == mailing_id, col(DeliveryOutcome.outcome) == int(Outcome.delivered))
        .group_by(hour)
        .order_by(hour)
    )
    return {str(name): count for name, count in session.execute(found)}


def hour_of(column: Mapped[Any], dialect: str) -> ColumnElement[str]:
    """Write a moment's hour in SQL."""
    if dialect == "postgresql":
        return func.to_char(func.timezone("UTC", column), "YYYY-MM-DD HH24")
    return func.substr(column, 1, len("2026-11-23 09"))


def _left(session: Session, mailing: Mailing) -> int:
    """Count whom it may have reached and who left soon after; a cohort that has the same issue later ends nothing."""
    if mailing.begun_at is None:
        return 0
    following = select(func.min(Mailing.begun_at)).where(
        Mailing.publication_id == mailing.publication_id,
        Mailing.issue_id != mailing.issue_id,
        of_an_issue(),
        col(Mailing.live).is_(mailing.live),
        col(Mailing.begun_at) > mailing.begun_at,
    )
    until = min(filter(None, (session.exec(following).one(), mailing.begun_at + LEFT_WITHIN)))
    # Of the few who left, who is among the many who were mailed; the other way round takes four times as long.
    was_mailed = exists().where(
        col(Delivery.mailing_id) == mailing.id,
        col(Delivery.subscriber_id) == col(ConsentEvent.subscriber_id),
        col(Delivery.subscription_id) == col(ConsentEvent.subscription_id),
        col(Delivery.may_have_reached),
    )
    found = select(func.count(func.distinct(ConsentEvent.subscription_id))).where(
        ConsentEvent.publication_id == mailing.publication_id,
        ConsentEvent.kind == ConsentKind.left,
        col(ConsentEvent.at) >= mailing.begun_at,
        col(ConsentEvent.at) < until,
        was_mailed,
    )
    return session.exec(found).one()


def _top_links(session: Session, mailing_id: int) -> tuple[tuple[str, int], ...]:
    found = (
        select(TrackedLink.url, func.count())
        .join(LinkClick, col(LinkClick.link_id) == col(TrackedLink.id))
        .where(TrackedLink.mailing_id == mailing_id)
        .group_by(col(TrackedLink.id), col(TrackedLink.url))
        .order_by(func.count().desc(), col(TrackedLink.url))
        .limit(TOP_LINKS)
    )
    return tuple((url, count) for url, count in session.exec(found))
