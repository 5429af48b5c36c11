"""Partition of frozen deliveries into batches: same variant, same lane, at most a request's worth. Pure.

After ``audience.freeze``, before ``dispatch``. It works through a page of deliveries at a time, so that a million of
them never stand in memory together; what does not fill a batch waits for the next page.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from heapq import heappush, heappushpop

from newsletter.delivery.mailbox_providers import mailbox_provider
from newsletter.delivery.pacing import Wave


@dataclass(frozen=True)
class Unbatched:
    """A delivery without a batch, with what decides where it goes."""

    delivery_id: int
    plan_id: int
    domain: str
    wave: Wave = Wave.first


@dataclass(frozen=True)
class PlannedBatch:
    """Deliveries that will share one request."""

    plan_id: int
    lane: str
    delivery_ids: tuple[int, ...]
    wave: Wave = Wave.first


def partition(page: Iterable[Unbatched], size: int, *, last_page: bool) -> list[PlannedBatch]:
    """Put a page of deliveries into batches of ``size`` at most.

    On any page but the last only full batches are made, unless none is full: then all are made as they are, so that
    every page makes progress. Each delivery stands in at most one batch; on the last page in exactly one.
    """
    groups: dict[tuple[int, str, Wave], list[int]] = {}
    for one in page:
        groups.setdefault((one.plan_id, mailbox_provider(one.domain), one.wave), []).append(one.delivery_id)
    planned = [
        PlannedBatch(plan_id, lane, tuple(ids[start : start + size]), wave)
        for (plan_id, lane, wave), ids in groups.items()
        for start in range(0, len(ids), size)
    ]
    full = [batch for batch in planned if len(batch.delivery_ids) == size]
    return planned if last_page or not full else full


def place_of(delivery_id: int) -> int:
    """Give a delivery's place among all, spread evenly and for ever the same: a sample is whoever comes first.

    The oldest readers would be no sample: they are the most faithful ones.
    """
    return int.from_bytes(blake2b(delivery_id.to_bytes(8), digest_size=8).digest())


def sample(deliveries: Iterable[tuple[int, str]], size: int) -> dict[str, int]:
    """Draw the first wave: so many deliveries of each lane, or all where there are fewer.

    Args:
        deliveries: Each delivery's id and its address's domain.
        size: How many of a lane are wanted.

    Returns:
        For each lane the last place that belongs to its sample.
    """
    places: dict[str, list[int]] = {}
    for delivery_id, domain in deliveries:
        kept = places.setdefault(mailbox_provider(domain), [])
        # The heap's least is the greatest place: the one to give way.
        (heappush if len(kept) < size else heappushpop)(kept, -place_of(delivery_id))
    return {lane: -kept[0] for lane, kept in places.items()}


def wave_of(delivery_id: int, domain: str, samples: Mapping[str, int] | None) -> Wave:
    """Tell in which wave a delivery goes: with its lane's sample, or after it; without samples all go at once."""
    if samples is None or place_of(delivery_id) <= samples.get(mailbox_provider(domain), -1):
        return Wave.first
    return Wave.rest


def halves(delivery_ids: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Cut a batch's deliveries in two, in order; for a request that was refused without naming anyone."""
    middle = len(delivery_ids) // 2
    return delivery_ids[:middle], delivery_ids[middle:]
