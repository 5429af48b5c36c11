"""The heartbeat is heard while this machine would mail what is due now, and never else."""

from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from newsletter.hosts import HoldKind, hold_store, release_store
from newsletter.providers.memory import MemoryProvider
from newsletter.worker.clock import Clock
from newsletter.worker.heartbeat import Heartbeat
from newsletter.worker.vigil import State
from subscribers.actors import COMMAND_LINE
from tests.web_hooks import web_hook
from tests.world import make_world


WELL = State(trusts_clock=True, has_room=True)


@dataclass
class Pulse:
    """A clock that ticks and beats when the test says so, on a machine that is as the test says."""

    clock: Clock = field(init=False)
    steady: float = 1000.0
    state: State | None = WELL

    def look(self) -> State:
        """Be the vigil; a machine that cannot even be looked at raises."""
        if self.state is None:
            raise OSError("the disk is gone")
        return self.state


@pytest.fixture
def watch():
    with web_hook() as running:
        yield running


@pytest.fixture
def pulse(sqlite_store, watch):
    world, made = make_world(sqlite_store, MemoryProvider()), Pulse()
    heartbeat = Heartbeat(f"{watch.url}/alive", live=False, tick_seconds=1.0, steady=lambda: made.steady)
    made.clock = Clock(world.desk, world.terms, 1.0, lambda: None, heartbeat=heartbeat, vigil=made.look)
    return made


def test_it_beats_once_a_tick_has_come_to_its_end(pulse, watch):
    pulse.clock.beat()
    assert watch.calls == []
    pulse.clock.tick()
    pulse.steady += 59
    pulse.clock.beat()
    assert [call.path for call in watch.calls] == ["/alive"]


def test_ticks_that_hang_are_noticed(pulse, watch):
    pulse.clock.tick()
    pulse.steady += 61
    pulse.clock.beat()
    assert watch.calls == []
    pulse.clock.tick()
    pulse.clock.beat()
    assert len(watch.calls) == 1


def test_slow_ticks_are_waited_for(pulse, watch):
    assert pulse.clock.heartbeat is not None
    pulse.clock.heartbeat.tick_seconds = 60.0
    pulse.clock.tick()
    pulse.steady += 179
    pulse.clock.beat()
    pulse.steady += 2
    pulse.clock.beat()
    assert len(watch.calls) == 1


@pytest.mark.parametrize("state", [State(trusts_clock=False, has_room=True), State(trusts_clock=True, has_room=False)])
def test_a_machine_that_begins_nothing_is_silent(pulse, watch, state):
    pulse.state = state
    pulse.clock.tick()
    pulse.clock.beat()
    assert watch.calls == []


def test_a_tick_that_fails_is_none(pulse, watch):
    pulse.state = None
    with pytest.raises(OSError, match="gone"):
        pulse.clock.tick()
    pulse.clock.beat()
    assert watch.calls == []


def test_a_held_store_is_silent_so_that_a_copy_does_not_answer_for_the_original(pulse, watch):
    desk = pulse.clock.desk
    with desk.database.writing() as session:
        hold_store(session, HoldKind.moved, "a test", live=False, now=desk.clock())
    pulse.clock.tick()
    pulse.clock.beat()
    assert watch.calls == []
    with desk.database.writing() as session:
        release_store(session, "here", by=COMMAND_LINE, now=desk.clock())
    pulse.clock.beat()
    assert len(watch.calls) == 1


@pytest.mark.parametrize("live", [True, False])
def test_not_live_no_proxy_is_used(pulse, watch, monkeypatch, live):
    """A watch on this machine that a proxy would find, and that nobody listens at by itself."""
    monkeypatch.setenv("http_proxy", watch.url)
    heartbeat = Heartbeat("http://127.0.0.1:1/alive", live=live, tick_seconds=1.0)
    heartbeat.ticked()
    heartbeat.beat(pulse.clock.desk.database)
    assert len(watch.calls) == (1 if live else 0)


def test_a_watch_that_does_not_hear_is_named_without_its_address(pulse, watch):
    watch.answers = [(404, b"")]
    pulse.clock.tick()
    with capture_logs() as logs:
        pulse.clock.beat()
    assert [(one["event"], one["status"]) for one in logs] == [("the heartbeat was not heard", 404)]
    assert watch.url not in str(logs)


def test_it_is_one_of_the_jobs_of_a_clock(pulse):
    scheduler = pulse.clock.start()
    try:
        assert "Clock.beat" in [job.name for job in scheduler.get_jobs()]
    finally:
        scheduler.shutdown()
