"""`newsletter slots` and `issue ready`: what operators type, and what they read."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from newsletter.database import Database
from newsletter.providers.memory import MemoryProvider
from tests.world import addresses, make_world


@pytest.fixture
def issue(run, tmp_path):
    """An issue on the shelf of the store that commands find, which have the real clock."""
    assert run("init", NEWSLETTER_ADDRESS_PEPPER="sixteen bytes or more").returncode == 0
    database = Database(f"sqlite:///{tmp_path / '.newsletter' / 'newsletter.db'}")
    world = make_world(database, MemoryProvider())
    world.readers(addresses(3))
    found = world.issue()
    database.close()
    return str(found)


@pytest.fixture
def weekday():
    """A day on which the slot is days away, whenever the test runs."""
    return ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[(datetime.now(UTC) + timedelta(days=4)).weekday()]


def entries(run):
    return json.loads(run("slots", "list", "--json").stdout)


def coming(run):
    return [one for one in entries(run) if not one["skipped"]]


def test_a_slot_is_set_an_issue_takes_it_and_skipping_lets_it_wait(run, issue, weekday):
    assert "slots set" in run("slots", "list").stderr
    assert "not mailed by itself" in run("issue", "ready", issue).stdout
    answer = run("slots", "set", "--weekday", weekday, "--time", "09:00")
    assert "comes next at" in answer.stdout
    first = entries(run)[0]
    assert (first["use"], first["issue"], first["zone"]) == ("foreseen", int(issue), "Asia/Shanghai")
    assert "09:00 CST" in first["local"]
    answer = run("issue", "ready", issue)
    assert "3 readers" in answer.stdout
    assert first["local"] in answer.stdout
    assert "--undo" in run("slots", "skip", first["planned"]).stdout
    assert entries(run)[0]["use"] == "skipped"
    assert coming(run)[0]["issue"] == int(issue)
    assert "again" in run("slots", "skip", first["planned"], "--undo").stdout
    assert entries(run)[0]["use"] == "foreseen"


def test_a_date_is_moved_and_moved_back(run, issue, weekday):
    run("slots", "set", "--weekday", weekday, "--time", "09:00")
    planned = entries(run)[0]["planned"]
    to = (datetime.fromisoformat(planned) + timedelta(days=1, hours=10)).isoformat(timespec="minutes")
    assert "10:00 CST" in run("slots", "move", planned, "--to", to).stdout
    assert (entries(run)[0]["moved_to"], entries(run)[0]["planned"]) == (to, planned)
    assert "moved" in run("slots", "list").stdout
    assert "again" in run("slots", "move", planned, "--undo").stdout
    assert run("slots", "move", planned).returncode == 2


def test_the_states_of_an_issue_are_shown(run, issue, weekday):
    run("slots", "set", "--weekday", weekday, "--time", "09:00")

    def state():
        (row,) = json.loads(run("issue", "list", "--json").stdout)
        assert json.loads(run("issue", "show", issue, "--json").stdout)["state"] == row["state"]
        return row["state"]

    assert state() == "draft"
    run("issue", "ready", issue)
    assert state() == "ready"
    assert "draft again" in run("issue", "ready", issue, "--undo").stdout
    assert "nothing was changed" in run("issue", "ready", issue, "--undo").stdout
    answer = run("mailing", "schedule", issue, "--next-slot", "--json")
    assert json.loads(answer.stdout)["slot"] == entries(run)[0]["planned"]
    assert state() == "scheduled"
    assert entries(run)[0]["mailing_state"] == "scheduled"
    assert "scheduled already" in run("issue", "ready", issue).stderr
    assert "Mailing 1, which waits" in run("issue", "retract", issue).stderr
    assert "no weekly slot any more" in run("slots", "clear").stdout
    assert state() == "ready"


def test_a_time_is_said_in_another_zone(run, issue):
    run("mailing", "schedule", issue, "--at", "2030-06-03T09:00", "--zone", "Europe/Berlin")
    (row,) = json.loads(run("mailing", "list", "--json").stdout)
    assert row["due"] == "2030-06-03 15:00 CST"


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("slots", "set", "--weekday", "mon", "--time", "25:00"), 1, "no time of day"),
        (("slots", "set", "--weekday", "someday", "--time", "09:00"), 2, "someday"),
        (("slots", "skip", "tomorrow"), 1, "no date"),
        (("slots", "skip", "2026-12-28"), 1, "no weekly slot"),
        (("issue", "ready", "99"), 1, "no issue 99"),
        (("issue", "ready", "1", "--override", "spelling"), 1, "no check spelling"),
        (("mailing", "schedule", "1", "--next-slot"), 1, "no weekly slot"),
        (("mailing", "schedule", "1", "--next-slot", "--again"), 2, "for everybody"),
        (("mailing", "schedule", "1", "--now", "--zone", "UTC"), 2, "--zone"),
        (("mailing", "schedule", "1", "--at", "2030-01-01T09:00", "--zone", "Mars"), 1, "no time zone"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(run, issue, words, code, why):
    answer = run(*words)
    assert answer.returncode == code
    assert why in answer.stderr
