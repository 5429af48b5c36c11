"""Dividing: some of a batch's deliveries become a batch of their own, in the transaction that decides so."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import update
from sqlmodel import Session, col, select

from newsletter.delivery.doubts import carry_over, follows_its_batch
from newsletter.delivery.lifecycle import BatchState, Difference
from newsletter.delivery.models import Batch, Delivery


def move_to_new_batch(  # noqa: PLR0913 - which rows, where to, and why they move
    session: Session,
    parent: Batch,
    delivery_ids: Sequence[int],
    *,
    now: datetime,
    variant_id: int | None = None,
    difference: Difference | None = None,
) -> Batch:
    """Put some of a batch's deliveries into a batch of their own that is ready to go."""
    child = Batch(
        mailing_id=parent.mailing_id,
        variant_id=variant_id or parent.variant_id,
        parent_id=parent.id,
        lane=parent.lane,
        wave=parent.wave,
        state=BatchState.ready,
        created_at=now,
    )
    session.add(child)
    carry_over(session, delivery_ids)
    values = {"batch_id": child.id, **({"difference": difference} if difference else {})}
    session.execute(update(Delivery).where(col(Delivery.id).in_(list(delivery_ids))).values(**values))
    return child


def cut_off(session: Session, batch: Batch, size: int, *, now: datetime) -> Batch:
    """Put the first ``size`` deliveries of a waiting batch into a batch of their own; a smaller one stays as it is."""
    mine = (col(Delivery.mailing_id) == batch.mailing_id) & (col(Delivery.batch_id) == batch.id) & follows_its_batch()
    found = session.exec(select(Delivery.id).where(mine).order_by(col(Delivery.id)).limit(size + 1)).all()
    return batch if len(found) <= size else move_to_new_batch(session, batch, found[:size], now=now)
