"""`kill -9` in the middle of a mailing, again and again: nobody gets it twice, who is missing is shown as unknown."""

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlmodel import col, select

from newsletter.composition import Service
from newsletter.database import Database
from newsletter.delivery.lifecycle import BatchState, MailingState
from newsletter.delivery.models import Batch, Delivery
from newsletter.migrations import migrate
from newsletter.providers.memory import MemoryProvider
from newsletter.settings import Settings
from subscribers.models import Subscriber
from tests.local_sendgrid import LocalSendGrid, local_sendgrid
from tests.world import World, addresses, make_world


READERS = int(os.environ.get("KILL_READERS", "4000"))
KILLS = int(os.environ.get("KILLS", "5"))


@pytest.fixture
def emulator(tmp_path):
    with local_sendgrid(tmp_path / "emulator") as running:
        yield running


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    """A store as `init` makes it, with its own pepper, and many readers."""
    database = Database(f"sqlite:///{tmp_path}/newsletter.db")
    migrate(database)
    world = make_world(database, MemoryProvider())
    world.hasher = Service(Settings(_env_file=None, data_dir=tmp_path)).hasher
    world.readers(addresses(READERS))
    yield world
    database.close()


@contextmanager
def serving(command: list[str], folder: Path, emulator: LocalSendGrid) -> Iterator["subprocess.Popen[bytes]"]:
    environment = os.environ | {
        "NEWSLETTER_DATA_DIR": str(folder),
        "NEWSLETTER_EMULATOR_URL": emulator.url,
        "NEWSLETTER_EMULATOR_KEY": "SG.test",
        "NEWSLETTER_BATCH_SIZE": "100",
        "NEWSLETTER_TICK_SECONDS": "0.1",
        "NEWSLETTER_PORT": "0",
    }
    process = subprocess.Popen(
        [*command, "serve", "--json"], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        assert json.loads(process.stdout.readline())["service_url"]
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_kill_in_the_middle_again_and_again(world, emulator, newsletter_command, tmp_path):
    chance = random.Random(20261123)  # noqa: S311 - moments to kill at
    emulator.fault("slow", seconds=0.15, times=None)
    issue_id = world.issue()
    world.clock.now = world.clock.now.replace(year=2020)
    mailing_id = world.schedule(issue_id)
    for _ in range(KILLS):
        with serving(newsletter_command, tmp_path, emulator) as process:
            time.sleep(chance.uniform(0.05, 0.8))
            process.send_signal(signal.SIGKILL)
            process.wait()
        world.account(mailing_id)
        assert max(Counter(emulator.reached()).values(), default=1) == 1
    emulator.mend()
    with serving(newsletter_command, tmp_path, emulator) as process:
        _wait_for_the_end(world, mailing_id)
        process.terminate()
        process.wait(timeout=30)
    reached = Counter(emulator.reached())
    assert max(reached.values()) == 1
    missing = set(addresses(READERS)) - set(reached)
    assert missing <= _addresses_in(world, BatchState.unknown)
    standing = world.account(mailing_id).standing
    assert standing.accepted + standing.unknown == READERS


def _wait_for_the_end(world: World, mailing_id: int) -> None:
    for _ in range(600):
        if world.mailing(mailing_id).state in {MailingState.finished, MailingState.held}:
            return
        time.sleep(0.1)
    pytest.fail(f"the mailing did not end: {world.account(mailing_id).standing.line()}")


def _addresses_in(world: World, state: BatchState) -> set[str | None]:
    found = (
        select(Subscriber.email)
        .join(Delivery, col(Delivery.subscriber_id) == col(Subscriber.id))
        .join(Batch, col(Batch.id) == col(Delivery.batch_id))
        .where(Batch.state == state)
    )
    with world.database.reading() as session:
        return set(session.exec(found))
