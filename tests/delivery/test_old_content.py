"""What was under way when the machine stopped, and became old since, waits for a person."""

from newsletter.delivery.dispatch import dispatch_next
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.mailings import begin_due, resume
from newsletter.delivery.old_content import hold_the_old
from tests.world import World, addresses


DAY = 86_400


def started(world: World) -> list[int]:
    with world.database.writing() as session:
        return hold_the_old(session, live=False, now=world.clock())


def half_mailed(world: World) -> tuple[World, int]:
    world.readers(addresses(4))
    world = world.having(batch_size=2)
    mailing_id = world.running()
    assert dispatch_next(world.desk)
    return world, mailing_id


def test_a_mailing_of_which_nothing_has_left_for_days_asks_before_it_goes_on(world):
    world, mailing_id = half_mailed(world)
    world.clock.forward(20 * DAY)
    assert started(world) == [mailing_id]
    held = world.mailing(mailing_id)
    assert held.state is MailingState.held
    assert "due 20 days ago, and nothing of it has left for 20 d" in held.state_reason
    assert f"mailing resume {mailing_id} --even-though-old" in held.state_reason
    assert world.dispatch() == 0
    with world.database.writing() as session:
        resume(session, mailing_id, live=False, now=world.clock(), even_though_old=True)
    assert world.dispatch() == 1
    assert world.mailing(mailing_id).state is MailingState.finished


def test_one_that_another_machine_mails_or_that_is_not_old_goes_on(world):
    world, mailing_id = half_mailed(world)
    world.clock.forward(DAY)
    assert started(world) == []
    world.readers(addresses(2, start=10))
    world.clock.forward(4 * DAY)
    dispatch_next(world.desk)
    assert started(world) == []
    assert world.mailing(mailing_id).state is MailingState.finished


def test_a_freeze_that_was_cut_short_days_ago_asks_too(world):
    world.readers(addresses(2))
    mailing_id = world.schedule(world.issue())
    with world.database.writing() as session:
        assert begin_due(session, live=False, now=world.clock()) == [mailing_id]
    world.clock.forward(3 * DAY)
    assert started(world) == [mailing_id]
    assert world.mailing(mailing_id).frozen_at is None


def test_where_nobody_waits_there_is_nothing_to_ask(world):
    world, mailing_id = half_mailed(world)
    assert dispatch_next(world.desk)
    world.clock.forward(3 * DAY)
    assert started(world) == []
    assert world.mailing(mailing_id).state is MailingState.finished
