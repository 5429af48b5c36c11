"""Benchmark of the way out, while a million readers are frozen and then dispatched.

Readers leave and change plan through the use cases that the pages call, 20 a second, on the same database. What must
hold of them is asserted afterwards: nobody who had left before their request was committed is mailed, who changed plan
gets that plan's variant, and nobody gets it twice.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from newsletter.journal.entries import Scribe
from newsletter.journal.segments import Journal
from tests.crowd import SOURCE, Deed, Restless, Tally, dispatch_all, lay_readers, picked, utc_now, verdict
from tests.flows.serving import stored_world
from tests.world import World


READERS = 1_000_000
A_SECOND = 20
#: Enough for a quarter of an hour of each phase.
RESTLESS = 40_000
#: How many act while nothing else goes on: what the rest is held against.
ALONE = 200


def leaving() -> Iterator[tuple[str, float, str, float, str, float]]:
    """Give name, amount, unit and seconds, and the reference's name and seconds."""
    with tempfile.TemporaryDirectory() as folder:
        tally = Tally()
        world = _journalled(stored_world(Path(folder)), Path(folder)).having(provider=tally, clock=utc_now)
        lay_readers(world, READERS)
        readers = Restless(world.database, picked(RESTLESS, READERS), A_SECOND)
        alone = _alone(world, readers)
        mailing_id = world.schedule(world.issue(SOURCE))
        freezing, during = _while(readers, world.begin)
        yield "freeze a million, 20 leave a second", READERS, "readers/s", freezing, "itself", freezing
        yield from _waits("while frozen", during, alone)
        dispatching, during = _while(readers, lambda: dispatch_all(world))
        yield "dispatch a million, 20 leave a second", READERS, "recipients/s", dispatching, "freezing them", freezing
        yield from _waits("while dispatched", during, alone)
        found = verdict(world, mailing_id, tally, readers.deeds)
        assert found.is_clean, found
        assert world.account(mailing_id).candidates == READERS
        world.database.close()


def _journalled(world: World, folder: Path) -> World:
    """Put a journal beside the store, as the service does: a reader's answer waits until the line is on the disk."""
    journal = Journal(folder / "journal", world.hasher)
    world.database.after_commit = Scribe(world.database, lambda: journal).catch_up
    return world.having(journal=journal)


def _alone(world: World, readers: Restless) -> list[float]:
    """Let some act while nothing else goes on."""
    some = Restless(world.database, [readers.waiting.pop() for _ in range(ALONE)], A_SECOND)
    with some.meanwhile():
        while some.waiting:
            time.sleep(0.01)
    return [deed.seconds for deed in some.deeds]


def _while(readers: Restless, work: Callable[[], object]) -> tuple[float, list[Deed]]:
    before, begun = len(readers.deeds), time.perf_counter()
    with readers.meanwhile():
        work()
        took = time.perf_counter() - begun
    return took, readers.deeds[before:]


def _waits(
    when: str, deeds: Sequence[Deed], alone: Sequence[float]
) -> Iterator[tuple[str, float, str, float, str, float]]:
    """Tell how long readers waited, in milliseconds, beside how long they wait while nothing else goes on."""
    seconds = [deed.seconds for deed in deeds]
    for name, measure in (("p50", statistics.median), ("p99", _p99), ("max", max)):
        waited, reference = measure(seconds), measure(alone)
        said = f"leaving or another plan {when}, {name} of {len(deeds):,}"
        yield said, waited * 1000, "ms", 1.0, f"{name} while nothing else goes on", reference / waited


def _p99(seconds: Sequence[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]
