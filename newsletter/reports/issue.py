"""The report of one mailing: every candidate accounted for, from the audience to what the provider said last.

One query counts deliveries by everything that tells them apart; all else is sums of its rows, so that no two numbers of
a report can contradict each other. ``accepted = delivered + deferred + processed + silent + dropped + bounced``.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func
from sqlalchemy import select as select_columns
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col, select

from newsletter.delivery.accounts import exclusions_of
from newsletter.delivery.lifecycle import BatchState, Difference
from newsletter.delivery.mailings import find_mailing
from newsletter.delivery.models import Batch, Delivery, Mailing, Variant
from newsletter.delivery.progress import class_of
from newsletter.delivery.published import not_taken_back
from newsletter.errors import NotFound
from newsletter.feedback.models import DeliveryOutcome, FeedbackEventRow, LinkClick, TrackedLink
from newsletter.feedback.outcomes import BOUNCED, Outcome
from newsletter.providers.feedback import FeedbackKind
from subscribers.consent_models import ConsentEvent, ConsentKind
from subscribers.models import Plan


#: Who leaves within so many days, and before the next mailing, is counted for this one.
LEFT_WITHIN = timedelta(days=7)
TOP_LINKS = 10


@dataclass(frozen=True)
class Tally:
    """What became of some recipients.

    Attributes:
        accepted: Whom SendGrid took.
        silent: Accepted, and nothing was heard of them since.
        bounces: By class; their sum is ``bounced``.
        opened: People's programs that loaded the picture; ``machine_opened`` are those that load it by themselves.
    """

    recipients: int = 0
    accepted: int = 0
    delivered: int = 0
    deferred: int = 0
    processed: int = 0
    silent: int = 0
    dropped: int = 0
    bounces: Mapping[str, int] = field(default_factory=dict)
    complained: int = 0
    unsubscribed: int = 0
    opened: int = 0
    machine_opened: int = 0
    clicked: int = 0

    @property
    def bounced(self) -> int:
        """How many bounced, for whatever reason."""
        return sum(self.bounces.values())

    @property
    def balances(self) -> bool:
        """Whether the accepted are in exactly one place each."""
        heard = self.delivered + self.deferred + self.processed + self.dropped + self.bounced
        return self.accepted == heard + self.silent

    def as_json(self) -> dict[str, object]:
        """Write it by name."""
        return {**vars(self), "bounces": dict(self.bounces), "bounced": self.bounced}


@dataclass(frozen=True)
class IssueReport:
    """What became of a mailing.

    Attributes:
        deferred_once: How many were put off at least once, whatever came after.
        left: Who left the publication within a week and before its next mailing, by whatever way.
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
    deferred_once: int
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


@dataclass(frozen=True)
class _Row:
    """Deliveries that are alike in all that is reported."""

    plan: str
    provider: str
    place: str
    outcome: Outcome
    count: int
    complained: int
    unsubscribed: int
    opened: int
    machine_opened: int
    clicked: int


def report_of(session: Session, mailing_id: int) -> IssueReport:
    """Report on a mailing.

    Raises:
        NotFound: There is no such mailing.
    """
    mailing = find_mailing(session, mailing_id)
    rows = _rows(session, mailing)
    return IssueReport(
        mailing_id=mailing.id,
        issue_id=mailing.issue_id,
        begun_at=mailing.begun_at,
        live=mailing.live,
        candidates=mailing.candidates,
        exclusions=exclusions_of(session, mailing.id),
        total=tally(rows),
        by_plan=_by(rows, lambda row: row.plan),
        by_provider=_by(rows, lambda row: row.provider),
        deferred_once=_deferred_once(session, mailing.id),
        left=_left(session, mailing),
        top_links=_top_links(session, mailing.id),
    )


def latest_mailing(session: Session, issue_id: int) -> int:
    """Find the mailing of an issue that began last.

    Raises:
        NotFound: The issue was not mailed yet, or there is none.
    """
    # A correction has a report of its own, by its mailing's number.
    whole = (col(Mailing.issue_id) == issue_id) & col(Mailing.correction_id).is_(None)
    found = select(Mailing.id).where(whole, col(Mailing.begun_at).is_not(None), not_taken_back())
    mailing_id = session.exec(found.order_by(col(Mailing.begun_at).desc()).limit(1)).first()
    if mailing_id is None:
        raise NotFound(f"issue {issue_id} was not mailed yet: `newsletter mailing list` shows what was")
    return mailing_id


def subject_of(session: Session, mailing_id: int) -> str:
    """Give the subject that a mailing's first variant had."""
    found = select(Variant.subject).where(Variant.mailing_id == mailing_id).order_by(col(Variant.id)).limit(1)
    return session.exec(found).first() or f"mailing {mailing_id}"


def tally(rows: Iterable[_Row]) -> Tally:
    """Sum up rows."""
    counts: dict[str, int] = {}
    bounces: dict[str, int] = {}
    for row in rows:
        added = {"recipients": row.count}
        if row.place == "accepted":
            added |= {"accepted": row.count, "complained": row.complained, "unsubscribed": row.unsubscribed}
            added |= {"opened": row.opened, "machine_opened": row.machine_opened, "clicked": row.clicked}
            if row.outcome in BOUNCED:
                bounces[row.outcome.name] = bounces.get(row.outcome.name, 0) + row.count
            else:
                added["silent" if row.outcome is Outcome.nothing else row.outcome.name] = row.count
        for name, count in added.items():
            counts[name] = counts.get(name, 0) + count
    return Tally(**counts, bounces=dict(sorted(bounces.items())))


def added(tallies: Iterable[Tally]) -> Tally:
    """Add tallies up."""
    counts: Counter[str] = Counter()
    bounces: Counter[str] = Counter()
    for one in tallies:
        counts.update({name: value for name, value in vars(one).items() if isinstance(value, int)})
        bounces.update(one.bounces)
    return Tally(**counts, bounces=dict(sorted(bounces.items())))


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
    return func.strftime("%Y-%m-%d %H", column)


def _by(rows: Iterable[_Row], name: Callable[[_Row], str]) -> dict[str, Tally]:
    groups: dict[str, list[_Row]] = {}
    for row in rows:
        groups.setdefault(name(row), []).append(row)
    tallies = {one: tally(those) for one, those in groups.items()}
    return dict(sorted(tallies.items(), key=lambda one: (-one[1].recipients, one[0])))


def _rows(session: Session, mailing: Mailing) -> list[_Row]:
    marks = ("complained_at", "unsubscribed_at", "opened_at", "machine_opened_at", "clicked_at")
    outcome = func.coalesce(col(DeliveryOutcome.outcome), 0)
    kinds = (col(Batch.variant_id), col(Batch.lane), col(Batch.state), col(Delivery.difference), outcome)
    found = (
        select_columns(*kinds, func.count(), *(func.count(getattr(DeliveryOutcome, mark)) for mark in marks))
        .select_from(Delivery)
        .outerjoin(Batch, col(Batch.id) == col(Delivery.batch_id))
        .outerjoin(DeliveryOutcome, col(DeliveryOutcome.delivery_id) == col(Delivery.id))
        .where(col(Delivery.mailing_id) == mailing.id)
        .group_by(*kinds)
    )
    plans = _plans(session, mailing.id)
    return [
        _Row(plans.get(variant, ""), lane or "", _place(state, difference), Outcome(said), *counts)
        for variant, lane, state, difference, said, *counts in session.execute(found)
    ]


def _place(state: str | None, difference: str | None) -> str:
    return class_of(BatchState(state) if state else None, Difference(difference) if difference else None)


def _plans(session: Session, mailing_id: int) -> dict[int, str]:
    found = select(Variant.id, Plan.code).join(Plan, col(Plan.id) == col(Variant.plan_id))
    return dict(session.exec(found.where(Variant.mailing_id == mailing_id)).all())


def _deferred_once(session: Session, mailing_id: int) -> int:
    found = select(func.count(func.distinct(FeedbackEventRow.delivery_id))).where(
        FeedbackEventRow.mailing_id == mailing_id, FeedbackEventRow.kind == FeedbackKind.deferred
    )
    return session.exec(found).one()


def _left(session: Session, mailing: Mailing) -> int:
    """Count recipients who left soon after."""
    if mailing.begun_at is None:
        return 0
    following = select(func.min(Mailing.begun_at)).where(
        Mailing.publication_id == mailing.publication_id, col(Mailing.begun_at) > mailing.begun_at
    )
    until = min(filter(None, (session.exec(following).one(), mailing.begun_at + LEFT_WITHIN)))
    found = (
        select(func.count(func.distinct(ConsentEvent.subscription_id)))
        .join(
            Delivery,
            (col(Delivery.subscription_id) == col(ConsentEvent.subscription_id))
            & (col(Delivery.mailing_id) == mailing.id),
        )
        .where(
            ConsentEvent.kind == ConsentKind.left,
            col(ConsentEvent.at) >= mailing.begun_at,
            col(ConsentEvent.at) < until,
        )
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
