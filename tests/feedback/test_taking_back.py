"""What is taken back, by an operator or by a reader's sign-up: all of it, at SendGrid too, and it counts no more."""

from datetime import timedelta

import pytest
from sqlmodel import col, select

from newsletter.feedback.ingest import apply_events
from newsletter.feedback.levelling import follow_lift
from newsletter.feedback.models import Consequence, ConsequenceState, ListRemoval
from newsletter.feedback.undoing import Choice, begin_probes, undo
from newsletter.providers.feedback import FeedbackEvent, FeedbackKind
from subscribers.actors import CLOCK, COMMAND_LINE, READER
from subscribers.addresses import parse_address
from subscribers.models import Subscription, SubscriptionState, Suppression, SuppressionReason
from subscribers.opt_in import READER_CAN_LIFT, Click, FormProof, SignUp, confirm, sign_up
from subscribers.suppression import SuppressionOrder, lift
from tests.feedback.test_feedback import CLOSED, HARD, SOFT, mailed, reasons, rows, state_of, surge_limits


def listed(feedback, name, *people, text=""):
    """Have a nightly pull find addresses on one of SendGrid's lists."""
    now = feedback.world.clock()
    events = [FeedbackEvent(FeedbackKind.listed, name, address=one, at=now, text=text) for one in people]
    with feedback.world.database.writing() as session:
        apply_events(session, events, feedback.scene, received_at=now)


def bounce(feedback, address, said):
    """Mail the issue of another week, which bounces."""
    feedback.world.clock.forward(7 * 86400)
    whose = mailed(feedback)[address]
    feedback.say(feedback.event(whose, "bounce", feedback.world.clock(), **said))


def take_back(feedback, choice=None):
    with feedback.world.database.writing() as session:
        return undo(session, choice or Choice(), feedback.scene)


def come_back(feedback, address):
    """Sign up once more, and confirm it."""
    world = feedback.world
    with world.database.writing() as session:
        request = SignUp(world.publication.id, parse_address(address), FormProof("form"))
        asked = sign_up(session, request, hasher=world.hasher, by=READER, now=world.clock())
        confirm(session, Click(asked.opt_in_id or 0), hasher=world.hasher, by=READER, now=world.clock())


def standing(feedback):
    """Give what holds readers back: suppressions that are not lifted, subscriptions, and consequences that stand."""
    with feedback.world.database.reading() as session:
        return (
            [one.model_dump() for one in session.exec(select(Suppression)) if one.lifted_at is None],
            [one.model_dump() for one in session.exec(select(Subscription).order_by(col(Subscription.id)))],
            [one for one in session.exec(select(Consequence)) if one.state is not ConsequenceState.undone],
        )


def removals(feedback):
    return sorted(one.list_name for one in rows(feedback, ListRemoval))


def test_undoing_many_restores_exactly_what_was_before_them_and_their_echoes(feedback):
    world = feedback.world
    people = [f"{name}@example.com" for name in ("gone", "angry", "leaver", "shut", "fine")]
    first, second = mailed(feedback, *people), mailed(feedback)
    before, now = standing(feedback), world.clock()
    feedback.say(
        feedback.event(first["gone@example.com"], "bounce", now, **HARD),
        feedback.event(first["angry@example.com"], "spamreport", now),
        feedback.event(first["leaver@example.com"], "unsubscribe", now),
        feedback.event(first["shut@example.com"], "bounce", now, **CLOSED),
        feedback.event(second["shut@example.com"], "bounce", now, **CLOSED),
    )
    listed(feedback, "bounces", "gone@example.com", "shut@example.com")
    listed(feedback, "spam_reports", "angry@example.com")
    listed(feedback, "unsubscribes", "leaver@example.com")
    dropped = {"event": "dropped", "reason": "Bounced Address", "timestamp": int(now.timestamp()) + 60}
    feedback.say(first["gone@example.com"] | dropped, first["shut@example.com"] | dropped)
    assert len(standing(feedback)[0]) == 4
    # The closed mailbox was given up by the second issue.
    assert take_back(feedback, Choice(mailing_id=1)) == 4 + 2
    assert [str(one["reason"]) for one in standing(feedback)[0]] == ["hard_bounce"]
    assert take_back(feedback, Choice(mailing_id=2)) == 1
    assert standing(feedback) == before
    assert removals(feedback) == ["bounces", "bounces", "spam_reports", "unsubscribes"]
    # What SendGrid says until the addresses are off its lists brings nothing back.
    world.clock.forward(86400)
    listed(feedback, "unsubscribes", "leaver@example.com")
    third = mailed(feedback)
    feedback.say(feedback.event(third["shut@example.com"], "dropped", world.clock(), reason="Bounced Address"))
    assert standing(feedback) == before


def test_one_bounce_is_taken_back_with_the_list_that_names_it(feedback):
    whose = mailed(feedback, "gone@example.com")["gone@example.com"]
    feedback.say(feedback.event(whose, "bounce", feedback.world.clock(), **HARD))
    listed(feedback, "bounces", "gone@example.com")
    bounced, echo = rows(feedback, Consequence)
    assert take_back(feedback, Choice(ids=(echo.id,))) == 1
    assert reasons(feedback, "gone@example.com") == ["hard_bounce"]
    assert take_back(feedback, Choice(ids=(bounced.id,))) == 1
    assert reasons(feedback, "gone@example.com") == []


def test_a_complaint_is_taken_back_with_its_departure(feedback):
    whose = mailed(feedback, "angry@example.com")["angry@example.com"]
    feedback.say(feedback.event(whose, "spamreport", feedback.world.clock()))
    assert take_back(feedback, Choice(reason=SuppressionReason.complaint)) == 2
    assert reasons(feedback, "angry@example.com") == []
    assert state_of(feedback, "angry@example.com") is SubscriptionState.confirmed


def test_bounces_whose_consequence_was_taken_back_count_no_more(feedback):
    feedback.world.readers(["shut@example.com"])
    for expected in ([], ["hard_bounce"]):
        bounce(feedback, "shut@example.com", CLOSED)
        assert reasons(feedback, "shut@example.com") == expected
    assert take_back(feedback) == 1
    for expected in ([], ["hard_bounce"]):
        bounce(feedback, "shut@example.com", CLOSED)
        assert reasons(feedback, "shut@example.com") == expected


@pytest.mark.parametrize("by_reader", [False, True])
def test_after_a_pause_that_was_taken_back_no_bounce_is_a_failed_probe(feedback, by_reader):
    world = feedback.world
    world.readers(["full@example.com"])
    surge_limits(feedback, soft_issues=2)
    for _ in range(2):
        bounce(feedback, "full@example.com", SOFT)
    assert reasons(feedback, "full@example.com") == ["soft_bounces"]
    if by_reader:
        come_back(feedback, "full@example.com")
    else:
        assert take_back(feedback) == 1
    world.clock.forward(40 * 86400)
    with world.database.writing() as session:
        assert begin_probes(session, by=CLOCK, now=world.clock()) == 0
    for expected in ([], ["soft_bounces"]):
        bounce(feedback, "full@example.com", SOFT)
        assert reasons(feedback, "full@example.com") == expected
    assert [row.deed for row in rows(feedback, Consequence)] == ["pause", "pause"]


@pytest.mark.parametrize("is_pulled", [False, True])
def test_who_left_at_sendgrid_and_signs_up_again_is_taken_off_its_list(feedback, is_pulled):
    world = feedback.world
    whose = mailed(feedback, "back@example.com")["back@example.com"]
    feedback.say(feedback.event(whose, "unsubscribe", world.clock()))
    if is_pulled:
        listed(feedback, "unsubscribes", "back@example.com")
        assert reasons(feedback, "back@example.com") == ["unsubscribed"]
    world.clock.forward(86400)
    come_back(feedback, "back@example.com")
    with world.database.writing() as session:
        follow_lift(session, "back@example.com", feedback.scene)
    assert removals(feedback) == ["unsubscribes"]
    # The next issue may be quicker than the removal.
    world.clock.forward(86400)
    whose = mailed(feedback)["back@example.com"]
    feedback.say(feedback.event(whose, "dropped", world.clock(), reason="Unsubscribed Address"))
    assert reasons(feedback, "back@example.com") == []
    assert state_of(feedback, "back@example.com") is SubscriptionState.confirmed
    with world.database.writing() as session:
        for row in session.exec(select(ListRemoval)):
            row.done_at = world.clock()
            session.add(row)
    feedback.say(feedback.event(whose, "dropped", world.clock() + timedelta(1), reason="Unsubscribed Address"))
    assert reasons(feedback, "back@example.com") == ["unsubscribed"]


def test_what_an_operator_lifted_is_not_brought_back_by_the_drop_that_is_told_first(feedback):
    world = feedback.world
    whose = mailed(feedback, "gone@example.com")["gone@example.com"]
    feedback.say(feedback.event(whose, "bounce", world.clock(), **HARD))
    order = SuppressionOrder("gone@example.com", SuppressionReason.hard_bounce)
    assert SuppressionReason.hard_bounce not in READER_CAN_LIFT
    with world.database.writing() as session:
        assert lift(session, order, hasher=world.hasher, by=COMMAND_LINE, now=world.clock())
    world.clock.forward(86400)
    whose = mailed(feedback)["gone@example.com"]
    feedback.say(feedback.event(whose, "dropped", world.clock(), reason="Bounced Address"))
    assert reasons(feedback, "gone@example.com") == []
    assert removals(feedback) == ["bounces"]
    assert {row.state for row in rows(feedback, Consequence)} == {ConsequenceState.undone}
    # A bounce of later is news.
    feedback.say(feedback.event(whose, "bounce", world.clock(), **HARD))
    assert reasons(feedback, "gone@example.com") == ["hard_bounce"]
