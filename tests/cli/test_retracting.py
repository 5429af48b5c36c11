"""`newsletter issue retract`: it says how many readers have the issue, asks, and can be undone."""

import json

import pytest

from newsletter.database import Database
from newsletter.providers.memory import MemoryProvider
from tests.world import addresses, make_world


@pytest.fixture
def issue_id(run, tmp_path):
    """An issue of which a mailing has begun, in the store that commands find."""
    assert run("init", NEWSLETTER_ADDRESS_PEPPER="sixteen bytes or more").returncode == 0
    database = Database(f"sqlite:///{tmp_path / '.newsletter' / 'newsletter.db'}")
    world = make_world(database, MemoryProvider())
    world.readers(addresses(3))
    mailing = world.running()
    world.dispatch()
    found = world.mailing(mailing).issue_id
    database.close()
    return str(found)


def retracted_at(run):
    (row,) = json.loads(run("issue", "list", "--json").stdout)
    return row["retracted_at"]


def test_it_states_what_it_does_and_asks(run, issue_id):
    answer = run("issue", "retract", issue_id)
    assert answer.returncode == 1
    assert "reached 3 readers" in answer.stderr
    assert "--yes" in answer.stderr
    assert retracted_at(run) is None


def test_it_retracts_once_is_listed_and_undone(run, issue_id):
    assert "is retracted" in run("issue", "retract", issue_id, "--yes").stdout
    assert retracted_at(run)
    assert "was already retracted" in run("issue", "retract", issue_id, "--yes").stdout
    assert "retracted at" in run("issue", "list").stdout
    assert "back in the archive" in run("issue", "retract", issue_id, "--undo").stdout
    assert retracted_at(run) is None
    assert "nothing was changed" in run("issue", "retract", issue_id, "--undo").stdout


def test_a_retracted_issue_is_not_mailed(run, issue_id):
    run("issue", "retract", issue_id, "--yes")
    answer = run("mailing", "schedule", issue_id, "--now", "--yes")
    assert answer.returncode == 1
    assert "was retracted" in answer.stderr


def test_an_issue_that_there_is_not_cannot_be_retracted(run, issue_id):
    for words in (["--yes"], ["--undo"]):
        answer = run("issue", "retract", "99", *words)
        assert answer.returncode == 1
        assert "no issue 99" in answer.stderr


def test_a_publication_says_whether_it_may_be_indexed(run, issue_id):
    def noindex():
        return json.loads(run("publication", "show", "weekly", "--json").stdout)["noindex"]

    assert noindex() is False
    assert run("publication", "set", "weekly", "--noindex").returncode == 0
    assert noindex() is True
    assert run("publication", "set", "weekly", "--name", "周刊").returncode == 0
    assert noindex() is True
    assert run("publication", "set", "weekly", "--index").returncode == 0
    assert noindex() is False
