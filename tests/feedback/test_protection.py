"""Protection: who bounces, blocks or complains too much is held, alone or with all; a first wave is looked at."""

from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from newsletter.alerts import Alert, AlertKind
from newsletter.delivery.hearing import hear
from newsletter.delivery.lanes import lanes_of
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.models import Batch
from newsletter.delivery.policies import set_policy
from newsletter.delivery.releasing import release
from newsletter.feedback.protection import protect
from subscribers.actors import COMMAND_LINE
from tests.world import addresses


HARD = {"status": "5.1.1", "type": "bounce", "reason": "550 5.1.1 no such mailbox"}
BLOCKED = {"status": "5.7.1", "type": "blocked", "reason": "550 5.7.1 spam content", "bounce_classification": "Content"}


def at(domain, count):
    return [one.replace("example.com", domain) for one in addresses(count)]


@pytest.fixture
def begun(feedback):
    """A mailing of which a first batch of each provider has left, and as many readers wait."""

    def begin(*addresses, size=20, **terms):
        world = feedback.world
        world.readers(list(addresses))
        with world.database.writing() as session:
            set_policy(session, world.publication.id, {"hold_after": 20, **terms}, by=COMMAND_LINE, now=world.clock())
        return world.having(batch_size=size).running()

    return begin


def look(feedback):
    with feedback.world.database.writing() as session:
        return protect(session, live=False, now=feedback.world.clock())


def say_of(feedback, mailing_id, domain, count, event, **said):
    feedback.world.clock.forward(1)
    theirs = sorted(address for address in feedback.of(mailing_id) if address in accepted(feedback))
    those = [one for one in theirs if one.endswith(domain)][:count]
    whose = feedback.of(mailing_id)
    feedback.say(*(feedback.event(whose[one], event, feedback.world.clock(), **said) for one in those))


def accepted(feedback):
    return set(feedback.world.reached())


def lane(feedback, mailing_id, name):
    with feedback.world.database.reading() as session:
        return next(one for one in lanes_of(session, mailing_id) if one.lane == name)


def alerts(feedback, kind):
    with feedback.world.database.reading() as session:
        return [one.facts for one in session.exec(select(Alert).where(Alert.kind == kind).order_by(col(Alert.id)))]


def first_of_each(feedback, mailing_id):
    """Let a batch of 20 of each provider leave."""
    world = feedback.world
    with world.database.writing() as session:
        found = session.exec(select(Batch.lane, Batch.id).where(Batch.mailing_id == mailing_id).order_by(col(Batch.id)))
        first: dict[str, int] = {}
        for name, batch_id in found:
            first.setdefault(name, batch_id)
        later = col(Batch.id).not_in(first.values())
        then = world.clock.now + timedelta(hours=1)
        session.execute(update(Batch).where(later).values(not_before=then))
    world.dispatch()
    world.clock.forward(3600)


def test_one_provider_is_held_with_the_numbers_and_only_its_readers_wait(feedback, begun):
    mailing_id = begun(*at("qq.com", 40), *at("gmail.com", 200), size=20, hold_blocked_share=0.25)
    first_of_each(feedback, mailing_id)
    say_of(feedback, mailing_id, "qq.com", 6, "bounce", **BLOCKED)
    assert look(feedback) == [(mailing_id, "qq")]
    assert look(feedback) == []
    feedback.world.dispatch()
    assert sum(one.endswith("qq.com") for one in accepted(feedback)) == 20
    assert sum(one.endswith("gmail.com") for one in accepted(feedback)) == 200
    mailing = feedback.world.mailing(mailing_id)
    assert mailing.state is MailingState.held
    assert "qq: 6 of 20 mails were blocked for our reasons (30.00%; the limit is 25.00%)" in mailing.state_reason
    (facts,) = alerts(feedback, AlertKind.lane_held)
    assert (facts["provider"], facts["blocked"], facts["accepted"]) == ("qq", "6", "20")


def test_the_whole_mailing_is_held_where_all_together_pass_a_limit(feedback, begun):
    mailing_id = begun(*at("qq.com", 40), *at("gmail.com", 40))
    first_of_each(feedback, mailing_id)
    say_of(feedback, mailing_id, "qq.com", 9, "bounce", **HARD)
    assert look(feedback) == [(mailing_id, "gmail"), (mailing_id, "qq")]
    mailing = feedback.world.mailing(mailing_id)
    assert mailing.state is MailingState.held
    assert "all mailbox providers together: 9 of 40 mails bounced hard" in mailing.state_reason
    assert alerts(feedback, AlertKind.lane_held) == []
    assert len(alerts(feedback, AlertKind.mailing_held)) == 1


def test_what_was_released_is_held_again_only_when_it_is_twice_as_bad(feedback, begun):
    mailing_id = begun(*at("qq.com", 40), *at("gmail.com", 200), hold_blocked_share=0.125)
    first_of_each(feedback, mailing_id)
    say_of(feedback, mailing_id, "qq.com", 3, "bounce", **BLOCKED)
    assert look(feedback) == [(mailing_id, "qq")]
    with feedback.world.database.writing() as session:
        release(session, mailing_id, by=COMMAND_LINE, now=feedback.world.clock())
    assert look(feedback) == []
    assert lane(feedback, mailing_id, "qq").released_by
    say_of(feedback, mailing_id, "qq.com", 7, "bounce", **BLOCKED)
    assert (mailing_id, "qq") in look(feedback)


def test_before_enough_was_accepted_nothing_is_judged(feedback, begun):
    mailing_id = begun(*at("qq.com", 40), hold_after=500)
    first_of_each(feedback, mailing_id)
    say_of(feedback, mailing_id, "qq.com", 20, "bounce", **HARD)
    assert look(feedback) == []


def test_a_first_wave_that_did_well_is_followed_by_the_rest_after_the_look(feedback, begun):
    mailing_id = begun(*at("qq.com", 40), first_wave=10, look_minutes=30, hold_after=500)
    feedback.world.dispatch()
    assert len(accepted(feedback)) == 10
    look(feedback)
    say_of(feedback, mailing_id, "qq.com", 10, "delivered")
    feedback.world.clock.forward(29 * 60)
    look(feedback)
    assert feedback.world.dispatch() == 0
    feedback.world.clock.forward(61)
    look(feedback)
    feedback.world.dispatch()
    assert feedback.world.reached() == at("qq.com", 40)


def test_a_first_wave_of_which_nothing_is_heard_holds_everybody_and_is_told_once(feedback, begun):
    """A webhook that does not arrive must not switch protection off."""
    mailing_id = begun(*at("qq.com", 40), *at("gmail.com", 40), first_wave=10, hold_after=500)
    feedback.world.dispatch()
    look(feedback)
    feedback.world.clock.forward(31 * 60)
    assert look(feedback) == [(mailing_id, "gmail"), (mailing_id, "qq")]
    assert look(feedback) == []
    assert feedback.world.dispatch() == 0
    assert feedback.world.mailing(mailing_id).state is MailingState.held
    (facts,) = alerts(feedback, AlertKind.mailing_held)
    assert "gmail, qq: first wave: no feedback came (`newsletter doctor`" in facts["reason"]
    assert alerts(feedback, AlertKind.lane_held) == []
    with feedback.world.database.writing() as session:
        release(session, mailing_id, by=COMMAND_LINE, now=feedback.world.clock())
    assert look(feedback) == []
    feedback.world.dispatch()
    assert len(accepted(feedback)) == 80


def test_silence_is_told_also_while_others_are_still_mailed(feedback, begun):
    terms = {"first_wave": 10, "hold_after": 500, "provider_per_second": {"gmail": 0.001}}
    mailing_id = begun(*at("qq.com", 40), *at("gmail.com", 40), size=5, **terms)
    feedback.world.dispatch()
    look(feedback)
    feedback.world.clock.forward(31 * 60)
    assert look(feedback) == [(mailing_id, "qq")]
    (facts,) = alerts(feedback, AlertKind.mailing_held)
    assert facts["reason"].startswith("no feedback came within 30 minutes after the first wave")
    assert alerts(feedback, AlertKind.lane_held) == []


def test_events_of_another_mailing_say_that_feedback_arrives(feedback, begun):
    begun(*at("qq.com", 40), first_wave=10, hold_after=500)
    feedback.world.dispatch()
    look(feedback)
    feedback.world.clock.forward(31 * 60)
    with feedback.world.database.writing() as session:
        hear(session, 1, at=feedback.world.clock())
    assert look(feedback) == []
    feedback.world.dispatch()
    assert feedback.world.reached() == at("qq.com", 40)


def test_a_first_wave_that_did_badly_holds_its_provider(feedback, begun):
    mailing_id = begun(*at("qq.com", 40), *at("gmail.com", 40), first_wave=10, hold_after=500)
    feedback.world.dispatch()
    look(feedback)
    say_of(feedback, mailing_id, "qq.com", 2, "spamreport")
    feedback.world.clock.forward(31 * 60)
    assert look(feedback) == [(mailing_id, "qq")]
    feedback.world.dispatch()
    assert sum(one.endswith("gmail.com") for one in accepted(feedback)) == 40
    assert sum(one.endswith("qq.com") for one in accepted(feedback)) == 10
    assert "first wave: 2 of 10 mails were complained about" in feedback.world.mailing(mailing_id).state_reason
    with feedback.world.database.writing() as session:
        release(session, mailing_id, by=COMMAND_LINE, now=feedback.world.clock(), providers=["qq"])
    assert look(feedback) == []
    feedback.world.dispatch()
    # Who complained is not mailed again, and everybody got it once.
    assert len(feedback.world.reached()) == len(accepted(feedback)) == 80
