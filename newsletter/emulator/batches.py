"""Batches: which waiting events leave together in one call, and what is repeated among them. Pure."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from newsletter.emulator.events import with_fresh_id
from newsletter.emulator.oddities import Oddities


#: SendGrid's size of a batch (event webhook overview).
LARGEST_BODY = 768_000
#: What stands around an event in a call, and around them all (``events.as_body``).
_AROUND_ONE, _AROUND_ALL = 3, 1


@dataclass(frozen=True)
class DueEvent:
    """An event whose time to be posted has come."""

    id: int
    body: bytes
    happens_at: float
    due_at: float
    tries: int


@dataclass
class Batch:
    """One call: its events as they are written, and those of them that are no repeats."""

    bodies: list[bytes] = field(default_factory=list)
    events: list[DueEvent] = field(default_factory=list)

    @property
    def tries(self) -> int:
        """How often the event was tried that was tried most often."""
        return max((one.tries for one in self.events), default=0)


def collected(due: Sequence[DueEvent], ripe: float) -> Sequence[DueEvent]:
    """Give those whose time of collecting is over.

    That is all of them where one has waited since ``ripe`` or was tried before; else what fills whole batches.
    """
    if any(one.tries or one.due_at <= ripe for one in due):
        return due
    whole = _cut([(one, one.body) for one in due])[:-1]
    return due[: sum(len(batch.events) for batch in whole)]


def batches_of(events: Sequence[DueEvent], oddities: Oddities, chance: random.Random) -> list[Batch]:
    """Cut events and their repeats into batches; none is larger than SendGrid's, unless one event alone is."""
    written: list[tuple[DueEvent | None, bytes]] = [(one, one.body) for one in events]
    written += [(None, one.body) for one in events if chance.random() < oddities.duplicates]
    written += [(None, with_fresh_id(one.body)) for one in events if chance.random() < oddities.fresh_duplicates]
    if oddities.shuffle:
        chance.shuffle(written)
    return _cut(written)


def _cut(written: Sequence[tuple[DueEvent | None, bytes]]) -> list[Batch]:
    batches: list[Batch] = []
    size = LARGEST_BODY
    for event, body in written:
        if size + len(body) + _AROUND_ONE > LARGEST_BODY:
            batches.append(Batch())
            size = _AROUND_ALL
        batches[-1].bodies.append(body)
        if event is not None:
            batches[-1].events.append(event)
        size += len(body) + _AROUND_ONE
    return batches
