"""A blocker keeps an issue from being scheduled, unless the operator overrides it by name, which is recorded."""

import pytest

from newsletter.delivery.scheduling import Order, schedule
from newsletter.errors import Refused
from newsletter.providers.memory import MemoryProvider
from subscribers.actors import COMMAND_LINE
from tests.world import World, make_world


BLOCKED = '# 标题\n\n{{ nickname }} 你好，{{ name | upper }}。\n\n::: sponsor 青木 label="合作"\n买。\n:::'


@pytest.fixture
def world(store) -> World:
    return make_world(store, MemoryProvider())


def order(world, issue_id, *overrides):
    with world.database.writing() as session:
        wanted = Order(issue_id, world.clock(), overrides=frozenset(overrides))
        return schedule(session, wanted, world.workshop, by=COMMAND_LINE, now=world.clock())


def test_every_blocker_must_be_overridden_by_the_name_of_its_check(world):
    issue = world.issue(BLOCKED)
    with pytest.raises(Refused, match=r"fields \(line 3\): .*sponsor-label \(line 5\): .*--override"):
        order(world, issue)
    with pytest.raises(Refused, match="sponsor-label"):
        order(world, issue, "fields")
    mailing = order(world, issue, "fields", "sponsor-label")
    stored = world.mailing(mailing.id)
    assert [one["check"] for one in stored.overrides] == ["fields", "fields", "sponsor-label"]
    assert "nickname" in stored.overrides[0]["message"]
    assert stored.overrides[0]["where"] == "line 3"


def test_an_override_that_names_no_check_is_refused(world):
    with pytest.raises(Refused, match=r"no check spelling; there is: .*fields"):
        order(world, world.issue(), "spelling")


def test_an_override_of_what_was_not_found_is_not_recorded(world):
    assert order(world, world.issue(), "size").overrides == []
