"""Who may have been reached by a request of unknown outcome, also after leaving its batch. Used where deliveries move.

A batch that was resent by policy has two requests: who is skipped, refused or moved at the second was still in the
first, and a late proof of that must find them.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, exists, or_, update
from sqlalchemy import select as select_columns
from sqlmodel import Session, col

from newsletter.delivery.doubt_models import Doubt
from newsletter.delivery.lifecycle import Difference
from newsletter.delivery.models import Attempt, Delivery
from newsletter.providers.base import Ending
from subscribers.bulk import table_of


def follows_its_batch() -> ColumnElement[bool]:
    """Tell in SQL whether a delivery shares the fate of its batch."""
    return or_(col(Delivery.difference).is_(None), col(Delivery.difference) == Difference.moved)


def is_open() -> ColumnElement[bool]:
    """Tell in SQL whether nobody was ever told how a call ended: it is under way, or its answer was lost."""
    return or_(col(Attempt.ending).is_(None), col(Attempt.ending) == Ending.ambiguous)


def in_doubt() -> ColumnElement[bool]:
    """Tell in SQL whether a delivery was in a request that may have been accepted."""
    of_batch = exists().where(col(Attempt.batch_id) == col(Delivery.batch_id), is_open())
    of_earlier = exists().where(
        col(Doubt.delivery_id) == col(Delivery.id), col(Attempt.id) == col(Doubt.attempt_id), is_open()
    )
    return or_(of_batch, of_earlier)


def set_free(session: Session, deliveries: ColumnElement[bool]) -> None:
    """Let a second mailing of the issue reach the readers of these deliveries, if certainly no call reached them."""
    free = deliveries & col(Delivery.difference).is_distinct_from(Difference.proven) & ~in_doubt()
    nobody = update(Delivery).where(free).values(may_have_reached=False)
    session.execute(nobody, execution_options={"synchronize_session": False})


def carry_over(session: Session, delivery_ids: Sequence[int]) -> None:
    """Keep for deliveries that leave their batch now in which of its requests they may have been accepted."""
    session.flush()
    requests = (
        select_columns(col(Delivery.id), col(Attempt.id))
        .join(Attempt, col(Attempt.batch_id) == col(Delivery.batch_id))
        .where(col(Delivery.id).in_(delivery_ids), follows_its_batch(), is_open())
    )
    session.execute(table_of(Doubt).insert().from_select(["delivery_id", "attempt_id"], requests))
