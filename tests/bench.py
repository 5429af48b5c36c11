"""Benchmarks of the main paths: `make bench`, or with ARGS=--json an object a line.

Each path is measured beside a reference in the same run, since machines differ: the ratio is what to compare. Rates are
medians of a few runs.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import orjson
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from newsletter.database import Database
from newsletter.delivery.dispatch import dispatch_next
from newsletter.delivery.variants import face_of
from newsletter.emulator.app import EmulatorSettings
from newsletter.emulator.serving import running
from newsletter.issues.access import ReaderPlan
from newsletter.issues.document import decode, parse
from newsletter.migrations import migrate
from newsletter.providers.base import Message
from newsletter.providers.memory import MemoryProvider
from newsletter.providers.sendgrid import request_body
from newsletter.rendering.mail import render
from tests.conftest import REAL_ISSUE, ROOT
from tests.local_sendgrid import KEY, TEMPLATES, LocalSendGrid
from tests.world import World, addresses, make_world


READERS = 20_000
RUNS = 5


@dataclass(frozen=True)
class Result:
    """One path: its rate, and how it stands to the reference's."""

    name: str
    rate: float
    unit: str
    ratio: float
    reference: str
    peak_mb: float


def main() -> None:
    """Measure and print."""
    results = []
    for measure in (rendering, *delivering()):
        results.append(measure())
        if "--json" in sys.argv:
            sys.stdout.write(orjson.dumps(vars(results[-1])).decode() + "\n")
    if "--json" not in sys.argv:
        show(results)


def show(results: list[Result]) -> None:
    table = Table("path", "rate", "unit", "ratio", "to", "peak MB", box=None)
    for one in results:
        table.add_row(one.name, f"{one.rate:,.0f}", one.unit, f"{one.ratio:.2f}", one.reference, f"{one.peak_mb:,.0f}")
    Console().print(table)


def result(name: str, amount: float, unit: str, took: float, reference: tuple[str, float]) -> Result:
    said, reference_took = reference
    peak = getrusage(RUSAGE_SELF).ru_maxrss / 1024
    return Result(name, round(amount / took, 1), unit, round(reference_took / took, 3), said, round(peak, 1))


def median(work: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def rendering() -> Result:
    """Parse, render and inline the weekly for one plan; beside parsing it alone."""
    file = REAL_ISSUE if REAL_ISSUE.exists() else ROOT / "examples" / "weekly.md"
    source = decode(file.read_bytes())
    with tempfile.TemporaryDirectory() as folder:
        world = fresh_world(Path(folder), readers=0)
        plan, theme, face = ReaderPlan("free", frozenset({"free"})), world.workshop.theme, face_of(world.publication)
        took = median(lambda: render(parse(source), face, plan, theme))
        return result("render an issue", 1, "mails/s", took, ("parsing it alone", median(lambda: parse(source))))


def delivering() -> list[Callable[[], Result]]:
    return [freezing, dispatching, through_the_local_sendgrid]


def fresh_world(folder: Path, readers: int = READERS) -> World:
    database = Database(f"sqlite:///{folder}/newsletter.db")
    migrate(database)
    world = make_world(database, MemoryProvider())
    world.readers(addresses(readers))
    return world


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def freezing() -> Result:
    """Freeze an audience into batches; beside one INSERT … SELECT of as many bare rows."""
    with tempfile.TemporaryDirectory() as folder:
        world = fresh_world(Path(folder))
        world.schedule(world.issue())
        took = timed(world.begin)
        with world.database.writing() as session:
            session.execute(text("CREATE TABLE bare AS SELECT 0 AS mailing, 0 AS subscription WHERE 0"))
            copy = text("INSERT INTO bare SELECT 1, id FROM subscription")
            bare = timed(lambda: session.execute(copy))
        return result("freeze", READERS, "readers/s", took, ("one bare INSERT … SELECT", bare))


def dispatching() -> Result:
    """Dispatch to a provider in memory; beside writing the same requests as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        world = fresh_world(Path(folder))
        world.running()
        took = timed(world.dispatch)
        assert isinstance(world.provider, MemoryProvider)
        messages = world.provider.accepted
        return result(
            "dispatch",
            READERS,
            "recipients/s",
            took,
            ("writing the requests as JSON", timed(lambda: as_json(messages))),
        )


def as_json(messages: list[Message]) -> int:
    return sum(len(orjson.dumps(request_body(message))) for message in messages)


def through_the_local_sendgrid() -> Result:
    """Dispatch over the real client and HTTP; beside the same to a provider in memory."""
    with tempfile.TemporaryDirectory() as folder:
        memory = fresh_world(Path(folder))
        memory.running()
        in_memory = timed(memory.dispatch)
    with tempfile.TemporaryDirectory() as folder:
        world = fresh_world(Path(folder))
        world.running()
        settings = EmulatorSettings(Path(folder) / "emulator", TEMPLATES, KEY, null=True)
        with running(settings) as url:
            desk = world.having(provider=LocalSendGrid(url).provider(timeout=60)).desk

            def all_of_it() -> None:
                while dispatch_next(desk):
                    pass

            took = timed(all_of_it)
        return result("dispatch over HTTP", READERS, "recipients/s", took, ("the same in memory", in_memory))


if __name__ == "__main__":
    main()
