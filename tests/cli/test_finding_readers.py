"""Finding readers: by conditions, in listings, for tags, and as the audience of a mailing whose size is told before."""

import json

import pytest

from newsletter.database import Database
from newsletter.providers.memory import MemoryProvider
from tests.world import addresses, make_world


ANNA, BEN, CHU = addresses(3)
PEPPER = {"NEWSLETTER_ADDRESS_PEPPER": "sixteen bytes or more"}


@pytest.fixture
def world(run, tmp_path):
    """A store that the commands find, with two readers of one plan and one of another."""
    assert run("init", **PEPPER).returncode == 0
    database = Database(f"sqlite:///{tmp_path / '.newsletter' / 'newsletter.db'}")
    world = make_world(database, MemoryProvider())
    world.readers([ANNA, BEN])
    world.readers([CHU], plan="pro")
    yield world
    database.close()


def found(run, *conditions):
    words = [word for one in conditions for word in ("--where", one)]
    return [row["email"] for row in json.loads(run("subscribers", "list", *words, "--json").stdout)]


def test_conditions_find_readers_and_count_them(run, world):
    assert found(run, "plan=pro") == [CHU]
    assert found(run, "plan=free", "state=confirmed") == [ANNA, BEN]
    assert found(run, "joined<2020-01-01") == []
    assert run("subscribers", "list", "--where", "plan=free", "--count").stdout == "2\n"
    assert json.loads(run("subscribers", "list", "--count", "--json").stdout) == {"readers": 3}


def test_what_is_kept_of_readers_finds_them(run, world):
    assert run("subscribers", "attributes", "add", "age", "--kind", "number").returncode == 0
    assert run("subscribers", "set", ANNA, "age=31").returncode == 0
    assert found(run, "attr.age>=30") == [ANNA]
    assert json.loads(run("subscribers", "attributes", "list", "--json").stdout) == [
        {"code": "age", "kind": "number", "readers": 1}
    ]
    asked = run("subscribers", "tag", "--where", "plan=free", "--add", "VIP")
    assert (asked.returncode, "2 readers" in asked.stderr) == (1, True)
    assert run("subscribers", "tag", "--where", "plan=free", "--add", "VIP", "--yes").returncode == 0
    assert run("subscribers", "tag", BEN, "--remove", "vip").returncode == 0
    assert found(run, "tag=vip") == [ANNA]
    shown = json.loads(run("subscribers", "show", ANNA, "--json", **PEPPER).stdout)
    assert (shown["tags"], shown["attributes"]) == (["vip"], {"age": "31"})


def test_the_size_of_an_audience_is_told_before_it_is_scheduled(run, world):
    issue_id = str(world.issue())
    asked = run("mailing", "schedule", issue_id, "--now", "--audience", "plan=free")
    assert asked.returncode == 1
    assert "2 readers of 测试刊 with plan=free, of whom 2 may be mailed now" in asked.stderr
    run("subscribers", "unsubscribe", BEN)
    words = ("mailing", "schedule", issue_id, "--at", "2030-01-01T09:00", "--audience", "plan=free", "--yes", "--json")
    scheduled = json.loads(run(*words).stdout)
    assert (scheduled["audience"], scheduled["audience_size"]) == ("plan=free", {"candidates": 2, "may_be_mailed": 1})
    assert json.loads(run("mailing", "show", str(scheduled["id"]), "--json").stdout)["audience"] == "plan=free"


@pytest.mark.parametrize(
    "words",
    [
        ("list", "--where", "plan=gold"),
        ("list", "--where", "mood=good"),
        ("tag", "--add", "vip", "--where", "attr.shoe=42", "--yes"),
        ("set", ANNA, "shoe=42"),
    ],
)
def test_conditions_that_cannot_be_are_refused(run, world, words):
    answer = run("subscribers", *words)
    assert answer.returncode == 1
    assert "there is" in answer.stderr
    assert "Traceback" not in answer.stderr
