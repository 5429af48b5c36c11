"""Reports on a publication: how it grows, and how its mails arrive at each mailbox provider. Read-only."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from newsletter.delivery.models import Mailing
from newsletter.publications import Publication, zone_of
from newsletter.reports.issue import IssueReport, report_of
from newsletter.reports.tallies import Tally, added
from subscribers.consent_models import ConsentEvent, ConsentKind
from subscribers.models import AddressHash, Subscription, SubscriptionState, Suppression, SuppressionReason
from subscribers.suppression import is_active


#: What each kind of event of the consent ledger means for growth.
_MEANS = {
    ConsentKind.asked: "asked",
    ConsentKind.imported: "imported",
    ConsentKind.added: "imported",
    ConsentKind.confirmed: "confirmed",
    ConsentKind.returned: "came back",
    ConsentKind.left: "left",
    ConsentKind.erased: "erased",
    ConsentKind.plan_changed: "plan moves",
}
GROWTH = ("asked", "imported", "confirmed", "came back", "left", "erased", "plan moves")


@dataclass(frozen=True)
class Week:
    """One week of a publication, from Monday on in its zone, counted from the ledger of consent."""

    begins: date
    counts: Mapping[str, int]


def growth_of(session: Session, publication: Publication, *, weeks: int, now: datetime) -> list[Week]:
    """Count what readers did in the last weeks, the oldest first; this week is counted as far as it has come."""
    zone = zone_of(publication)
    today = now.astimezone(zone).date()
    monday = today - timedelta(days=today.weekday())
    first = monday - timedelta(weeks=weeks - 1)
    since = datetime(first.year, first.month, first.day, tzinfo=zone)
    found = select(ConsentEvent.kind, ConsentEvent.at).where(
        ConsentEvent.publication_id == publication.id, col(ConsentEvent.at) >= since
    )
    counted: Counter[tuple[date, str]] = Counter()
    for kind, at in session.exec(found.execution_options(yield_per=5000)):
        if name := _MEANS.get(ConsentKind(kind)):
            day = at.astimezone(zone).date()
            counted[day - timedelta(days=day.weekday()), name] += 1
    mondays = [first + timedelta(weeks=number) for number in range(weeks)]
    return [Week(begins, {name: counted[begins, name] for name in GROWTH}) for begins in mondays]


def health_of(session: Session, publication: Publication, *, now: datetime) -> dict[str, int]:
    """Count how the list stands: readers by state, and of those who have confirmed who gets nothing, and why."""
    mine = col(Subscription.publication_id) == publication.id
    states = select(Subscription.state, func.count()).where(mine).group_by(col(Subscription.state))
    counted = {str(SubscriptionState(state)): count for state, count in session.exec(states)}
    reading = mine & (col(Subscription.state) == SubscriptionState.confirmed)
    paused = select(func.count()).select_from(Subscription).where(reading, col(Subscription.paused_until) > now)
    held = (
        select(Suppression.reason, func.count(func.distinct(Subscription.id)))
        .join(AddressHash, col(AddressHash.hash) == col(Suppression.address_hash))
        .join(Subscription, col(Subscription.subscriber_id) == col(AddressHash.subscriber_id))
        .where(reading, is_active(publication.id))
        .group_by(col(Suppression.reason))
    )
    reasons = {f"suppressed: {SuppressionReason(reason)}": count for reason, count in session.exec(held)}
    return {**dict.fromkeys(SubscriptionState, 0), **counted, "paused": session.exec(paused).one(), **reasons}


def last_reports(
    session: Session, publication: Publication, *, issues: int, live: bool, before: IssueReport | None = None
) -> list[IssueReport]:
    """Report on the last mailings of a publication, the newest first; ``before``: on those that began before it."""
    earlier = col(Mailing.begun_at) < before.begun_at if before else col(Mailing.begun_at).is_not(None)
    found = (
        select(Mailing.id)
        .where(Mailing.publication_id == publication.id, earlier, col(Mailing.live).is_(live))
        .order_by(col(Mailing.begun_at).desc(), col(Mailing.id).desc())
        .limit(issues)
    )
    return [report_of(session, mailing_id) for mailing_id in session.exec(found).all()]


def by_provider(reports: list[IssueReport]) -> dict[str, Tally]:
    """Add several mailings up by mailbox provider, the largest first."""
    names = sorted({name for one in reports for name in one.by_provider})
    tallies = {name: added([one.by_provider[name] for one in reports if name in one.by_provider]) for name in names}
    return dict(sorted(tallies.items(), key=lambda one: (-one[1].recipients, one[0])))
