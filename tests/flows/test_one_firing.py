"""Many clocks, one firing: four machines tick on one database through two seasons of clock changes.

Publications in five zones have slots, most of them at hours that a change of the clocks leaves out or repeats; one week
of each season is skipped, and one moved. Every other date must begin one mailing, on one machine, for the instant that
an oracle finds by walking through the minutes; whose clock steps a day forward or back changes nothing of it.
"""

import multiprocessing
import os
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TypedDict
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import col, select

from newsletter.database import Database
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.models import Mailing
from newsletter.delivery.policies import set_policy
from newsletter.delivery.slots import SlotTime, move_occurrence, set_slot, skip
from newsletter.issues.models import Issue, Revision
from newsletter.issues.shelf import Shelved, approve
from newsletter.providers.memory import MemoryProvider
from newsletter.publications import PublicationForm, set_publication
from subscribers.actors import COMMAND_LINE
from tests.flows.ticking import PROCESSES, SEASONS, WEEKS, monday, tick_by_script
from tests.world import World, make_world


PUBLICATIONS = int(os.environ.get("FIRING_PUBLICATIONS", "23"))
#: Each with a time that its changes in these weeks leave out or repeat; China has none.
ZONES = {
    "Asia/Shanghai": time(9, 0),
    "America/New_York": time(1, 30),
    "Europe/Berlin": time(2, 30),
    "Australia/Lord_Howe": time(2, 0),
    "America/St_Johns": time(2, 15),
}
#: Which week of a season is skipped, and which is moved, by how much.
SKIPPED, MOVED, MOVED_BY = 2, 4, timedelta(days=2, hours=1)
#: A clock of a day ago or ahead must neither hold what it finds late, nor warn.
TERMS = {"late_minutes": 10_080, "stale_days": 365, "warn_minutes": 0}
LONG_BEFORE = datetime(2026, 9, 1, tzinfo=UTC)


class _Made(TypedDict):
    created_at: datetime
    created_by: str


@dataclass(frozen=True)
class Weekly:
    """A publication with its slot."""

    world: World
    zone: ZoneInfo
    slot: SlotTime

    def planned(self, season: int, number: int) -> date:
        return monday(season * WEEKS + number).date() + timedelta(days=self.slot.weekday)

    def walls(self) -> dict[date, datetime]:
        """Give the local times of its dates that are not skipped."""
        found = {}
        for season in range(len(SEASONS)):
            for number in range(WEEKS):
                planned = self.planned(season, number)
                shift = MOVED_BY if number == MOVED else timedelta()
                found[planned] = datetime.combine(planned, self.slot.at) + shift
            del found[self.planned(season, SKIPPED)]
        return found


def first_minute_not_before(wall: datetime, zone: ZoneInfo) -> datetime:
    minute = wall.replace(tzinfo=UTC) - timedelta(hours=15)
    while minute.astimezone(zone).replace(tzinfo=None) < wall:
        minute += timedelta(minutes=1)
    return minute


def weekly(store: Database, number: int) -> Weekly:
    """Make a publication with a slot: on Sundays, when clocks change, or on Fridays or Saturdays."""
    name, at = list(ZONES.items())[number % len(ZONES)]
    one = Weekly(
        make_world(store, MemoryProvider(), f"p{number}"), ZoneInfo(name), SlotTime((6, 6, 5, 4)[number % 4], at)
    )
    with store.writing() as session:
        publication = set_publication(session, f"p{number}", PublicationForm(time_zone=name))
        set_policy(session, publication.id, TERMS, by=COMMAND_LINE, now=LONG_BEFORE)
        set_slot(session, publication, one.slot, by=COMMAND_LINE, now=LONG_BEFORE)
        for season in range(len(SEASONS)):
            planned = one.planned(season, MOVED)
            to = (datetime.combine(planned, one.slot.at) + MOVED_BY).replace(tzinfo=one.zone)
            skip(session, publication, one.planned(season, SKIPPED), by=COMMAND_LINE, now=LONG_BEFORE)
            move_occurrence(session, publication, planned, to, by=COMMAND_LINE, now=LONG_BEFORE)
    _approve_issues(one)
    return one


def _approve_issues(one: Weekly) -> None:
    """Put as many issues as there are dates on the shelf, as `issue ready` leaves them when a season begins.

    They are for a plan that there is not, which was overridden: so nothing is rendered, which would take minutes.
    """
    publication_id, made = one.world.publication.id, _Made(created_at=LONG_BEFORE, created_by=str(COMMAND_LINE))
    with one.world.database.writing() as session:
        for number in range(len(one.walls())):
            season, place = divmod(number, WEEKS - 1)
            issue = Issue(publication_id=publication_id, title=f"第 {number} 期", **made)
            session.add(issue)
            session.flush()
            source = f"---\nplans: [nobody]\n---\n# 第 {number} 期\n\n一段。\n"
            revision = Revision(issue_id=issue.id, number=1, source=source, sha256=str(number), **made)
            session.add(revision)
            session.flush()
            ready_at = monday(season * WEEKS) + timedelta(minutes=place)
            approve(session, Shelved(issue, revision), ["plans"], by=str(COMMAND_LINE), now=ready_at)


def tick_on(store: Database) -> list[int]:
    """Let the machines tick; give the ids of the mailings that each began, all together."""
    context = multiprocessing.get_context("spawn")
    barrier, told = context.Barrier(PROCESSES), context.Queue()
    url = store.url.set(drivername=store.url.get_backend_name()).render_as_string(hide_password=False)
    machines = [
        context.Process(target=tick_by_script, args=(url, number, barrier, told), daemon=True)
        for number in range(PROCESSES)
    ]
    for machine in machines:
        machine.start()
    begun = [mailing_id for _ in machines for mailing_id in told.get(timeout=500)]
    for machine in machines:
        machine.join(timeout=60)
    return begun


@pytest.mark.timeout(600)
def test_every_date_begins_one_mailing_on_one_machine(store):
    weeklies = [weekly(store, number) for number in range(PUBLICATIONS)]
    begun = tick_on(store)
    assert -1 not in begun
    assert max(Counter(begun).values()) == 1
    with store.reading() as session:
        mailings = session.exec(select(Mailing).order_by(col(Mailing.due_at), col(Mailing.id))).all()
    assert {one.state for one in mailings} == {MailingState.freezing}
    assert sorted(begun) == sorted(one.id for one in mailings)
    for one in weeklies:
        mine = [mailing for mailing in mailings if mailing.publication_id == one.world.publication.id]
        expected = {planned: first_minute_not_before(wall, one.zone) for planned, wall in one.walls().items()}
        assert {mailing.occurrence: mailing.due_at for mailing in mine} == expected
        # In the order of their approvals, each issue once.
        assert [mailing.issue_id for mailing in mine] == sorted({mailing.issue_id for mailing in mine})
    # With 23 publications 506.
    assert len(mailings) == PUBLICATIONS * 2 * (WEEKS - 1)
