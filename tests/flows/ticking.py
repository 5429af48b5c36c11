"""One of several machines whose clocks tick on one database: a process of its own, with a clock by a script."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from multiprocessing import Queue
from multiprocessing.synchronize import Barrier

from structlog.testing import capture_logs

from newsletter.database import Database
from newsletter.delivery.audience import FreezeTerms
from newsletter.delivery.claims import Claimant
from newsletter.delivery.dispatch import Desk
from newsletter.delivery.requests import Letterhead
from newsletter.delivery.variants import Workshop
from newsletter.providers.memory import MemoryProvider
from newsletter.rendering.themes import load_theme
from newsletter.worker.clock import Clock
from tests.world import SIGNER, TEMPLATES


PROCESSES = 4
#: Mondays (UTC) of two seasons: clocks go back in Europe and America and forward in Australia, and the other way round.
SEASONS = (date(2026, 9, 28), date(2027, 3, 1))
WEEKS = 12
DAY, WEEK = timedelta(days=1), timedelta(days=7)


@dataclass
class ScriptedClock:
    """A clock that shows what its script says."""

    shown: datetime = field(default_factory=lambda: datetime(2026, 9, 1, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.shown


def monday(week: int) -> datetime:
    """Give the beginning of a week; the weeks of the second season follow those of the first."""
    season, number = divmod(week, WEEKS)
    return datetime.combine(SEASONS[season], time(), UTC) + number * WEEK


def script(process: int, week: int) -> Iterable[datetime]:
    """Say which times a machine's clock shows in a week: on its way, with a step of a day now and then."""
    chance = random.Random(1000 * process + week)  # noqa: S311 - moments to tick at
    times = [monday(week) + timedelta(minutes=chance.uniform(0, 7 * 1440))]
    turn, in_the_middle = (week - process) % PROCESSES, 0 < week % WEEKS < WEEKS - 1
    if turn == 0 and in_the_middle:
        times.append(times[0] + DAY)
    if turn == 1 and in_the_middle:
        times.append(times[0] - DAY)
    # When the week is over every clock has seen all of it, and they agree within minutes.
    return [*times, monday(week) + WEEK + timedelta(minutes=chance.uniform(0, 9))]


def tick_by_script(url: str, process: int, barrier: Barrier, told: "Queue[list[int]]") -> None:
    """Tick through both seasons, and tell the ids of the mailings that this machine began; -1 for what failed."""
    database, clock = Database(url), ScriptedClock()
    claimant = Claimant(f"machine {process}", live=False, lease_seconds=60.0)
    desk = Desk(database, MemoryProvider(), claimant, Letterhead("https://n.example.com", SIGNER, ()), clock)
    terms = FreezeTerms(Workshop(load_theme(TEMPLATES)), (), 1000)
    ticks = Clock(desk, terms, 1.0, lambda: None)
    with capture_logs() as logs:
        try:
            for week in range(2 * WEEKS):
                barrier.wait(timeout=400)
                for clock.shown in script(process, week):
                    ticks.tick()
        except Exception:
            barrier.abort()
            told.put([-1])
            raise
    database.close()
    told.put([-1 if one["log_level"] == "error" else one["mailing"] for one in logs if _counts(one)])


def _counts(line: "dict[str, object] | object") -> bool:
    return isinstance(line, dict) and (line["event"] == "mailing begun" or line["log_level"] == "error")
