"""Plans end by the calendar of their publication, also where clocks change, and their readers hear of it once."""

from datetime import UTC, date, datetime, timedelta
from threading import Barrier, Thread

import pytest
from sqlmodel import col, select

from newsletter.outbox import Notice, NoticeKind
from newsletter.providers.memory import MemoryProvider
from newsletter.publications import PublicationForm, set_publication
from newsletter.worker.clock import Clock
from newsletter.worker.plan_days import end_what_is_over, tell_who_ends_soon
from subscribers.actors import COMMAND_LINE
from subscribers.consent_models import ConsentEvent, ConsentKind
from subscribers.models import Subscription
from subscribers.plan_changes import PlanChange, change_plan
from subscribers.roster import list_subscriptions
from tests.world import World, addresses, make_world


LAST = date(2027, 3, 13)


@pytest.fixture
def world(store) -> World:
    world = make_world(store, MemoryProvider())
    world.readers(addresses(3))
    give(world)
    return world


def give(world, until=LAST):
    with world.database.writing() as session:
        for reader in list_subscriptions(session, world.publication.id):
            change_plan(session, reader.id, PlanChange("pro", until), by=COMMAND_LINE, now=world.clock())


def zone(world, name):
    with world.database.writing() as session:
        set_publication(session, "weekly", PublicationForm(time_zone=name))


def kinds(world):
    with world.database.reading() as session:
        return session.exec(select(Notice.kind).order_by(col(Notice.id))).all()


@pytest.mark.parametrize(
    ("name", "over_from"),
    [
        ("Asia/Shanghai", datetime(2027, 3, 13, 16, 0, tzinfo=UTC)),
        # The day after the last one, on which clocks are put forward, begins at UTC-5.
        ("America/New_York", datetime(2027, 3, 14, 5, 0, tzinfo=UTC)),
        ("Pacific/Kiritimati", datetime(2027, 3, 13, 10, 0, tzinfo=UTC)),
    ],
)
def test_a_plan_lasts_to_the_end_of_its_last_day_where_its_publication_lives(world, name, over_from):
    zone(world, name)
    assert end_what_is_over(world.database, live=False, now=over_from - timedelta(seconds=1)) == 0
    assert end_what_is_over(world.database, live=False, now=over_from) == 3
    assert end_what_is_over(world.database, live=False, now=over_from) == 0
    assert kinds(world) == [NoticeKind.plan_changed] * 3


def test_readers_are_told_before_once(world):
    soon = datetime(2027, 3, 7, 12, 0, tzinfo=UTC)
    assert tell_who_ends_soon(world.database, live=False, now=soon - timedelta(days=2)) == 0
    assert tell_who_ends_soon(world.database, live=False, now=soon) == 3
    assert tell_who_ends_soon(world.database, live=False, now=soon) == 0
    with world.database.reading() as session:
        notice = session.exec(select(Notice)).first()
    assert notice.kind is NoticeKind.renewal
    assert notice.detail == {"plan": "pro", "until": "2027-03-13", "then": "free", "upgrade_url": ""}


def test_machines_that_end_the_same_plans_at_once_end_each_once(world):
    over, start = datetime(2027, 4, 1, tzinfo=UTC), Barrier(4)

    def end():
        start.wait()
        end_what_is_over(world.database, live=False, now=over)

    threads = [Thread(target=end) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with world.database.reading() as session:
        assert {one.plan_until for one in session.exec(select(Subscription))} == {None}
        changes = session.exec(select(ConsentEvent).where(ConsentEvent.kind == ConsentKind.plan_changed)).all()
    assert sum(event.detail.get("reason") == "ended" for event in changes) == 3
    assert kinds(world) == [NoticeKind.plan_changed] * 3


def test_a_mailing_that_begins_on_the_day_after_goes_by_the_plans_that_are_left(world):
    give(world, until=world.clock().date())
    world.schedule(world.issue("# 一期\n\n公开。\n\n::: plan pro\n付费。\n:::"))
    world.clock.forward(86400)
    clock = Clock(world.desk, world.terms, 1.0, lambda: None)
    clock.tick()
    clock.freeze_begun()
    world.dispatch()
    assert {mail.text.count("付费。") for mail in world.provider.accepted} == {0}
    assert sum(len(mail.recipients) for mail in world.provider.accepted) == 3
