"""How a publication grows, counted from the ledger of consent by the database itself, and how its list stands."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, literal
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from newsletter.publications import Publication, zone_of
from subscribers.consent_models import ConsentEvent, ConsentKind
from subscribers.models import AddressHash, Plan, Subscription, SubscriptionState, Suppression, SuppressionReason
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
}
GROWTH = ("asked", "imported", "confirmed", "came back", "left", "erased", "plan moves")


@dataclass(frozen=True)
class Week:
    """One week of a publication, from Monday on in its zone, counted from the ledger of consent."""

    begins: date
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Move:
    """How many readers went from one plan to another, both by their codes."""

    before: str
    after: str
    readers: int


@dataclass(frozen=True)
class Growth:
    """What readers did in some weeks, the oldest first, and between which plans they moved in all of them."""

    weeks: tuple[Week, ...]
    moves: tuple[Move, ...]


def growth_of(session: Session, publication: Publication, *, weeks: int, now: datetime) -> Growth:
    """Count what readers did in the last weeks; this week is counted as far as it has come."""
    zone = zone_of(publication)
    today = now.astimezone(zone).date()
    monday = today - timedelta(days=today.weekday())
    begins = [monday - timedelta(weeks=number) for number in reversed(range(weeks))]
    moments = [datetime(day.year, day.month, day.day, tzinfo=zone) for day in begins]
    mine = (col(ConsentEvent.publication_id) == publication.id) & (col(ConsentEvent.at) >= moments[0])
    week = _number_of(col(ConsentEvent.at), moments).label("week")
    counted: Counter[tuple[int, str]] = Counter()
    for number, since in enumerate(moments):
        for kind, count in session.execute(_by_kind(publication.id, since, *moments[number + 1 : number + 2])):
            counted[number, _MEANS[ConsentKind(kind)]] += count
    moves: Counter[tuple[str, str]] = Counter()
    for before, after, number, count in session.execute(_by_plans(mine, week)):
        counted[number, "plan moves"] += count
        moves[before, after] += count
    counts = ({name: counted[number, name] for name in GROWTH} for number in range(weeks))
    most_first = sorted(moves.items(), key=lambda one: (-one[1], one[0]))
    return Growth(tuple(map(Week, begins, counts)), tuple(Move(*plans, readers) for plans, readers in most_first))


def _number_of(at: Any, moments: Sequence[datetime], first: int = 0) -> ColumnElement[int]:
    """Tell in SQL which of the ascending moments is the last before a time, by halves: ten questions for ten years."""
    if len(moments) == 1:
        return literal(first)
    half = len(moments) // 2
    earlier, later = _number_of(at, moments[:half], first), _number_of(at, moments[half:], first + half)
    return case((at < moments[half], earlier), else_=later)


def _by_kind(publication_id: int, since: datetime, until: datetime | None = None) -> Select[*tuple[Any, ...]]:
    """Select what happened from a moment on, by kind: a stretch of an index for each, of which nothing is computed."""
    of_week = [col(ConsentEvent.at) >= since, *([col(ConsentEvent.at) < until] if until else [])]
    mine = (col(ConsentEvent.publication_id) == publication_id) & col(ConsentEvent.kind).in_(_MEANS)
    return select_columns(col(ConsentEvent.kind), func.count()).where(mine, *of_week).group_by(col(ConsentEvent.kind))


def _by_plans(mine: ColumnElement[bool], week: ColumnElement[int]) -> Select[*tuple[Any, ...]]:
    before = func.coalesce(col(ConsentEvent.detail)["from"].as_string(), "")
    changes = (
        select_columns(before.label("before"), col(Plan.code).label("after"), week)
        .join(Plan, col(Plan.id) == col(ConsentEvent.plan_id))
        # Another last day of the same plan stands in the ledger as well, and moves nobody.
        .where(mine, col(ConsentEvent.kind) == ConsentKind.plan_changed, before != col(Plan.code))
        .subquery()
    )
    kinds = (changes.c.before, changes.c.after, changes.c.week)
    return select_columns(*kinds, func.count()).group_by(*kinds)


def health_of(session: Session, publication: Publication, *, now: datetime) -> dict[str, int]:
    """Count how the list stands: readers by state, and of those who have confirmed who gets nothing, and why."""
    mine = col(Subscription.publication_id) == publication.id
    paused = func.count(case((col(Subscription.paused_until) > now, 1)))
    found = select(Subscription.state, func.count(), paused).where(mine).group_by(col(Subscription.state))
    states = {SubscriptionState(state): (count, waiting) for state, count, waiting in session.exec(found)}
    reading = mine & (col(Subscription.state) == SubscriptionState.confirmed)
    held = (
        select(Suppression.reason, func.count(func.distinct(Subscription.id)))
        .join(AddressHash, col(AddressHash.hash) == col(Suppression.address_hash))
        .join(Subscription, col(Subscription.subscriber_id) == col(AddressHash.subscriber_id))
        .where(reading, is_active(publication.id))
        .group_by(col(Suppression.reason))
    )
    reasons = {f"suppressed: {SuppressionReason(reason)}": count for reason, count in session.exec(held)}
    counted = {str(state): states.get(state, (0, 0))[0] for state in SubscriptionState}
    return {**counted, "paused": states.get(SubscriptionState.confirmed, (0, 0))[1], **reasons}
