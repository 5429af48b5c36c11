"""Partition of frozen deliveries into batches: same variant, same lane, at most a request's worth. Pure.

After ``audience.freeze``, before ``dispatch``. It works through a page of deliveries at a time, so that a million of
them never stand in memory together; what does not fill a batch waits for the next page.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from newsletter.delivery.mailbox_providers import mailbox_provider


@dataclass(frozen=True)
class Unbatched:
    """A delivery without a batch, with what decides where it goes."""

    delivery_id: int
    plan_id: int
    domain: str


@dataclass(frozen=True)
class PlannedBatch:
    """Deliveries that will share one request."""

    plan_id: int
    lane: str
    delivery_ids: tuple[int, ...]


def partition(page: Iterable[Unbatched], size: int, *, last_page: bool) -> list[PlannedBatch]:
    """Put a page of deliveries into batches of ``size`` at most.

    On any page but the last only full batches are made, unless none is full: then all are made as they are, so that
    every page makes progress. Each delivery stands in at most one batch; on the last page in exactly one.
    """
    groups: dict[tuple[int, str], list[int]] = {}
    for one in page:
        groups.setdefault((one.plan_id, mailbox_provider(one.domain)), []).append(one.delivery_id)
    planned = [
        PlannedBatch(plan_id, lane, tuple(ids[start : start + size]))
        for (plan_id, lane), ids in groups.items()
        for start in range(0, len(ids), size)
    ]
    full = [batch for batch in planned if len(batch.delivery_ids) == size]
    return planned if last_page or not full else full


def halves(delivery_ids: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Cut a batch's deliveries in two, in order; for a request that was refused without naming anyone."""
    middle = len(delivery_ids) // 2
    return delivery_ids[:middle], delivery_ids[middle:]
