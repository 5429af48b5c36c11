"""The audience in SQL: who of a publication may be mailed, and if not, why not. Between people and delivery.

One rule (``_exclusion``) serves the freeze (``candidates``) and the last look (``may_mail``), so that both always
judge the same. Nothing is fetched here: the caller builds its INSERT … SELECT on these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Case, ColumnElement, Select, case, exists, func, null, or_
from sqlalchemy import select as select_columns
from sqlmodel import Session, col

from subscribers.models import AddressHash, Subscriber, Subscription, SubscriptionState
from subscribers.suppression import is_suppressed


class ExclusionReason(StrEnum):
    """Why people's own state keeps a candidate from being mailed, in the order in which it is asked."""

    erased = "erased"
    unsubscribed = "unsubscribed"
    pending = "pending"
    suppressed = "suppressed"
    invalid_address = "invalid_address"
    paused = "paused"


def candidates(
    publication_id: int, *, now: datetime, after: int | None = None, up_to: int | None = None
) -> Select[Any]:
    """Select one row for each subscription of a publication, those of erased people left out.

    Args:
        publication_id: The publication.
        now: When it is asked; a reader's pause ends by itself.
        after: Only subscriptions with a greater id.
        up_to: Only subscriptions with an id not greater.

    Returns:
        Rows of ``subscription_id``, ``subscriber_id``, ``plan_id``, ``email``, ``domain``, ``name``, ``locale``,
        ``unsubscribe_id`` and ``exclusion``, which is null or an ``ExclusionReason``. Not ordered.
    """
    found = _people(now).where(col(Subscription.publication_id) == publication_id, col(Subscriber.erased_at).is_(None))
    if after is not None:
        found = found.where(col(Subscription.id) > after)
    if up_to is not None:
        found = found.where(col(Subscription.id) <= up_to)
    return found


@dataclass(frozen=True)
class AudienceSize:
    """How many readers are meant, and how many of them may be mailed now."""

    candidates: int
    may_be_mailed: int


def audience_size(session: Session, publication_id: int, meant: ColumnElement[bool], *, now: datetime) -> AudienceSize:
    """Count for whom of a publication a mailing would be meant if it began now."""
    people = candidates(publication_id, now=now).where(meant).subquery()
    # Of a null, count() counts none.
    excluded = func.count(people.c.exclusion)
    total, out = session.execute(select_columns(func.count(), excluded).select_from(people)).one()
    return AudienceSize(total, total - out)


def may_mail(subscription_ids: Sequence[int] | Select[Any], *, now: datetime) -> Select[Any]:
    """Select the present truth about subscriptions, for the last look before a batch is submitted.

    Returns:
        Rows as ``candidates`` gives them; erased people are among them, excluded. An id without a row must not be
        mailed either.
    """
    return _people(now).where(col(Subscription.id).in_(subscription_ids))


def _people(now: datetime) -> Select[Any]:
    columns: list[ColumnElement[Any]] = [
        col(Subscription.id).label("subscription_id"),
        col(Subscription.subscriber_id).label("subscriber_id"),
        col(Subscription.plan_id).label("plan_id"),
        func.coalesce(col(Subscriber.email), "").label("email"),
        col(Subscriber.domain).label("domain"),
        col(Subscriber.name).label("name"),
        col(Subscriber.locale).label("locale"),
        col(Subscription.unsubscribe_id).label("unsubscribe_id"),
        _exclusion(now).label("exclusion"),
    ]
    return select_columns(*columns).join(Subscriber, col(Subscriber.id) == col(Subscription.subscriber_id))


def _exclusion(now: datetime) -> Case[str | None]:
    return case(
        (col(Subscriber.erased_at).is_not(None), ExclusionReason.erased.value),
        (col(Subscription.state) == SubscriptionState.left, ExclusionReason.unsubscribed.value),
        # Fail closed: only the confirmed are mailed, whatever other states there will be.
        (col(Subscription.state) != SubscriptionState.confirmed, ExclusionReason.pending.value),
        (is_suppressed(col(Subscription.publication_id), col(Subscriber.id)), ExclusionReason.suppressed.value),
        (_has_no_address(), ExclusionReason.invalid_address.value),
        (col(Subscription.paused_until) > now, ExclusionReason.paused.value),
        else_=null(),
    )


def _has_no_address() -> ColumnElement[bool]:
    # Without a hash no suppression could be found: such a row is not mailed either.
    hashed = exists().where(col(AddressHash.subscriber_id) == col(Subscriber.id))
    return or_(col(Subscriber.email).is_(None), col(Subscriber.email) == "", ~hashed)
