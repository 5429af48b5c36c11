"""The machine itself: clocks that disagree hold the store, a full disk makes mailing wait."""

from collections import namedtuple
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from sqlmodel import col, select

from newsletter.alerts import Alert, AlertKind
from newsletter.database import Database
from newsletter.delivery.lifecycle import MailingState
from newsletter.hosts import HoldKind, hold_store, open_holds, release_store
from newsletter.providers.memory import MemoryProvider
from newsletter.room import Room
from newsletter.worker.clock import Clock, stop
from newsletter.worker.vigil import State, Vigil
from subscribers.actors import COMMAND_LINE
from subscribers.models import Subscription, SubscriptionState
from tests.world import HandClock, World, addresses, make_world


Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - what shutil answers


@dataclass
class Machine:
    """A machine whose clocks and disk are in the test's hand."""

    world: World
    steady: float = 1000.0
    free: float = 1e12
    name: str = "here"
    vigil: Vigil = field(init=False)

    def __post_init__(self) -> None:
        room = Room((Path(),), 5.0, 200, lambda _: Usage(2_000_000_000, 0, self.free))
        self.vigil = Vigil(self.world.database, room, self.world.live, self.name, self.world.clock, lambda: self.steady)

    def passes(self, seconds: float, *, wall: float | None = None) -> None:
        """Let time pass; the wall clock may say otherwise."""
        self.steady += seconds
        self.world.clock.forward(seconds if wall is None else wall)

    @property
    def clock(self) -> Clock:
        return Clock(self.world.desk, self.world.terms, 1.0, lambda: None, vigil=self.vigil.look)

    def tick(self) -> None:
        self.clock.tick()
        self.clock.freeze_begun()

    def held(self) -> list[HoldKind]:
        with self.world.database.reading() as session:
            return [one.kind for one in open_holds(session)]

    def alerts(self) -> list[str]:
        with self.world.database.reading() as session:
            return list(session.exec(select(Alert.about).order_by(col(Alert.id))))


@pytest.fixture
def machine(store):
    world = make_world(store, MemoryProvider())
    world.readers(addresses(3))
    return Machine(world)


def test_a_clock_that_jumps_ahead_begins_nothing(machine):
    world = machine.world
    machine.tick()
    due_tomorrow = world.schedule(world.issue())
    with world.database.writing() as session:
        mailing = session.merge(world.mailing(due_tomorrow))
        mailing.due_at = mailing.first_call_at = world.clock() + timedelta(days=1)
    machine.passes(1, wall=2 * 86_400)
    machine.tick()
    assert machine.held() == [HoldKind.clock]
    assert machine.alerts() == ["store: clock"]
    machine.passes(60)
    machine.tick()
    assert world.mailing(due_tomorrow).state is MailingState.scheduled
    # NTP sets it right: nobody has to do anything.
    machine.passes(1, wall=-2 * 86_400)
    machine.tick()
    assert machine.held() == []
    assert world.mailing(due_tomorrow).state is MailingState.scheduled
    machine.passes(86_400)
    machine.tick()
    assert world.mailing(due_tomorrow).state is MailingState.running


@pytest.mark.parametrize("wall", [3600.0, -3600.0])
def test_what_runs_waits_until_a_person_says_that_the_clock_is_right(machine, wall):
    world = machine.world
    machine.tick()
    world.schedule(world.issue())
    machine.tick()
    machine.passes(1, wall=wall)
    machine.tick()
    assert world.dispatch() == 0
    with world.database.writing() as session:
        release_store(session, "here", by=COMMAND_LINE, now=world.clock())
    # The clock that a person believes is a new one: what was due by the other may come later by this.
    machine.passes(1 + max(0, -wall))
    machine.tick()
    assert machine.held() == []
    assert world.dispatch() == 1


def test_small_corrections_are_no_jump(machine):
    machine.tick()
    for _ in range(10):
        machine.passes(60, wall=200)
        machine.tick()
    assert machine.held() == []


def test_a_machine_that_slept_is_no_jump(machine):
    """The steady clock counts the sleep, too."""
    machine.tick()
    machine.passes(8 * 3600)
    machine.tick()
    assert machine.held() == []


def test_a_full_disk_makes_mailing_wait_and_room_lets_it_go_on(machine):
    world = machine.world
    due = world.schedule(world.issue())
    machine.free = 150e6
    for _ in range(3):
        machine.tick()
    assert world.mailing(due).state is MailingState.scheduled
    assert machine.alerts() == ["store: disk"]
    assert machine.held() == []
    machine.free = 300e6
    machine.tick()
    assert world.mailing(due).state is MailingState.running


def test_a_disk_that_hovers_at_its_reserve_is_told_once_as_what_it_is(machine):
    for megabytes in (199, 201, 198, 202, 197):
        machine.free = megabytes * 1e6
        machine.passes(60)
        machine.vigil.look()
    with machine.world.database.reading() as session:
        assert [(one.kind, one.repeats) for one in session.exec(select(Alert))] == [(AlertKind.disk_full, 2)]


def test_the_larger_reserve_counts():
    room = Room((Path(),), 5.0, 200, lambda _: Usage(100_000_000_000, 0, 4_000_000_000))
    assert "only 4,000 MB are free" in room.lack()
    assert "5,000 MB must be" in room.lack()
    assert replace(room, percent=1.0).lack() == ""
    assert "200 MB must be" in Room((Path(),), 5.0, 200, lambda _: Usage(10**9, 0, 10**8)).lack()


def test_a_held_store_begins_freezes_and_claims_nothing(machine):
    world = machine.world
    running = world.running()
    waiting = world.schedule(world.issue("# 另一期\n\n一段。"))
    with world.database.writing() as session:
        hold_store(session, HoldKind.restored, "a test", live=False, now=world.clock())
    machine.tick()
    assert world.dispatch() == 0
    assert world.mailing(waiting).state is MailingState.scheduled
    assert world.mailing(running).state is MailingState.running
    assert world.reached() == []
    with world.database.writing() as session:
        release_store(session, "here", by=COMMAND_LINE, now=world.clock())
    machine.tick()
    world.dispatch()
    assert world.reached() == sorted(addresses(3) * 2)


def test_after_a_jump_nothing_is_done_that_goes_by_the_time(sqlite_store):
    machine = Machine(make_world(sqlite_store, MemoryProvider()))
    machine.world.readers(addresses(3), confirmed=False)
    machine.tick()
    machine.passes(1, wall=400 * 86_400)
    # Whichever job is first looks at the clocks before it does anything.
    machine.clock.forget()
    assert machine.held() == [HoldKind.clock]
    clock = machine.clock
    for job in (clock.begin_probes, clock.tell_who_ends_soon, clock.tidy_notices, clock.settle, clock.protect):
        job()
    with sqlite_store.reading() as session:
        assert set(session.exec(select(Subscription.state))) == {SubscriptionState.pending}
    machine.passes(1, wall=-400 * 86_400)
    machine.clock.forget()
    assert machine.held() == []


def test_every_job_but_the_heartbeat_is_guarded(sqlite_store):
    looks: list[str] = []
    doubtful = State(trusts_clock=False, has_room=True)
    world = make_world(sqlite_store, MemoryProvider())
    clock = Clock(world.desk, world.terms, 1e6, lambda: None, lambda _: looks.append("pulled"), vigil=lambda: doubtful)
    sqlite_store.close()
    # A job that did anything at all would need the store.
    clock = replace(clock, desk=replace(clock.desk, database=cast("Database", None)))
    scheduler = clock.start()
    jobs = [job.func for job in scheduler.get_jobs() if job.func != clock.beat]
    stop(scheduler)
    assert len(jobs) == 10
    for job in jobs:
        job()
    assert looks == []


def test_a_service_that_starts_while_the_clock_is_doubted_waits_for_a_person(machine):
    machine.tick()
    machine.passes(1, wall=400 * 86_400)
    machine.tick()
    again = Machine(machine.world, steady=machine.steady)
    assert not again.vigil.look().trusts_clock
    again.passes(60)
    assert not again.vigil.look().trusts_clock
    assert again.held() == [HoldKind.clock]
    with machine.world.database.writing() as session:
        release_store(session, "here", by=COMMAND_LINE, now=machine.world.clock())
    assert again.vigil.look().trusts_clock


def test_a_machine_whose_clock_is_right_again_speaks_for_no_other(machine):
    one = machine
    other = Machine(one.world.having(clock=HandClock(one.world.clock.now)), name="there")
    for each in (one, other):
        each.tick()
    for each in (one, other):
        each.passes(1, wall=3600)
        each.tick()
    assert one.held() == [HoldKind.clock, HoldKind.clock]
    one.passes(1, wall=-3600)
    assert one.vigil.look().trusts_clock
    assert not other.vigil.look().trusts_clock
    assert other.held() == [HoldKind.clock]
    other.passes(1, wall=-3600)
    assert other.vigil.look().trusts_clock
    assert other.held() == []
