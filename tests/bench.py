"""Benchmarks of the main paths: `make bench`, or with ARGS=--json an object a line.

Each path is measured beside a reference in the same run, since machines differ: the ratio is what to compare. Rates are
medians of a few runs.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import orjson
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from newsletter.database import Database
from newsletter.delivery.dispatch import dispatch_next
from newsletter.emulator.app import EmulatorSettings
from newsletter.emulator.serving import running
from newsletter.issues.access import ReaderPlan, cut
from newsletter.issues.document import decode, parse
from newsletter.migrations import migrate
from newsletter.providers.base import Message
from newsletter.providers.memory import MemoryProvider
from newsletter.providers.sendgrid import request_body
from newsletter.rendering.inlining import to_mail_html
from newsletter.rendering.mail import Sheet
from tests.bench_feedback import feedback
from tests.bench_leaving import leaving
from tests.bench_rehearsal import rehearsing
from tests.conftest import REAL_ISSUE, ROOT
from tests.flows.serving import stored_world
from tests.local_sendgrid import KEY, TEMPLATES, LocalSendGrid
from tests.mails import FACE, THEME
from tests.world import World, addresses, make_world


READERS = 20_000
IMPORTED = 1_000_000
RUNS = 5
DOMAINS = ("qq.com", "163.com", "126.com", "gmail.com", "outlook.com", "example.com", "foxmail.com")


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
    for measure in (
        lambda: rendering(1),
        lambda: rendering(20),
        freezing,
        dispatching,
        through_the_local_sendgrid,
        listening_to_feedback,
        leaving_meanwhile,
        rehearsing_at_full_size,
        importing,
    ):
        for one in measure():
            results.append(one)
            if "--json" in sys.argv:
                sys.stdout.write(orjson.dumps(vars(one)).decode() + "\n")
    if "--json" not in sys.argv:
        show(results)


def show(results: list[Result]) -> None:
    table = Table("path", "rate", "unit", "ratio", "to", "peak MB", box=None)
    for one in results:
        table.add_row(one.name, f"{one.rate:,.1f}", one.unit, f"{one.ratio:.3f}", one.reference, f"{one.peak_mb:,.0f}")
    Console().print(table)


def result(name: str, amount: float, unit: str, took: float, reference: tuple[str, float]) -> list[Result]:
    said, reference_took = reference
    peak = getrusage(RUSAGE_SELF).ru_maxrss / 1024
    return [Result(name, round(amount / took, 1), unit, round(reference_took / took, 3), said, round(peak, 1))]


def median(work: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def rendering(plans: int) -> list[Result]:
    """Parse, cut, render and inline the weekly for a number of plans: each stage's time, and its share of the whole."""
    file = REAL_ISSUE if REAL_ISSUE.exists() else ROOT / "examples" / "weekly.md"
    source, face = decode(file.read_bytes()), FACE
    all_plans = [ReaderPlan(f"plan{number}", frozenset({"free"})) for number in range(plans)]
    document = parse(source)
    cuts = [cut(document, plan) for plan in all_plans]
    pairs = list(zip(cuts, all_plans, strict=True))
    sheets = [Sheet(one, face, plan, THEME).mjml() for one, plan in pairs]
    stages = {
        "parse": lambda: parse(source),
        "cut": lambda: [cut(document, plan) for plan in all_plans],
        "render": lambda: [
            (sheet.mjml(), sheet.text()) for sheet in (Sheet(one, face, plan, THEME) for one, plan in pairs)
        ],
        "inline": lambda: [to_mail_html(mjml, fragments) for mjml, fragments in sheets],
    }
    took = {name: median(work) for name, work in stages.items()}
    whole = sum(took.values())
    peak = round(getrusage(RUSAGE_SELF).ru_maxrss / 1024, 1)
    name = f"{plans} plan{'s' if plans > 1 else ''}"
    return [
        Result(f"{stage}, {name}", round(time * 1000, 2), "ms", round(time / whole, 3), "the whole", peak)
        for stage, time in {**took, "the whole": whole}.items()
    ]


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


def freezing() -> list[Result]:
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


def dispatching() -> list[Result]:
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


def through_the_local_sendgrid() -> list[Result]:
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


def listening_to_feedback() -> list[Result]:
    """Accept and apply signed events, and report, with a million deliveries in the store."""
    return [
        result(name, amount, unit, took, (reference or "itself", reference_took))[0]
        for name, amount, unit, took, reference, reference_took in feedback()
    ]


def leaving_meanwhile() -> list[Result]:
    """Let readers leave and change plan while a million are frozen and dispatched; what must hold is asserted."""
    return [
        result(name, amount, unit, took, (reference, reference_took))[0]
        for name, amount, unit, took, reference, reference_took in leaving()
    ]


def rehearsing_at_full_size() -> list[Result]:
    """Rehearse 200,000 readers by the command; that no real address is on the record is asserted."""
    return [
        result(f"{name}, {took:,.0f} s", amount, unit, took, (reference, reference_took))[0]
        for name, amount, unit, took, reference, reference_took in rehearsing()
    ]


def importing() -> list[Result]:
    """Import a million readers by the command, and the same file again; beside as many bare INSERTs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stored_world(folder).database.close()
        file = folder / "readers.csv"
        with file.open("w", encoding="utf-8") as lines:
            lines.write("email,name,plan\n")
            lines.writelines(f"reader.{number}@{DOMAINS[number % 7]},王小明,free\n" for number in range(IMPORTED))
        database = Database(f"sqlite:///{folder}/bare.db")
        bare = timed(lambda: insert_bare(database))
        database.close()
        first, again = run_import(file), run_import(file)
    return [
        import_result("import", first, "as many bare INSERTs", bare),
        import_result("import again", again, "the first import", first[0]),
    ]


def insert_bare(database: Database) -> None:
    """Write as many rows of one address each, a thousand a transaction, as the import does."""
    with database.writing() as session:
        session.execute(text("CREATE TABLE bare (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE)"))
    for start in range(0, IMPORTED, 1000):
        rows = [{"email": f"reader.{number}@{DOMAINS[number % 7]}"} for number in range(start, start + 1000)]
        with database.writing() as session:
            session.execute(text("INSERT INTO bare (email) VALUES (:email)"), rows)


def run_import(file: Path) -> tuple[float, float]:
    """Import a file in a process of its own; give the seconds it took and its peak memory in megabytes."""
    command = [sys.executable, "-m", "newsletter", "subscribers", "import", str(file), "--consent", "bench", "--json"]
    environment = os.environ | {"NEWSLETTER_DATA_DIR": str(file.parent)}
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, peak_of(process.pid))
        time.sleep(0.1)
    assert process.returncode == 0
    return time.perf_counter() - begun, peak


def peak_of(pid: int) -> float:
    """Give the peak memory of a process so far, in megabytes.

    Its resource usage would say more: on Linux that begins with what the process that started it held (``maxrss``
    survives ``exec``).
    """
    with suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("ascii", "replace"))
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


def import_result(name: str, measured: tuple[float, float], reference: str, reference_took: float) -> Result:
    took, peak = measured
    ratio = round(reference_took / took, 3)
    return Result(f"{name}, {took:,.0f} s", round(IMPORTED / took, 1), "rows/s", ratio, reference, round(peak, 1))


if __name__ == "__main__":
    main()
