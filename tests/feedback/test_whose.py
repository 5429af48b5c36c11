"""Whose mail an event is about, where it says little: never one that had not left, nor a trial where it is LIVE."""

from dataclasses import replace
from datetime import timedelta

from sqlmodel import select

from newsletter.delivery.models import Delivery
from newsletter.feedback.ingest import apply_events
from newsletter.feedback.models import Consequence, DeliveryOutcome, FeedbackEventRow
from newsletter.feedback.outcomes import Outcome
from newsletter.providers.sendgrid_events import read_event
from subscribers.models import SubscriptionState
from tests.feedback.test_feedback import HARD, SOFT, mailed, outcome, reasons, rows, state_of
from tests.world import ISSUE


def test_a_late_bounce_is_not_of_a_mail_that_has_not_left_yet(feedback):
    world = feedback.world
    whose = mailed(feedback, "late@example.com")["late@example.com"]
    world.schedule(world.issue(ISSUE.replace("第一期", "第九期")))
    world.begin()
    feedback.say(feedback.event({"email": "late@example.com"}, "bounce", world.clock() + timedelta(hours=1), **HARD))
    assert outcome(feedback, whose) is Outcome.hard
    assert len(rows(feedback, DeliveryOutcome)) == 1


def test_a_late_bounce_of_a_live_mail_is_not_of_a_trial(feedback):
    world = feedback.world
    mailed(feedback, "late@example.com")
    event = feedback.event({"email": "late@example.com"}, "bounce", world.clock() + timedelta(hours=1), **HARD)
    live = replace(feedback.scene, live=True)
    with world.database.writing() as session:
        apply_events(session, [read_event(event)], live, received_at=world.clock())
    (row,) = rows(feedback, FeedbackEventRow)
    assert row.mailing_id is None
    assert rows(feedback, DeliveryOutcome) == []
    assert reasons(feedback, "late@example.com") == ["hard_bounce"]


def test_who_leaves_a_group_of_another_product_on_the_account_leaves_nothing_here(feedback):
    mailed(feedback, "a@example.com")
    shop = {"email": "a@example.com", "sg_message_id": "shop.1"}
    feedback.say(feedback.event(shop, "group_unsubscribe", feedback.world.clock(), asm_group_id=5))
    assert state_of(feedback, "a@example.com") is SubscriptionState.confirmed
    feedback.say(feedback.event(shop, "unsubscribe", feedback.world.clock()))
    assert state_of(feedback, "a@example.com") is SubscriptionState.left


def test_two_bounces_of_one_second_both_count_whichever_came_first(feedback):
    whose = mailed(feedback, "a@example.com", "b@example.com")
    now = feedback.world.clock()
    feedback.say(*(feedback.event(whose["a@example.com"], "bounce", now, **said) for said in (SOFT, HARD)))
    feedback.say(*(feedback.event(whose["b@example.com"], "bounce", now, **said) for said in (HARD, SOFT)))
    assert [reasons(feedback, one) for one in ("a@example.com", "b@example.com")] == [["hard_bounce"]] * 2


def test_what_was_dropped_may_be_mailed_again_whatever_else_is_said_and_when(feedback):
    whose = mailed(feedback, "a@example.com", "b@example.com")
    now = feedback.world.clock()
    for address, order in (("a@example.com", (0, 1)), ("b@example.com", (1, 0))):
        drop = feedback.event(whose[address], "dropped", now, reason="Bounced Address")
        bounce = feedback.event({"email": address}, "bounce", now + timedelta(hours=1), **HARD)
        for index in order:
            feedback.say((drop, bounce)[index])
    with feedback.world.database.reading() as session:
        assert set(session.exec(select(Delivery.may_have_reached))) == {False}


def test_a_row_of_bounces_is_broken_by_a_delivery_of_long_ago_however_many_mailings_came_since(feedback):
    world = feedback.world
    first = [mailed(feedback, "a@example.com")["a@example.com"], *(mailed(feedback)["a@example.com"] for _ in range(5))]
    for number, whose in enumerate(first):
        said = {} if number % 2 else SOFT
        feedback.say(feedback.event(whose, "bounce" if said else "delivered", world.clock(), **said))
    with world.database.writing() as session:
        mailing = world.mailing(1)
        for _ in range(210):
            session.add(type(mailing)(**mailing.model_dump(exclude={"id"})))
    whose = mailed(feedback)["a@example.com"]
    feedback.say(feedback.event(whose, "bounce", world.clock(), **SOFT))
    assert rows(feedback, Consequence) == []


MACHINE = "filter0093p1las1.9128.5717FB8127.0"


def test_a_drop_or_bounce_whose_id_names_a_machine_is_matched_by_address_and_frees_nobody(feedback):
    whose = mailed(feedback, "dropped@example.com", "bounced@example.com")
    at = feedback.world.clock() + timedelta(hours=1)
    said = {"dropped": {"reason": "Spam Content"}, "bounced": SOFT}
    for name, more in said.items():
        plain = {"email": f"{name}@example.com", "sg_message_id": MACHINE}
        feedback.say(feedback.event(plain, "dropped" if name == "dropped" else "bounce", at, **more))
    assert outcome(feedback, whose["dropped@example.com"]) is Outcome.dropped
    assert outcome(feedback, whose["bounced@example.com"]) is Outcome.soft
    assert {row.mailing_id for row in rows(feedback, FeedbackEventRow)} == {1}
    # It may be about a mail of another system: nobody gets the issue a second time on a guess.
    with feedback.world.database.reading() as session:
        assert set(session.exec(select(Delivery.may_have_reached))) == {True}


def test_a_bounce_that_names_a_request_of_another_system_is_of_no_mail_of_ours(feedback):
    whose = mailed(feedback, "a@example.com")["a@example.com"]
    at = feedback.world.clock() + timedelta(hours=1)
    shop = {"email": "a@example.com", "sg_message_id": "euo2iKxdSayPF4YE4--I7A.recvd-5f54b5d587-pczjm-1-67BADEEA-6.0"}
    feedback.say(feedback.event(shop, "bounce", at, **HARD))
    assert outcome(feedback, whose) is None
    # The mailbox does not exist, whoever mailed it.
    assert reasons(feedback, "a@example.com") == ["hard_bounce"]


def test_what_a_reader_did_with_a_mail_that_names_a_machine_is_of_no_mail_of_ours(feedback):
    whose = mailed(feedback, "a@example.com")["a@example.com"]
    plain = {"email": "a@example.com", "sg_message_id": MACHINE}
    feedback.say(feedback.event(plain, "group_unsubscribe", feedback.world.clock(), asm_group_id=5))
    feedback.say(feedback.event(plain, "open", feedback.world.clock()))
    assert outcome(feedback, whose) is None
    assert state_of(feedback, "a@example.com") is SubscriptionState.confirmed
