"""The shape of a publication's readers in SQL: what decides who is mailed what, for a rehearsal with invented people.

Beside ``audience``, whose rule is applied to the copy again: here nothing is judged.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, func
from sqlalchemy import select as select_columns
from sqlmodel import col

from subscribers.models import AddressHash, Subscriber, Subscription
from subscribers.suppression import is_suppressed


def shapes(publication_id: int, *, after: int, limit: int) -> Select[Any]:
    """Select the next subscriptions of a publication by ascending id, those of erased people left out.

    Returns:
        Rows of ``subscription_id``, ``subscriber_id``, ``plan_id``, ``state``, the dates of the subscription,
        ``email``, ``domain``, ``name``, ``locale``; ``hashed``, without which no address is mailed; ``suppressed``.
    """
    hashed = select_columns(col(AddressHash.subscriber_id)).where(col(AddressHash.subscriber_id) == col(Subscriber.id))
    dates = ("created_at", "asked_at", "confirmed_at", "left_at", "paused_until", "plan_until")
    columns: list[ColumnElement[Any]] = [
        col(Subscription.id).label("subscription_id"),
        col(Subscription.subscriber_id).label("subscriber_id"),
        col(Subscription.plan_id).label("plan_id"),
        col(Subscription.state).label("state"),
        *(col(getattr(Subscription, name)).label(name) for name in dates),
        func.coalesce(col(Subscriber.email), "").label("email"),
        col(Subscriber.domain).label("domain"),
        col(Subscriber.name).label("name"),
        col(Subscriber.locale).label("locale"),
        hashed.exists().label("hashed"),
        is_suppressed(col(Subscription.publication_id), col(Subscriber.id)).label("suppressed"),
    ]
    return (
        select_columns(*columns)
        .join(Subscriber, col(Subscriber.id) == col(Subscription.subscriber_id))
        .where(col(Subscription.publication_id) == publication_id, col(Subscriber.erased_at).is_(None))
        .where(col(Subscription.id) > after)
        .order_by(col(Subscription.id))
        .limit(limit)
    )
