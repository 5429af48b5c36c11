"""`kill -9` in the middle of a mailing, again and again: nobody gets it twice, who is missing is shown as unknown."""

import os
import random
import signal
import socket
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, func, select

from newsletter.delivery.lifecycle import BatchState, MailingState
from newsletter.delivery.models import Attempt, Batch, Delivery
from subscribers.models import Subscriber
from tests.flows.serving import free_port, serving, stored_world, wait_for_the_end
from tests.local_sendgrid import local_sendgrid
from tests.world import World, addresses


READERS = int(os.environ.get("KILL_READERS", "4000"))
#: As many as there are dispatch threads.
CALLS_AT_ONCE = 4
KILLS = int(os.environ.get("KILLS", "5"))


@pytest.fixture
def emulator(tmp_path):
    with local_sendgrid(tmp_path / "emulator") as running:
        yield running


@pytest.fixture
def world(tmp_path):
    world = stored_world(tmp_path)
    world.readers(addresses(READERS))
    yield world
    world.database.close()


def test_kill_in_the_middle_again_and_again(world, emulator, newsletter_command, tmp_path):
    chance = random.Random(20261123)  # noqa: S311 - moments to kill at
    emulator.fault("slow", seconds=0.3, times=None)
    mailing_id = world.schedule(world.issue())
    for _ in range(KILLS):
        with serving(newsletter_command, tmp_path, emulator) as process:
            time.sleep(chance.uniform(0.05, 1.2))
            process.send_signal(signal.SIGKILL)
            process.wait()
        world.account(mailing_id)
        assert max(Counter(emulator.reached()).values(), default=1) == 1
    emulator.mend()
    with serving(newsletter_command, tmp_path, emulator):
        wait_for_the_end(world, mailing_id)
    reached = Counter(emulator.reached())
    assert max(reached.values()) == 1
    missing = set(addresses(READERS)) - set(reached)
    assert missing <= _addresses_in(world, BatchState.unknown)
    standing = world.account(mailing_id).standing
    assert standing.accepted + standing.unknown == READERS
    print(f"\n{KILLS} kills: {standing.line()}; {len(reached):,} reached once, {len(missing):,} not reached")  # noqa: T201 - the numbers are the point; shown with -s


def test_stopping_in_order_leaves_nothing_unknown(world, emulator, newsletter_command, tmp_path):
    """SIGTERM in the middle: the calls under way are finished and recorded, and the rest waits for the next start.

    Also while a reader's request does not end, which anybody can send.
    """
    emulator.fault("slow", seconds=0.5, times=None)
    mailing_id = world.schedule(world.issue())
    port = free_port()
    with (
        serving(newsletter_command, tmp_path, emulator, NEWSLETTER_PORT=str(port)) as process,
        socket.create_connection(("127.0.0.1", port)) as reader,
    ):
        reader.sendall(b"POST /u/aaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        for _ in range(100):
            if world.account(mailing_id).standing.accepted:
                break
            time.sleep(0.1)
        told = datetime.now(UTC)
        process.terminate()
        assert process.wait(timeout=30) == 0
    states = world.states(mailing_id)
    assert set(states) == {BatchState.accepted, BatchState.ready}
    with world.database.reading() as session:
        last_call = session.exec(select(func.max(Attempt.submitting_at))).one()
    assert last_call < told + timedelta(seconds=1)
    emulator.mend()
    with serving(newsletter_command, tmp_path, emulator):
        wait_for_the_end(world, mailing_id)
    assert world.mailing(mailing_id).state is MailingState.finished
    assert emulator.reached() == addresses(READERS)


def test_a_call_that_hangs_beyond_the_grace_is_left_and_said(world, emulator, newsletter_command, tmp_path):
    """SIGTERM while SendGrid does not answer: the process ends all the same, and nobody in it is mailed again."""
    emulator.fault("accept-then-hang", seconds=30.0, times=None)
    mailing_id = world.schedule(world.issue())
    with serving(newsletter_command, tmp_path, emulator, NEWSLETTER_STOP_GRACE_SECONDS="1") as process:
        for _ in range(300):
            if world.states(mailing_id).get(BatchState.submitting) == CALLS_AT_ONCE:
                break
            time.sleep(0.1)
        process.terminate()
        assert process.wait(timeout=25) == 0
    states = world.states(mailing_id)
    assert states[BatchState.submitting] == CALLS_AT_ONCE
    assert "stopped while calls were under way" in (tmp_path / "serve.log").read_text()
    emulator.mend()
    with serving(newsletter_command, tmp_path, emulator):
        wait_for_the_end(world, mailing_id)
    # What was left is unknown until events prove it; either way nobody is mailed again.
    standing = world.account(mailing_id).standing
    assert standing.accepted + standing.unknown == READERS
    assert emulator.reached() == addresses(READERS)


def _addresses_in(world: World, state: BatchState) -> set[str | None]:
    found = (
        select(Subscriber.email)
        .join(Delivery, col(Delivery.subscriber_id) == col(Subscriber.id))
        .join(Batch, col(Batch.id) == col(Delivery.batch_id))
        .where(Batch.state == state)
    )
    with world.database.reading() as session:
        return set(session.exec(found))
