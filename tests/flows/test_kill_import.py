"""`kill -9` in the middle of an import, again and again, and the file once more: no double, none lost."""

import os
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlmodel import col, func, select

from newsletter.database import Database
from newsletter.providers.memory import MemoryProvider
from subscribers.consent_models import ConsentEvent
from subscribers.models import AddressHash, Subscriber, Subscription
from tests.world import make_world


READERS = int(os.environ.get("KILL_READERS", "12000"))
#: How many readers are there when the process is killed; each time it has begun anew.
KILLED_AT = [READERS // 6, READERS // 3, READERS // 2]


@pytest.fixture
def environment(store, tmp_path):
    make_world(store, MemoryProvider())
    return os.environ | {
        "NEWSLETTER_DATABASE_URL": store.url.render_as_string(hide_password=False),
        "NEWSLETTER_ADDRESS_PEPPER": "sixteen bytes or more",
        "NEWSLETTER_DATA_DIR": str(tmp_path / "data"),
    }


@pytest.fixture
def file(tmp_path):
    """A list with what real ones have: somebody twice, far apart, and rows that are none."""
    names = [f"reader.{number}@example.com,王{number},{'pro' if number % 5 else 'free'}" for number in range(READERS)]
    names += ["READER.1@example.com,someone else,free", "no address,,free"]
    file = tmp_path / "readers.csv"
    file.write_text("\n".join(["email,name,plan", *names]) + "\n", encoding="utf-8")
    return file


def test_an_import_killed_again_and_again_ends_as_one_that_was_let_be(store, environment, file, newsletter_command):
    command = [*newsletter_command, "subscribers", "import", str(file), "--consent", "signed up on the old site"]
    for count in KILLED_AT:
        _kill_at(command, environment, store, count)
        assert count <= _readers(store) < READERS
    subprocess.run(command, env=environment, check=True, capture_output=True)
    with store.reading() as session:
        rows = (
            select(Subscriber.email, Subscriber.name, Subscription.state, func.count(col(ConsentEvent.id)))
            .join(Subscription, col(Subscription.subscriber_id) == col(Subscriber.id))
            .join(ConsentEvent, col(ConsentEvent.subscription_id) == col(Subscription.id))
            .group_by(col(Subscriber.email), col(Subscriber.name), col(Subscription.state))
        )
        found = Counter(tuple(row) for row in session.exec(rows))
        hashed = session.exec(select(func.count(func.distinct(AddressHash.subscriber_id)))).one()
    assert found == Counter(
        (f"reader.{number}@example.com", f"王{number}", "confirmed", 1) for number in range(READERS)
    )
    assert hashed == READERS


def _kill_at(command: list[str], environment: dict[str, str], store: Database, count: int) -> None:
    with Path(os.devnull).open("wb") as nowhere:
        process = subprocess.Popen(command, env=environment, stdout=nowhere, stderr=nowhere)
    while _readers(store) < count:
        assert process.poll() is None, "the import ended before it was killed"
        time.sleep(0.005)
    process.kill()
    process.wait()


def _readers(store: Database) -> int:
    with store.reading() as session:
        return session.exec(select(func.count(col(Subscription.id)))).one()
