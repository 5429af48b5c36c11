"""Matching: a filter as a condition in SQL, on subscriptions and their subscribers. After ``filters``.

Used by listings, by tags for many, and by the freeze. Whatever a reader does not have is equal to nothing: ``tag!=vip``
and ``attr.city!=上海`` hold for who has no tag and no city.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, func, or_, true
from sqlmodel import Session, col, select

from subscribers.attributes import number_of
from subscribers.errors import RefusedFilter
from subscribers.filters import Comparison, Condition, Filter, read_date
from subscribers.models import (
    Attribute,
    AttributeKind,
    AttributeValue,
    Subscriber,
    Subscription,
    SubscriptionTag,
)
from subscribers.plans import list_plans


@dataclass(frozen=True)
class Home:
    """What a publication adds to a filter: whose it is, where its days begin, and the language of who named none."""

    publication_id: int
    zone: ZoneInfo
    locale: str


def matches(session: Session, wanted: Filter, home: Home) -> ColumnElement[bool]:
    """Give the condition on ``Subscription`` joined with ``Subscriber`` that holds for the readers who are meant.

    Raises:
        RefusedFilter: It names a plan or an attribute that the publication does not have, or compares one with what
            it cannot be.
    """
    plans = {plan.code: plan.id for plan in list_plans(session, home.publication_id)}
    found = select(Attribute).where(Attribute.publication_id == home.publication_id)
    attributes = {one.code: one for one in session.exec(found)}
    return and_(true(), *(_condition(one, home, plans, attributes) for one in wanted.conditions))


def _condition(
    one: Condition, home: Home, plans: Mapping[str, int], attributes: Mapping[str, Attribute]
) -> ColumnElement[bool]:
    if one.attribute:
        return _attribute(one, attributes)
    match one.field:
        case "plan":
            return _among(one, col(Subscription.plan_id), _plans(one, plans))
        case "state":
            return _among(one, col(Subscription.state), one.values)
        case "domain":
            return _among(one, col(Subscriber.domain), one.values)
        case "locale":
            own = func.lower(func.coalesce(func.nullif(col(Subscriber.locale), ""), home.locale))
            return _negated(one, own.in_(one.values))
        case "tag":
            tagged = select(SubscriptionTag.subscription_id).where(col(SubscriptionTag.tag).in_(one.values))
            return _negated(one, col(Subscription.id).in_(tagged))
        case "joined":
            return _joined(one, home.zone)
    raise RefusedFilter(f"{one}: there is no field {one.field!r}")


def _among(one: Condition, column: Any, values: tuple[Any, ...]) -> ColumnElement[bool]:
    return _negated(one, column.in_(values))


def _negated(one: Condition, holds: ColumnElement[bool]) -> ColumnElement[bool]:
    return ~holds if one.comparison is Comparison.is_not else holds


def _plans(one: Condition, plans: Mapping[str, int]) -> tuple[int, ...]:
    if unknown := [code for code in one.values if code not in plans]:
        raise RefusedFilter(f"{one}: there is no plan {unknown[0]!r}; there is: {', '.join(plans)}")
    return tuple(plans[code] for code in one.values)


def _joined(one: Condition, zone: ZoneInfo) -> ColumnElement[bool]:
    """Compare the day on which a subscription began, in the publication's zone."""
    since = col(Subscription.created_at)
    days = [found for value in one.values if (found := read_date(value))]
    begins, ends = _midnight(days[0], zone), _midnight(days[0] + timedelta(days=1), zone)
    match one.comparison:
        case Comparison.at_least:
            return since >= begins
        case Comparison.below:
            return since < begins
        case Comparison.above:
            return since >= ends
        case Comparison.at_most:
            return since < ends
    within = (and_(since >= _midnight(day, zone), since < _midnight(day + timedelta(days=1), zone)) for day in days)
    return _negated(one, or_(*within))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    # In UTC, so that SQLite, which compares texts, compares times.
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _attribute(one: Condition, attributes: Mapping[str, Attribute]) -> ColumnElement[bool]:
    attribute = attributes.get(one.attribute)
    if attribute is None:
        there_is = ", ".join(attributes) or "none yet: make one with `newsletter subscribers attributes add`"
        raise RefusedFilter(f"{one}: there is no attribute {one.attribute!r}; there is: {there_is}")
    has = select(AttributeValue.subscription_id).where(
        AttributeValue.attribute_id == attribute.id, _compared(one, attribute.kind)
    )
    return _negated(one, col(Subscription.id).in_(has))


def _compared(one: Condition, kind: AttributeKind) -> ColumnElement[bool]:
    """Compare a stored value; ``!=`` is negated outside, so that it holds for who has none."""
    column: Any
    values: list[str] | list[float]
    if kind in {AttributeKind.text, AttributeKind.date}:
        column, values = col(AttributeValue.text), list(one.values)
        bad = [value for value in one.values if kind is AttributeKind.date and not read_date(value)]
    else:
        numbers = {value: number_of(kind, value) for value in one.values}
        bad = [value for value, number in numbers.items() if number is None]
        column, values = col(AttributeValue.number), [number for number in numbers.values() if number is not None]
    if bad:
        example = {AttributeKind.date: "2026-11-23", AttributeKind.number: "30", AttributeKind.yes_no: "yes"}[kind]
        raise RefusedFilter(f"{one}: {bad[0]!r} is no {kind.value.replace('_', ' or ')}; write {example}")
    ordered = one.comparison not in {Comparison.equals, Comparison.is_not}
    if ordered and kind in {AttributeKind.text, AttributeKind.yes_no}:
        raise RefusedFilter(f"{one}: {one.attribute} is {kind.value.replace('_', ' or ')}, compared with = and != only")
    return _COMPARED[one.comparison](column, values)


_COMPARED: Mapping[Comparison, Callable[[Any, Any], ColumnElement[bool]]] = {
    Comparison.equals: lambda column, values: column.in_(values),
    Comparison.is_not: lambda column, values: column.in_(values),
    Comparison.at_least: lambda column, values: column >= values[0],
    Comparison.at_most: lambda column, values: column <= values[0],
    Comparison.below: lambda column, values: column < values[0],
    Comparison.above: lambda column, values: column > values[0],
}


def this_one(subscription_id: int) -> ColumnElement[bool]:
    """Give the condition that holds for one subscription alone."""
    return col(Subscription.id) == subscription_id
