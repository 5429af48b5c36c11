"""Counting a mailing's deliveries from the ledger and the feedback, batch by batch. Read-only.

A batch's deliveries are alike in plan, mailbox provider and state; the few that differ from it are counted once more,
by what sets them apart, and moved. All that is asked of the others stands in an index in the order of the batches, so
that nothing is sorted: a million take half a second.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, case, func
from sqlalchemy import select as select_columns
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col, select

from newsletter.delivery.lifecycle import BatchState, Difference
from newsletter.delivery.models import Batch, Delivery, Variant
from newsletter.delivery.progress import class_of
from newsletter.feedback.models import DeliveryOutcome
from newsletter.feedback.outcomes import Outcome
from newsletter.reports.tallies import Row
from subscribers.models import Plan


_HEARD = tuple(one for one in Outcome if one is not Outcome.nothing)
_MARKS = {
    "deferred_once": DeliveryOutcome.deferred_at,
    "complained": DeliveryOutcome.complained_at,
    "unsubscribed": DeliveryOutcome.unsubscribed_at,
    "opened": DeliveryOutcome.opened_at,
    "machine_opened": DeliveryOutcome.machine_opened_at,
    "clicked": DeliveryOutcome.clicked_at,
}


def rows_of(session: Session, mailing_id: int) -> list[Row]:
    """Count the deliveries of a mailing by plan, mailbox provider, place and outcome."""
    batches = {None: ("", "", None), **_batches(session, mailing_id)}
    rows = [_row(batches[batch_id], None, counts) for batch_id, *counts in _counted(session, mailing_id)]
    for batch_id, difference, *counts in _differing(session, mailing_id):
        rows.append(_row(batches[batch_id], None, [-count for count in counts]))
        rows.append(_row(batches[batch_id], Difference(difference), counts))
    return rows


def _counted(session: Session, mailing_id: int) -> Iterator[Sequence[Any]]:
    return _count(session, (col(Delivery.batch_id),), col(Delivery.mailing_id) == mailing_id)


def _differing(session: Session, mailing_id: int) -> Iterator[Sequence[Any]]:
    kinds = (col(Delivery.batch_id), col(Delivery.difference))
    return _count(session, kinds, (col(Delivery.mailing_id) == mailing_id) & col(Delivery.difference).is_not(None))


def _count(session: Session, kinds: Sequence[Mapped[Any]], which: ColumnElement[bool]) -> Iterator[Sequence[Any]]:
    outcomes = (func.count(case((col(DeliveryOutcome.outcome) == int(one), 1))) for one in _HEARD)
    found = (
        select_columns(*kinds, func.count(), *outcomes, *(func.count(col(mark)) for mark in _MARKS.values()))
        .select_from(Delivery)
        .outerjoin(DeliveryOutcome, col(DeliveryOutcome.delivery_id) == col(Delivery.id))
        .where(which)
        .group_by(*kinds)
    )
    yield from session.execute(found)


def _row(batch: tuple[str, str, BatchState | None], difference: Difference | None, counts: Sequence[int]) -> Row:
    plan, provider, state = batch
    whole, outcomes, marks = counts[0], counts[1 : 1 + len(_HEARD)], counts[1 + len(_HEARD) :]
    said = dict(zip(_HEARD, outcomes, strict=True)) | {Outcome.nothing: whole - sum(outcomes)}
    return Row(plan, provider, class_of(state, difference), said, dict(zip(_MARKS, marks, strict=True)))


def _batches(session: Session, mailing_id: int) -> Mapping[int | None, tuple[str, str, BatchState | None]]:
    """Give plan, mailbox provider and state of each batch."""
    found = (
        select(Batch.id, Plan.code, Batch.lane, Batch.state)
        .join(Variant, col(Variant.id) == col(Batch.variant_id))
        .join(Plan, col(Plan.id) == col(Variant.plan_id))
        .where(Batch.mailing_id == mailing_id)
    )
    return {number: (plan, lane, BatchState(state)) for number, plan, lane, state in session.exec(found)}
