"""The kill loop: a hundred `kill -9` of the service while it mails, with every fault mixed in and feedback on.

`KILLS` says how many; `make soak` runs a thousand. On PostgreSQL a tenth as many, of one of two services by turns. What
nobody was told of is proven by events; what was never accepted goes out once more by the policy `resend` after the
quiet time, or stands before the operator under `hold`.
"""

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import col, func, select

from newsletter.delivery.evidence import evidence_in
from newsletter.delivery.lifecycle import BatchState, MailingState
from newsletter.delivery.models import Batch
from newsletter.delivery.policies import set_policy
from newsletter.feedback.ingest import is_work
from newsletter.providers.memory import MemoryProvider
from subscribers.actors import COMMAND_LINE
from tests.flows.serving import free_port, serving_at_once, stored_world
from tests.local_sendgrid import LocalSendGrid, local_sendgrid
from tests.world import World, addresses, make_world


KILLS = int(os.environ.get("KILLS", "100"))
#: Calls that may be in flight at once, and so unknown after a kill.
THREADS = 4
BATCH = 2
#: More than the calls that end in the longest life, so that no life finds nothing to do.
BATCHES_A_LIFE = 20
#: Seconds until something that must happen counts as never; on a busy machine what the killed left takes minutes.
PATIENCE = 600
#: Shares of requests; the first two seconds of a hang outlast the service's patience.
FAULTS: dict[str, tuple[float, dict[str, object]]] = {
    "accept-then-hang": (0.02, {"seconds": 2.0}),
    "accept-then-reset": (0.04, {}),
    "500-after-accept": (0.04, {}),
    "reset-before-accept": (0.04, {}),
    "429": (0.05, {"reset": 0}),
    "503": (0.05, {}),
    "slow": (1.0, {"seconds": 0.25}),
}


@pytest.fixture
def emulator(tmp_path):
    with local_sendgrid(tmp_path / "emulator") as running:
        running.call("/_emulator/webhook", {"batch_seconds": 0.2})
        yield running


@pytest.fixture
def world(tmp_path):
    world = stored_world(tmp_path)
    yield world
    world.database.close()


def readers_for(kills: int) -> list[str]:
    return addresses(kills * BATCHES_A_LIFE * BATCH)


def mix_faults(emulator: LocalSendGrid, *, slow: bool) -> None:
    emulator.mend()
    for number, (kind, (probability, details)) in enumerate(FAULTS.items()):
        if kind == "slow" and not slow:
            continue
        # A fault without an end would answer questions about the account, too.
        emulator.fault(kind, times=10**9, probability=probability, seed=number, **details)


def unknown_policy(world: World, policy: str, quiet_minutes: float) -> None:
    with world.database.writing() as session:
        said = {"unknown": policy, "quiet_minutes": quiet_minutes}
        set_policy(session, world.publication.id, said, by=COMMAND_LINE, now=world.clock())


def calls_in_flight(world: World) -> int:
    with world.database.reading() as session:
        found = select(func.count()).select_from(Batch).where(col(Batch.state) == BatchState.submitting)
        return session.exec(found).one()


def wait(what: str, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def mail_and_kill(world: World, emulator: LocalSendGrid, folder: Path, kills: int, **settings: str) -> int:
    """Mail to enough readers for so many lives, and end each at a moment of its own; give the mailing."""
    chance = random.Random(20261125)  # noqa: S311 - moments to kill at
    world.readers(readers_for(kills))
    mailing_id = world.schedule(world.issue())
    # Frozen before: what is killed here is dispatch (``test_crash_sweep`` dies in the freeze, too).
    assert world.having(batch_size=BATCH).begin() == [mailing_id]
    mix_faults(emulator, slow=True)
    for _ in range(kills):
        with serving_at_once(folder, emulator, **settings) as process:
            wait("a call", lambda: calls_in_flight(world) > 0)
            time.sleep(chance.uniform(0, 0.8))
            process.kill()
            process.join()
        assert calls_in_flight(world) <= THREADS
        world.account(mailing_id)
    # What is left goes out at full speed.
    mix_faults(emulator, slow=False)
    return mailing_id


def hear_everything(world: World, emulator: LocalSendGrid) -> None:
    """Wait until every event of what was accepted was posted and applied."""
    # What a dead service did not take is posted again after a wait, which is made short.
    emulator.call("/_emulator/clock", {"speed": 100.0})
    wait("events", lambda: not json.loads(emulator.call("/_emulator/counts"))["posting"]["waiting"])
    wait("calls", lambda: not _waiting_calls(world))


def _waiting_calls(world: World) -> bool:
    with world.database.reading() as session:
        return is_work(session)


def accepted_attempts(emulator: LocalSendGrid) -> set[str]:
    return {one["custom_args"]["attempt_id"] for one in emulator.deliveries("custom_args")}


def settings_of_a_kill_loop() -> dict[str, str]:
    return {
        "NEWSLETTER_BATCH_SIZE": str(BATCH),
        "NEWSLETTER_DISPATCH_THREADS": str(THREADS),
        "NEWSLETTER_SENDGRID_TIMEOUT": "1",
        "NEWSLETTER_PORT": str(free_port()),
    }


@pytest.mark.timeout(max(1800, KILLS * 12))
def test_killed_a_hundred_times_nobody_is_mailed_twice_or_left_out(world, emulator, tmp_path):
    unknown_policy(world, "resend", quiet_minutes=600)
    settings = settings_of_a_kill_loop()
    mailing_id = mail_and_kill(world, emulator, tmp_path, KILLS, **settings)
    with serving_at_once(tmp_path, emulator, **settings):
        wait("dispatch", lambda: not world.account(mailing_id).standing.pending)
        hear_everything(world, emulator)
        emulator.mend()
        never = len(_unknown(world, mailing_id))
        # Every event is heard: from now on the quiet time is short, and others' events let it pass.
        unknown_policy(world, "resend", quiet_minutes=0.001)
        emulator.call("/_emulator/react", {"reaction": "open", "rate": 0.02, "now": True})
        wait("the end", lambda: world.mailing(mailing_id).state is MailingState.finished)
    everybody = readers_for(KILLS)
    reached = Counter(emulator.reached())
    standing = world.account(mailing_id).standing
    print(f"\n{KILLS} kills; {standing.line()}; {never} requests mailed once more")  # noqa: T201 - shown with -s
    assert [one for one, times in reached.items() if times > 1] == []
    assert set(everybody) - set(reached) == set()
    assert (standing.accepted, standing.unknown) == (len(everybody), 0)
    # Of a handful of lives neither is certain.
    assert KILLS < 50 or (standing.proven and never)


@pytest.mark.postgres
@pytest.mark.timeout(max(600, KILLS * 2))
def test_one_of_two_services_on_postgresql_is_killed_by_turns(postgres_store, emulator, tmp_path):
    """The other goes on all the while, and settles what the dead one leaves once its lease has ended."""
    world = make_world(postgres_store, MemoryProvider())
    world.clock.now = datetime.now(UTC) - timedelta(minutes=1)
    unknown_policy(world, "resend", quiet_minutes=600)
    kills, chance = max(10, KILLS // 10), random.Random(7)  # noqa: S311 - moments to kill at
    world.readers(everybody := addresses(kills * 3 * BATCHES_A_LIFE * BATCH))
    mailing_id = world.schedule(world.issue())
    assert world.having(batch_size=BATCH).begin() == [mailing_id]
    mix_faults(emulator, slow=True)
    services = [PostgresService(postgres_store.url.render_as_string(hide_password=False), tmp_path, n) for n in (0, 1)]
    with ExitStack() as running:
        lives = [running.enter_context(one.live(emulator)) for one in services]
        for kill in range(kills):
            wait("a call", lambda: calls_in_flight(world) > 0)
            time.sleep(chance.uniform(0, 0.8))
            lives[kill % 2].close()
            world.account(mailing_id)
            lives[kill % 2] = running.enter_context(services[kill % 2].live(emulator))
        mix_faults(emulator, slow=False)
        wait("dispatch", lambda: not world.account(mailing_id).standing.pending)
        hear_everything(world, emulator)
        emulator.mend()
        unknown_policy(world, "resend", quiet_minutes=0.001)
        emulator.call("/_emulator/react", {"reaction": "open", "rate": 0.1, "now": True})
        wait("the end", lambda: world.mailing(mailing_id).state is MailingState.finished)
    assert Counter(emulator.reached()) == Counter(everybody)
    standing = world.account(mailing_id).standing
    assert (standing.accepted, standing.unknown) == (len(everybody), 0)


@dataclass(frozen=True)
class PostgresService:
    """One of several services on one store; events come to the one that was started last."""

    url: str
    folder: Path
    number: int

    def live(self, emulator: LocalSendGrid) -> ExitStack:
        """Start it; closing kills it."""
        home = self.folder / f"service {self.number}"
        home.mkdir(exist_ok=True)
        settings = settings_of_a_kill_loop() | {
            "NEWSLETTER_DATABASE_URL": self.url,
            "NEWSLETTER_ADDRESS_PEPPER": "sixteen bytes or more",
            "NEWSLETTER_DATA_DIR": str(self.folder),
            "NEWSLETTER_LEASE_SECONDS": "10",
        }
        life = ExitStack()
        life.enter_context(serving_at_once(home, emulator, **settings))
        return life


def test_under_hold_what_no_event_proves_stands_before_the_operator(world, emulator, tmp_path):
    unknown_policy(world, "hold", quiet_minutes=600)
    settings, kills = settings_of_a_kill_loop(), max(5, KILLS // 10)
    mailing_id = mail_and_kill(world, emulator, tmp_path, kills, **settings)
    with serving_at_once(tmp_path, emulator, **settings):
        wait("dispatch", lambda: not world.account(mailing_id).standing.pending)
        hear_everything(world, emulator)
        wait("the end", lambda: world.mailing(mailing_id).state in {MailingState.held, MailingState.finished})
    reached = Counter(emulator.reached())
    standing = world.account(mailing_id).standing
    before_the_operator = _unknown(world, mailing_id)
    assert max(reached.values()) == 1
    assert before_the_operator
    assert not set(before_the_operator) & accepted_attempts(emulator)
    assert standing.unknown == len(set(readers_for(kills)) - set(reached))


def _unknown(world: World, mailing_id: int) -> list[str]:
    with world.database.reading() as session:
        return [one.attempt_id for one in evidence_in(session, mailing_id)]
