"""Readers leave after a backup, one is erased, an issue goes out; restored, nobody is mailed who must not be."""

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections import Counter
from datetime import UTC, datetime

import pytest
from sqlmodel import col, select

from newsletter.backups.taking import Source, take
from newsletter.delivery.lifecycle import MailingState
from newsletter.hosts import open_holds
from newsletter.journal.segments import Journal
from subscribers.models import Subscriber, Subscription, SubscriptionState
from tests.flows.serving import serving, stored_world, wait_for_the_end
from tests.local_sendgrid import local_sendgrid
from tests.vault import AMPLE
from tests.world import addresses


READERS = 600
LEAVE = addresses(50)
ERASED = addresses(1, start=50)[0]
STAY = addresses(READERS - 51, start=51)


@pytest.fixture
def emulator(tmp_path_factory):
    # Not in the data folder: erasing would forget there what was delivered.
    with local_sendgrid(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture
def world(tmp_path):
    world = stored_world(tmp_path)
    world.readers(addresses(READERS))
    yield world
    world.database.close()


@pytest.fixture
def newsletter(newsletter_command, tmp_path):
    """Run a command in the installation's folder."""

    def run(*words, code=0):
        environment = os.environ | {"NEWSLETTER_DATA_DIR": str(tmp_path)}
        done = subprocess.run(
            [*newsletter_command, *words], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if "--json" in words else " ".join((done.stdout + done.stderr).split())

    return run


def press_unsubscribe(world, url, email):
    """Press a mail program's unsubscribe button."""
    with world.database.reading() as session:
        found = select(Subscription.unsubscribe_id).join(Subscriber, col(Subscriber.id) == Subscription.subscriber_id)
        unsubscribe_id = session.exec(found.where(Subscriber.email == email)).one()
    request = urllib.request.Request(f"{url}/u/{unsubscribe_id}", b"List-Unsubscribe=One-Click")  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
        assert answer.status == 200


def states_of(world, emails):
    with world.database.reading() as session:
        found = select(Subscription.state).join(Subscriber, col(Subscriber.id) == Subscription.subscriber_id)
        return Counter(session.exec(found.where(col(Subscriber.email).in_(emails))))


def test_after_a_restore_who_left_stays_out_and_nobody_gets_the_issue_twice(
    world, emulator, newsletter, newsletter_command, tmp_path
):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    issue = world.issue()
    taken = newsletter("backup", "--json")
    assert taken["counts"]["subscriber"] == READERS
    with serving(newsletter_command, tmp_path, emulator, NEWSLETTER_PORT=port):
        for email in LEAVE:
            press_unsubscribe(world, f"http://127.0.0.1:{port}", email)
        newsletter("subscribers", "erase", ERASED, "--yes")
        wait_for_the_end(world, world.schedule(issue))
        assert "already runs" in newsletter("restore", taken["file"], "--yes", code=1)
    assert emulator.reached() == STAY
    world.database.close()

    said = newsletter("restore", taken["file"], "--yes")
    assert "50 departures" in said
    assert "1 erasures" in said
    assert f"requests to {len(STAY):,} readers" in said
    assert "nothing is mailed until `newsletter move --release`" in said
    assert (tmp_path / "newsletter.db").stat().st_mode & 0o777 == 0o600
    assert states_of(world, LEAVE) == {SubscriptionState.left: 50}
    assert states_of(world, [ERASED]) == {}
    assert ERASED.encode() not in (tmp_path / "newsletter.db").read_bytes()

    same, new = world.schedule(issue), world.schedule(world.issue("# 新的一期\n\n一段。"))
    with serving(newsletter_command, tmp_path, emulator, NEWSLETTER_PORT=port):
        time.sleep(1.5)  # Time enough to mail everybody, were the store not held.
        assert {world.mailing(one).state for one in (same, new)} == {MailingState.scheduled}
        # The way out is open all the while; whoever left has left.
        press_unsubscribe(world, f"http://127.0.0.1:{port}", LEAVE[0])
        shown = newsletter("move", "--json")
        assert [one["kind"] for one in shown["held"]] == ["restored"]
        assert [one["mailing"] for one in shown["goes_out"]] == [same, new]
        newsletter("move", "--release", code=1)
        newsletter("move", "--release", "--yes")
        wait_for_the_end(world, same)
        wait_for_the_end(world, new)
    assert world.account(same).exclusions == {"already_reached": len(STAY), "unsubscribed": 50}
    # The new issue goes to everybody but the 51.
    assert world.account(new).exclusions == {"unsubscribed": 50}
    assert world.account(new).standing.accepted == len(STAY) == 549
    assert emulator.reached() == sorted(STAY * 2)
    with world.database.reading() as session:
        assert open_holds(session) == []


def test_an_issue_that_the_backup_never_knew_is_recognised_by_its_text(
    world, emulator, newsletter, newsletter_command, tmp_path
):
    taken = newsletter("backup", "--json")
    mailing_id = world.schedule(world.issue())
    with serving(newsletter_command, tmp_path, emulator):
        wait_for_the_end(world, mailing_id)
    world.database.close()
    newsletter("restore", taken["file"], "--yes")
    newsletter("move", "--release", "--yes")
    world.readers(["new@example.com"])
    again = world.schedule(world.issue())
    with serving(newsletter_command, tmp_path, emulator):
        wait_for_the_end(world, again)
    assert world.account(again).exclusions == {"already_reached": READERS}
    assert emulator.reached() == ["new@example.com", *addresses(READERS)]


def test_a_backup_in_the_middle_of_a_mailing(world, emulator, newsletter, newsletter_command, tmp_path):
    """What was pending in it was mailed afterwards: the last look knows."""
    emulator.fault("slow", seconds=1.5, times=None)
    mailing_id = world.schedule(world.issue())
    with serving(newsletter_command, tmp_path, emulator, NEWSLETTER_DISPATCH_THREADS="1"):
        while not world.account(mailing_id).standing.accepted:
            time.sleep(0.05)
        file = tmp_path / "middle.backup"
        journal = Journal(tmp_path / "journal", world.hasher)
        take(
            Source(world.database, journal, "here", live=False, room=AMPLE),
            file,
            lambda *_: None,
            now=datetime.now(UTC),
        )
        assert world.mailing(mailing_id).state is MailingState.running
        emulator.mend()
        wait_for_the_end(world, mailing_id)
    world.database.close()
    newsletter("restore", str(file), "--yes")
    newsletter("move", "--release", "--yes")
    assert world.account(mailing_id).standing.pending
    with serving(newsletter_command, tmp_path, emulator):
        wait_for_the_end(world, mailing_id)
    assert emulator.reached() == addresses(READERS)
    standing = world.account(mailing_id).standing
    assert standing.skipped
    assert standing.accepted + standing.skipped + standing.unknown == READERS
