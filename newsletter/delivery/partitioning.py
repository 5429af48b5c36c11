"""Partitioning: frozen deliveries are put into batches, a transaction each. The second half of ``audience.freeze``.

What is planned comes from ``batching`` and ``waves`` alone: after a crash or a pause the rest comes out the same.
"""

from collections.abc import Callable
from datetime import datetime
from enum import Enum, auto

from sqlalchemy import update
from sqlmodel import Session, col, select

from newsletter.database import Database
from newsletter.delivery.batching import PlannedBatch, Unbatched, partition
from newsletter.delivery.lifecycle import BatchState, MailingState
from newsletter.delivery.models import Batch, Delivery, Lane, Mailing, Variant
from newsletter.delivery.waves import Waves, waves_of
from newsletter.errors import NewsletterError
from subscribers.bulk import insert_missing, rows_changed
from subscribers.models import Subscriber, Subscription


PAGE = 20_000


class Piece(Enum):
    """What a piece of a freeze came to: it is done, there was none left to do, or the mailing freezes no more."""

    done = auto()
    none_left = auto()
    stopped = auto()


def while_more(next_piece: Callable[[], Piece], is_stopping: Callable[[], bool]) -> Piece:
    """Do piece after piece until none is left, the mailing freezes no more, or the process is stopping."""
    while not is_stopping():
        if (ended := next_piece()) is not Piece.done:
            return ended
    return Piece.stopped


def put_into_batches(
    database: Database,
    mailing_id: int,
    size: int,
    *,
    clock: Callable[[], datetime],
    is_stopping: Callable[[], bool],
) -> bool:
    """Put a frozen mailing's deliveries into batches, page by page; tell whether all stand in one."""
    with database.reading() as session:
        waves = waves_of(session, mailing_id)

    def next_page() -> Piece:
        return _partition_page(database, mailing_id, size, waves, clock(), is_stopping)

    return while_more(next_page, is_stopping) is Piece.none_left


def _partition_page(  # noqa: PLR0913, PLR0917 - of what, how, and until when
    database: Database, mailing_id: int, size: int, waves: Waves, now: datetime, is_stopping: Callable[[], bool]
) -> Piece:
    """Put the next page of deliveries into batches. The page is read without the writer."""
    with database.reading() as session:
        page = _unbatched(session, mailing_id, waves)
        variants = _variant_of_plan(session, mailing_id)
    planned = iter(partition(page, size, last_page=len(page) < PAGE))

    def next_batch() -> Piece:
        if (batch := next(planned, None)) is None:
            return Piece.none_left
        variant = variants.get(batch.plan_id) or next(iter(variants.values()))
        with database.writing() as session:
            return _store_batch(session, mailing_id, variant, batch, now)

    ended = while_more(next_batch, is_stopping)
    return Piece.done if page and ended is Piece.none_left else ended


def _unbatched(session: Session, mailing_id: int, waves: Waves) -> list[Unbatched]:
    found = (
        select(Delivery.id, Subscription.plan_id, Subscriber.domain, waves.is_for_later)
        .join(Subscription, col(Subscription.id) == col(Delivery.subscription_id))
        .join(Subscriber, col(Subscriber.id) == col(Delivery.subscriber_id))
        .where(Delivery.mailing_id == mailing_id, col(Delivery.batch_id).is_(None))
        .order_by(col(Delivery.id))
        .limit(PAGE)
    )
    return [
        Unbatched(delivery_id, plan_id, domain, waves.of(delivery_id, domain, for_later=bool(for_later)))
        for delivery_id, plan_id, domain, for_later in session.exec(found)
    ]


def _variant_of_plan(session: Session, mailing_id: int) -> dict[int, int]:
    found = select(Variant.plan_id, Variant.id).where(Variant.mailing_id == mailing_id)
    return dict(session.exec(found).all())


def _store_batch(session: Session, mailing_id: int, variant_id: int, planned: PlannedBatch, now: datetime) -> Piece:
    """Store a batch with its deliveries, unless the freeze was paused or cancelled meanwhile."""
    if session.get_one(Mailing, mailing_id, with_for_update={"read": True}).state is not MailingState.freezing:
        return Piece.stopped
    insert_missing(session, Lane, [{"mailing_id": mailing_id, "lane": planned.lane, "wave": 0}])
    batch = Batch(
        mailing_id=mailing_id,
        variant_id=variant_id,
        lane=planned.lane,
        wave=planned.wave,
        state=BatchState.ready,
        created_at=now,
    )
    session.add(batch)
    session.flush()
    mine = col(Delivery.id).in_(planned.delivery_ids) & col(Delivery.batch_id).is_(None)
    taken = rows_changed(session.execute(update(Delivery).where(mine).values(batch_id=batch.id)))
    if taken != len(planned.delivery_ids):
        # Another process partitions the same mailing; what it did stands, and this transaction is undone.
        raise NewsletterError(f"mailing {mailing_id} is being frozen by another process")
    return Piece.done
