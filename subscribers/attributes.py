"""Attributes and tags: what a publication keeps of its readers beside what everyone has. Before ``matching``.

An attribute has a kind, so that ages compare as numbers and days as days; a tag is a word. Both belong to one
subscription, and go with the person.
"""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, func, literal
from sqlalchemy import select as select_columns
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from subscribers.bulk import rows_changed, table_of
from subscribers.errors import RefusedFilter
from subscribers.filters import MAX_VALUE, clean_tag, clean_text, read_date
from subscribers.models import Attribute, AttributeKind, AttributeValue, Subscriber, Subscription, SubscriptionTag


_CODE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_YES_NO = {"yes": 1.0, "true": 1.0, "是": 1.0, "no": 0.0, "false": 0.0, "否": 0.0}


@dataclass(frozen=True)
class AttributeView:
    """An attribute, and how many readers have a value of it."""

    code: str
    kind: AttributeKind
    readers: int


def add_attribute(session: Session, publication_id: int, code: str, kind: AttributeKind) -> None:
    """Say that a publication keeps something of its readers.

    Raises:
        RefusedFilter: The code cannot be used in filters, or is taken.
    """
    if not _CODE.fullmatch(code):
        raise RefusedFilter(f"attribute {code!r}: use 1 to 40 letters a-z, digits, - and _, such as city")
    if code in _attributes(session, publication_id):
        raise RefusedFilter(f"there is already an attribute {code!r} in this publication")
    session.add(Attribute(publication_id=publication_id, code=code, kind=kind))
    session.flush()


def list_attributes(session: Session, publication_id: int) -> list[AttributeView]:
    """List a publication's attributes by code."""
    found = (
        select(Attribute.code, Attribute.kind, func.count(col(AttributeValue.subscription_id)))
        .outerjoin(AttributeValue, col(AttributeValue.attribute_id) == col(Attribute.id))
        .where(Attribute.publication_id == publication_id)
        .group_by(col(Attribute.id), col(Attribute.code), col(Attribute.kind))
        .order_by(Attribute.code)
    )
    return [AttributeView(code, AttributeKind(kind), readers) for code, kind, readers in session.exec(found)]


def values_of(session: Session, subscription_id: int) -> dict[str, str]:
    """Give what is kept of a reader, by attribute, as filters write it."""
    found = (
        select(Attribute, AttributeValue)
        .join(AttributeValue, col(AttributeValue.attribute_id) == col(Attribute.id))
        .where(AttributeValue.subscription_id == subscription_id)
        .order_by(Attribute.code)
    )
    return {attribute.code: _written(attribute.kind, value) for attribute, value in session.exec(found)}


def tags_of(session: Session, subscription_id: int) -> list[str]:
    """Give a reader's tags."""
    found = select(SubscriptionTag.tag).where(SubscriptionTag.subscription_id == subscription_id)
    return sorted(session.exec(found))


def set_values(session: Session, publication_id: int, subscription_id: int, values: Mapping[str, str]) -> None:
    """Keep values of a reader, in place of those before; an empty one is forgotten.

    Raises:
        RefusedFilter: There is no such attribute, or the value is none of its kind.
    """
    attributes = _attributes(session, publication_id)
    rows = [_row(attributes, code, written) for code, written in values.items()]
    for attribute, text, number in rows:
        stored = session.get(AttributeValue, (subscription_id, attribute.id))
        if text is None and number is None:
            if stored:
                session.delete(stored)
            continue
        stored = stored or AttributeValue(subscription_id=subscription_id, attribute_id=attribute.id)
        stored.text, stored.number = text, number
        session.add(stored)
    session.flush()


def tag(
    session: Session, publication_id: int, who: ColumnElement[bool], *, add: Collection[str], remove: Collection[str]
) -> tuple[int, int]:
    """Put tags on the readers of a publication whom a condition names, and take others off; give how many of each.

    Raises:
        RefusedFilter: A word cannot be a tag.
    """
    added, removed = (sorted({clean_tag(one) for one in words}) for words in (add, remove))
    theirs = (
        select_columns(col(Subscription.id))
        .join(Subscriber, col(Subscriber.id) == col(Subscription.subscriber_id))
        .where(col(Subscription.publication_id) == publication_id, who)
    )
    off = delete(SubscriptionTag).where(
        col(SubscriptionTag.subscription_id).in_(theirs), col(SubscriptionTag.tag).in_(removed)
    )
    gone = rows_changed(session.execute(off)) if removed else 0
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    put = 0
    for one in added:
        rows = theirs.add_columns(literal(one))
        into = dialect.insert(table_of(SubscriptionTag)).from_select(["subscription_id", "tag"], rows)
        put += rows_changed(
            session.execute(into.on_conflict_do_nothing(), execution_options={"preserve_rowcount": True})
        )
    return put, gone


def number_of(kind: AttributeKind, written: str) -> float | None:
    """Read a number, or yes and no as 1 and 0; nothing where it is none."""
    if kind is AttributeKind.yes_no:
        return _YES_NO.get(written.casefold())
    try:
        number = float(written)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _attributes(session: Session, publication_id: int) -> dict[str, Attribute]:
    found = select(Attribute).where(Attribute.publication_id == publication_id)
    return {one.code: one for one in session.exec(found)}


def _row(attributes: Mapping[str, Attribute], code: str, written: str) -> tuple[Attribute, str | None, float | None]:
    if (attribute := attributes.get(code)) is None:
        there_is = ", ".join(attributes) or "none yet: make one with `newsletter subscribers attributes add`"
        raise RefusedFilter(f"there is no attribute {code!r}; there is: {there_is}")
    value = clean_text(written)
    if not value:
        return attribute, None, None
    if attribute.kind in {AttributeKind.text, AttributeKind.date}:
        if len(value) > MAX_VALUE or not value.isprintable():
            raise RefusedFilter(f"{code}: use up to {MAX_VALUE} characters in one line")
        if attribute.kind is AttributeKind.date and not read_date(value):
            raise RefusedFilter(f"{code}: {value!r} is no date; write it as 2026-11-23")
        return attribute, value, None
    if (number := number_of(attribute.kind, value)) is None:
        kind = "yes or no" if attribute.kind is AttributeKind.yes_no else "number"
        raise RefusedFilter(f"{code}: {value!r} is no {kind}")
    return attribute, None, number


def _written(kind: AttributeKind, value: AttributeValue) -> str:
    if kind is AttributeKind.yes_no:
        return "yes" if value.number else "no"
    return value.text if value.text is not None else f"{value.number:.15g}"
