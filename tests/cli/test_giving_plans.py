"""`subscribers set-plan`, as an operator runs it: one reader, and a file of them."""

import csv
import json

import pytest

from newsletter.providers.memory import MemoryProvider
from tests.world import addresses, make_world


ANNA, BEN, CHU = addresses(3)


@pytest.fixture
def world(sqlite_store, run, monkeypatch):
    """A store that the commands find, with the plans free and pro and three readers of the first."""
    monkeypatch.setenv("NEWSLETTER_DATABASE_URL", sqlite_store.url.render_as_string(hide_password=False))
    monkeypatch.setenv("NEWSLETTER_ADDRESS_PEPPER", "sixteen bytes or more")
    assert run("init").returncode == 0
    world = make_world(sqlite_store, MemoryProvider())
    world.readers([ANNA, BEN, CHU])
    return world


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "paid.csv"
    path.write_text(f"Email,Plan,Until\n{ANNA},pro,2999-01-31\n{BEN},Gold,\n{CHU},free,\nstranger@gmial.com,pro,\n")
    return path


def plan_of(run, address):
    shown = json.loads(run("subscribers", "show", address, "--json").stdout)
    return shown["plan"], shown["plan_until"]


def test_one_reader_is_given_a_plan(run, world):
    answer = run("subscribers", "set-plan", ANNA, "pro", "--until", "2999-01-31")
    assert answer.stdout == f"{ANNA} has plan pro until 2999-01-31.\n"
    assert plan_of(run, ANNA) == ("pro", "2999-01-31")
    again = run("subscribers", "set-plan", ANNA, "pro", "--until", "2999-01-31", "--json")
    assert json.loads(again.stdout)["changed"] is False
    assert run("subscribers", "unsubscribe", ANNA).returncode == 0
    assert "left: a plan brings no mail" in run("subscribers", "set-plan", ANNA, "free").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((ANNA, "gold"), "there is no plan 'gold'; there is: free, pro"),
        ((ANNA, "pro", "--until", "31.1.2027"), "'31.1.2027', is no date; write it as 2027-01-31"),
        ((ANNA, "pro", "--until", "2020-01-31"), "2020-01-31, has passed"),
        (("nobody@example.com", "pro"), "nobody of this address is in the publication"),
    ],
)
def test_what_cannot_be_given_is_refused_with_why(run, world, words, said):
    answer = run("subscribers", "set-plan", *words)
    assert answer.returncode == 1
    assert said in answer.stderr
    assert plan_of(run, ANNA) == ("free", None)


@pytest.mark.parametrize("words", [(ANNA,), (), (ANNA, "pro", "--dry-run"), (ANNA, "--file", "paid.csv")])
def test_half_an_order_is_a_slip_of_the_hand(run, world, file, words):
    assert run("subscribers", "set-plan", *words).returncode == 2


def test_a_file_is_judged_whole_before_anything_changes(run, world, file, tmp_path):
    dry = run("subscribers", "set-plan", "--file", "paid.csv", "--dry-run", "--json")
    outcomes = {"changed": 1, "unknown_plan": 1, "unchanged": 1, "not_a_reader": 1}
    assert json.loads(dry.stdout) | {"to_look_at": []} == {
        "rows": 4,
        "stored": False,
        "outcomes": outcomes,
        "to_look_at": [],
    }
    asked = run("subscribers", "set-plan", "--file", "paid.csv")
    assert (asked.returncode, "Change the plans of 1 readers" in asked.stderr) == (1, True)
    assert plan_of(run, ANNA) == ("free", None)
    done = run("subscribers", "set-plan", "--file", "paid.csv", "--yes", "--report", "report.csv")
    assert done.returncode == 0
    assert "stranger@gmail.com" in done.stdout
    assert plan_of(run, ANNA) == ("pro", "2999-01-31")
    with (tmp_path / "report.csv").open(encoding="utf-8-sig", newline="") as report:
        assert [row["outcome"] for row in csv.DictReader(report)] == [
            "changed",
            "unknown_plan",
            "unchanged",
            "not_a_reader",
        ]
    again = json.loads(run("subscribers", "set-plan", "--file", "paid.csv", "--json").stdout)
    assert again["outcomes"] == {"unchanged": 2, "unknown_plan": 1, "not_a_reader": 1}


def test_a_file_without_plans_is_refused(run, world, file):
    file.write_text(f"email\n{ANNA}\n")
    answer = run("subscribers", "set-plan", "--file", "paid.csv", "--yes")
    assert answer.returncode == 1
    assert "has no column of plans" in answer.stderr
