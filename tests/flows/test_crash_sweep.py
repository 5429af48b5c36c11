"""The crash sweep: a mailing dies at every commit, journal line and call of its way, and ends the same each time.

On the way an answer is lost, a request is accepted without one, one is divided and a reader changes plan. Filling a
slot and taking back what was cancelled are ways of their own.
"""

import itertools
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete
from sqlmodel import select

from newsletter.database import Database
from newsletter.delivery.approvals import approve
from newsletter.delivery.claims import sweep
from newsletter.delivery.dispatch import dispatch_next
from newsletter.delivery.doubt_models import Decision
from newsletter.delivery.evidence import evidence_in
from newsletter.delivery.life import cancel
from newsletter.delivery.lifecycle import BatchState, MailingState
from newsletter.delivery.models import Mailing
from newsletter.delivery.policies import set_policy
from newsletter.delivery.settlement import settle
from newsletter.delivery.slots import SlotTime, set_slot
from newsletter.feedback.applying import PROVIDER, Scene
from newsletter.feedback.ingest import apply_next, keep_call
from newsletter.mortal import Death, MortalDatabase, MortalJournal, MortalProvider, Points, Side
from newsletter.providers.base import CallEnd, Ending, Message
from newsletter.providers.memory import MemoryProvider
from newsletter.worker.clock import Clock
from subscribers.actors import COMMAND_LINE
from subscribers.plan_changes import PlanChange, change_plan
from subscribers.roster import find_by_address
from tests.world import HandClock, World, addresses, make_world


READERS = addresses(12)
#: Hours in which a mailing must be over, however it died.
LONGEST = 12
#: Every step of DESIGN §5 is among the points, or the sweep would say nothing of it.
STEPS = {
    "worker.clock.tick",
    "worker.clock.settle",
    "delivery.audience._store_variants",
    "delivery.audience._freeze_chunk",
    "delivery.partitioning.next_batch",
    "delivery.audience.freeze",
    "delivery.dispatch.dispatch_next",
    "delivery.dispatch.begin_call",
    "delivery.dispatch.end_call",
    "feedback.ingest.apply_next",
}


class Picky(MemoryProvider):
    """Takes no request of more than two readers with the last of them in it, and does not say why."""

    def submit(self, message: Message) -> CallEnd:
        """Refuse such a request, and end all others as the script says."""
        if len(message.recipients) > 2 and READERS[-1] in {one.address for one in message.recipients}:
            return CallEnd(Ending.recipients_refused, 400)
        return super().submit(message)


@dataclass
class Story:
    """One mailing on one store, whose provider and whose readers' events outlive every process."""

    seed: World
    database: MortalDatabase
    folder: Path
    provider: MemoryProvider = field(default_factory=Picky)
    clock: HandClock = field(default_factory=HandClock)
    _told: int = 0
    _ids: int = 0
    _has_moved: bool = False

    def __post_init__(self) -> None:
        # Of the first request nothing is accepted and nothing comes back; the second is accepted all the same.
        self.provider.ends_next(CallEnd(Ending.ambiguous, detail="no certain answer: TimeoutError"))
        self.provider.loses_next()
        self.clock.now = self.seed.clock.now

    def live(self, points: Points) -> None:
        """Be a process from its start: go on until the mailing is over, or death comes."""
        self.database.points = points
        provider = MortalProvider(self.provider, points)
        journal = MortalJournal(self.folder, self.seed.hasher, points=points)
        world = self.seed.having(
            database=self.database, provider=provider, clock=self.clock, batch_size=4, chunk=5, journal=journal
        )
        try:
            self._work(world)
        finally:
            self.database.close()

    def _work(self, world: World) -> None:
        machine = Clock(world.desk, world.terms, 1.0, wake=lambda: None)
        if world.database.is_sqlite:
            with world.database.writing() as session:
                sweep(session, now=self.clock(), all_of_them=True)
        for _ in range(LONGEST):
            machine.tick()
            machine.freeze_begun()
            self._change_plan(world)
            world.dispatch()
            self._say_events(world)
            while apply_next(world.database, Scene(world.hasher, PROVIDER, self.clock())):
                pass
            machine.settle()
            self._decide(world)
            world.account(1)
            if world.mailing(1).state is MailingState.finished:
                return
            self.clock.forward(3600)
        pytest.fail(f"not over: {world.mailing(1).state}, {world.account(1).standing.line()}")

    def _change_plan(self, world: World) -> None:
        """Have a reader change plan after the freeze, once: at the last look they move to a request of their own."""
        if self._has_moved:
            return
        with world.database.writing() as session:
            found = find_by_address(session, world.publication.id, READERS[5])
            change_plan(session, found.id, PlanChange("pro"), by=COMMAND_LINE, now=self.clock())
        self._has_moved = True

    def _say_events(self, world: World) -> None:
        """Say of each request that was accepted that it was, once; and each hour that somebody opens one of them."""
        new = [message.recipients[0] for message in self.provider.accepted[self._told :]]
        self._told = len(self.provider.accepted)
        opened = [message.recipients[-1] for message in self.provider.accepted]
        events = [self._event("processed", one) for one in new] + [self._event("open", one) for one in opened]
        if events:
            with world.database.writing() as session:
                keep_call(session, json.dumps(events).encode(), now=self.clock())

    def _event(self, kind: str, recipient: Any) -> dict[str, object]:
        self._ids += 1
        named = {"event": kind, "email": recipient.address, "sg_event_id": f"e{self._ids}"}
        return {**named, "timestamp": int(self.clock().timestamp()), **recipient.custom_args}

    def _decide(self, world: World) -> None:
        """Under `hold`, be the operator who is asked: what stands before them is what was never accepted."""
        with world.database.reading() as session:
            asked = [one for one in evidence_in(session, 1) if one.asked_at]
        if asked:
            accepted = {one.custom_args["attempt_id"] for one in self.provider.recipients()}
            assert not accepted & {one.attempt_id for one in asked}
            with world.database.writing() as session:
                settle(session, 1, Decision.resend, by=COMMAND_LINE, now=self.clock())


def seeded(database: Database, policy: str) -> World:
    """A store with readers and a mailing that is due."""
    world = make_world(database, MemoryProvider())
    with database.writing() as session:
        said = {"unknown": policy, "quiet_minutes": 60}
        set_policy(session, world.publication.id, said, by=COMMAND_LINE, now=world.clock())
    world.readers(READERS)
    world.schedule(world.issue())
    return world


def die_and_live_again(story: Story, dies_at: tuple[int, Side]) -> None:
    """Die at a point, start anew on the same store, and see that everybody was mailed once."""
    with pytest.raises(Death) as death:
        story.live(Points(dies_at))
    where = f"{dies_at}: {death.value}"
    survivor = story.seed.having(database=story.database)
    survivor.account(1)
    # Long enough for the lease of the dead to end, where another process cannot know that it is dead.
    story.clock.forward(120)
    story.live(Points())
    assert Counter(story.provider.reached()) == Counter(READERS), where
    assert survivor.account(1).standing.accepted == len(READERS), where
    assert set(survivor.states(1)) == {BatchState.accepted, BatchState.split}, where
    story.database.close()


def points_of(story: Story) -> list[str]:
    """Go the whole way without dying, and give its points."""
    points = Points()
    story.live(points)
    assert Counter(story.provider.reached()) == Counter(READERS)
    return points.passed


class OnSQLite:
    """Copies of one seeded SQLite store, one after the other in the same place."""

    def __init__(self, blank: Path, folder: Path, policy: str) -> None:
        self._seed, self._file = folder / "seed.db", folder / "copy.db"
        self._folder = folder
        database = Database(f"sqlite:///{shutil.copy(blank, self._seed)}")
        self.world = seeded(database, policy)
        database.close()
        self.database = MortalDatabase(f"sqlite:///{self._file}", Points())

    def fresh(self) -> Story:
        self.database.close()
        for old in self._folder.glob("copy.db*"):
            old.unlink()
        shutil.copy(self._seed, self._file)
        return Story(self.world, self.database, self._folder / "journal")


class OnPostgres:
    """Copies of one seeded store on PostgreSQL, one after the other in the same place."""

    def __init__(self, postgres: Any, folder: Path, policy: str) -> None:
        self._postgres, self._folder = postgres, folder
        postgres.run("CREATE DATABASE crash_seed TEMPLATE blank")
        database = Database(postgres.url("crash_seed"))
        self.world = seeded(database, policy)
        database.close()
        self.database = MortalDatabase(postgres.url("crash"), Points())

    def fresh(self) -> Story:
        self.database.close()
        self._postgres.run("DROP DATABASE IF EXISTS crash WITH (FORCE)")
        self._postgres.run("CREATE DATABASE crash TEMPLATE crash_seed")
        return Story(self.world, self.database, self._folder)


@pytest.mark.parametrize("policy", ["resend", "hold"])
def test_death_at_every_commit_and_every_call(blank_sqlite, tmp_path, policy):
    stores = OnSQLite(blank_sqlite, tmp_path, policy)
    points = points_of(stores.fresh())
    others = {"line in the journal", "call to the provider"}
    assert {f"commit in newsletter.{step}" for step in STEPS} | others <= set(points)
    # Before a commit the store is as after the last: for `hold` one side is enough.
    sides = list(Side) if policy == "resend" else [Side.after]
    for dies_at in itertools.product(range(len(points)), sides):
        die_and_live_again(stores.fresh(), dies_at)
    print(f"\n{policy}: {len(points)} points, {len(points) * len(sides)} deaths")  # noqa: T201 - shown with -s


@pytest.mark.postgres
def test_death_at_some_points_on_postgresql(postgres, tmp_path):
    stores = OnPostgres(postgres, tmp_path, "resend")
    points = points_of(stores.fresh())
    # One of each kind: what a commit leaves behind differs by where it is, not by how often it came.
    for number in sorted({points.index(one) for one in points}):
        die_and_live_again(stores.fresh(), (number, Side.after))


def deaths_in(way: Callable[[Points], None], fresh: Callable[[], None], step: str) -> Iterator[None]:
    """Go a way once to learn its points; then die at each commit of one step of it, begin anew, and come to the end."""
    fresh()
    way(points := Points())
    numbers = [number for number, one in enumerate(points.passed) if one == f"commit in newsletter.{step}"]
    assert numbers
    for dies_at in itertools.product(numbers, Side):
        fresh()
        with pytest.raises(Death):
            way(Points(dies_at))
        way(Points())
        yield


def test_death_while_what_was_cancelled_is_taken_back(blank_sqlite, tmp_path):
    stores = OnSQLite(blank_sqlite, tmp_path, "hold")
    world = stores.world.having(database=stores.database, batch_size=4)

    def fresh() -> None:
        stores.database.points = Points()
        stores.fresh()
        world.begin()
        assert dispatch_next(world.desk)
        with world.database.writing() as session:
            cancel(session, 1, by=COMMAND_LINE, now=world.clock())

    def way(points: Points) -> None:
        stores.database.points = points
        Clock(world.desk, world.terms, 1.0, wake=lambda: None).tick()

    for _ in deaths_in(way, fresh, "worker.clock._unwind"):
        assert world.mailing(1).ended_at
        standing = world.account(1).standing
        assert (standing.accepted, standing.cancelled) == (4, 8)
        assert sum(one.may_have_reached for one in world.deliveries(1)) == 4
        world.database.close()


def test_death_while_an_issue_takes_its_slot(blank_sqlite, tmp_path):
    database = MortalDatabase(f"sqlite:///{shutil.copy(blank_sqlite, tmp_path / 'slot.db')}", Points())
    world = make_world(database, MemoryProvider())
    issue_id = world.issue()
    with database.writing() as session:
        set_slot(session, world.publication, SlotTime(1, time(9, 0)), by=COMMAND_LINE, now=world.clock())

    def fresh() -> None:
        database.points = Points()
        with database.writing() as session:
            session.execute(delete(Mailing))
            approve(session, issue_id, world.workshop, live=False, by=COMMAND_LINE, now=world.clock())

    def way(points: Points) -> None:
        database.points = points
        Clock(world.desk, world.terms, 1.0, wake=lambda: None).fill_slots()

    for _ in deaths_in(way, fresh, "worker.clock._fill"):
        with database.reading() as session:
            assert session.exec(select(Mailing)).one().occurrence
    database.close()
