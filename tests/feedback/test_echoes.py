"""What SendGrid's lists and drops say again of a bounce: never more than the bounce itself, as it was judged."""

from datetime import timedelta

import pytest

from newsletter.feedback.ingest import apply_events
from newsletter.feedback.models import Consequence, ConsequenceState, EventCall, ListRemoval, Surge, SurgeDecision
from newsletter.feedback.surges import decide_surge
from newsletter.feedback.undoing import Choice, undo
from newsletter.providers.feedback import FeedbackEvent, FeedbackKind
from subscribers.models import SubscriptionState
from tests.feedback.test_feedback import CLOSED, HARD, SOFT, mailed, reasons, rows, state_of, surge_limits, surged


def listed(feedback, address, at, text=HARD["reason"]):
    """Have a nightly pull find an address on SendGrid's list of bounces."""
    event = FeedbackEvent(FeedbackKind.listed, "bounces", address=address, at=at, text=text, status="5.1.1")
    with feedback.world.database.writing() as session:
        apply_events(session, [event], feedback.scene, received_at=feedback.world.clock())


def echo(feedback, kind, address):
    """Have SendGrid say again that an address bounced: on its list, or as the drop of a later mail."""
    now = feedback.world.clock()
    if kind == "list":
        listed(feedback, address, now)
    else:
        feedback.say(
            feedback.event({"email": address}, "dropped", now + timedelta(minutes=1), reason="Bounced Address")
        )


@pytest.mark.parametrize("kind", ["list", "drop"])
def test_a_surge_that_waits_is_not_got_round_by_its_echo(feedback, kind):
    bouncing = surged(feedback)
    echo(feedback, kind, bouncing[0])
    assert reasons(feedback, bouncing[0]) == []
    mailing_id = rows(feedback, Surge)[0].mailing_id
    with feedback.world.database.writing() as session:
        decide_surge(session, mailing_id, "netease", SurgeDecision.confirmed, feedback.scene)
    assert reasons(feedback, bouncing[0]) == ["hard_bounce"]


@pytest.mark.parametrize("kind", ["list", "drop"])
def test_a_dismissed_surge_is_dismissed_at_sendgrid_too(feedback, kind):
    bouncing = surged(feedback)
    mailing_id = rows(feedback, Surge)[0].mailing_id
    with feedback.world.database.writing() as session:
        decide_surge(session, mailing_id, "netease", SurgeDecision.dismissed, feedback.scene)
    assert [one.list_name for one in rows(feedback, ListRemoval)] == ["bounces"] * 4
    echo(feedback, kind, bouncing[0])
    assert reasons(feedback, bouncing[0]) == []


def test_bounces_of_a_surge_are_no_part_of_a_row_of_bounces(feedback):
    surge_limits(feedback)
    people = [f"r{number}@163.com" for number in range(12)]
    first = mailed(feedback, *people)
    for address in people[:4]:
        feedback.say(feedback.event(first[address], "bounce", feedback.world.clock(), **CLOSED))
    second = mailed(feedback)
    feedback.say(feedback.event(second[people[0]], "bounce", feedback.world.clock(), **CLOSED))
    assert reasons(feedback, people[0]) == []
    (row,) = rows(feedback, Consequence)
    assert row.state is ConsequenceState.quarantined
    with feedback.world.database.writing() as session:
        decide_surge(session, rows(feedback, Surge)[0].mailing_id, "netease", SurgeDecision.dismissed, feedback.scene)
    assert reasons(feedback, people[0]) == []
    third = mailed(feedback)
    feedback.say(feedback.event(third[people[0]], "bounce", feedback.world.clock(), **CLOSED))
    assert reasons(feedback, people[0]) == ["hard_bounce"]


def test_the_drop_after_a_bounce_of_our_fault_is_held_against_nobody_and_ends_at_sendgrid(feedback):
    said = {"reason": "550 Mailbox unavailable or access denied", "bounce_classification": "Invalid Address"}
    whose = mailed(feedback, "a@qq.com")["a@qq.com"]
    feedback.say(feedback.event(whose, "bounce", feedback.world.clock(), type="bounce", **said))
    feedback.world.clock.forward(7 * 86400)
    whose = mailed(feedback)["a@qq.com"]
    feedback.say(feedback.event(whose, "dropped", feedback.world.clock(), reason="Bounced Address"))
    assert reasons(feedback, "a@qq.com") == []
    assert [one.list_name for one in rows(feedback, ListRemoval)] == ["bounces"]


FULL = {"status": "5.2.2", "type": "bounce", "reason": "552 5.2.2 mailbox full"}


@pytest.mark.parametrize("kind", ["list", "drop"])
@pytest.mark.parametrize(("said", "issues", "reason"), [(CLOSED, 2, "hard_bounce"), (FULL, 3, "soft_bounces")])
def test_a_bounce_that_counts_one_an_issue_is_no_more_for_its_echo(feedback, kind, said, issues, reason):
    world = feedback.world
    world.readers(["a@example.com"])
    surge_limits(feedback, soft_issues=3)
    for number in range(1, issues + 1):
        whose = mailed(feedback)["a@example.com"]
        feedback.say(feedback.event(whose, "bounce", world.clock(), **said))
        echo(feedback, kind, "a@example.com")
        assert reasons(feedback, "a@example.com") == ([reason] if number == issues else [])
        world.clock.forward(7 * 86400)
    # So that the next issue does reach the mailbox.
    assert [one.list_name for one in rows(feedback, ListRemoval)] == ["bounces"]


@pytest.mark.parametrize("is_told", [False, True])
def test_who_is_listed_by_our_fault_is_taken_off_before_an_issue_is_lost(feedback, is_told):
    text = "550 Mailbox unavailable or access denied"
    whose = mailed(feedback, "a@qq.com")["a@qq.com"]
    if is_told:
        feedback.say(feedback.event(whose, "bounce", feedback.world.clock(), type="bounce", reason=text))
    listed(feedback, "a@qq.com", feedback.world.clock(), text)
    assert reasons(feedback, "a@qq.com") == []
    assert [one.list_name for one in rows(feedback, ListRemoval)] == ["bounces"]


def test_a_drop_before_sendgrid_has_heard_of_the_undoing_brings_nothing_back(feedback):
    world = feedback.world
    whose = mailed(feedback, "a@example.com")["a@example.com"]
    feedback.say(feedback.event(whose, "bounce", world.clock(), **HARD))
    with world.database.writing() as session:
        assert undo(session, Choice(), feedback.scene) == 1
    world.clock.forward(86400)
    whose = mailed(feedback)["a@example.com"]
    feedback.say(feedback.event(whose, "dropped", world.clock(), reason="Bounced Address"))
    assert reasons(feedback, "a@example.com") == []
    with world.database.writing() as session:
        removal = session.get_one(ListRemoval, 1)
        removal.done_at = world.clock()
        session.add(removal)
    world.clock.forward(86400)
    whose = mailed(feedback)["a@example.com"]
    feedback.say(feedback.event(whose, "dropped", world.clock(), reason="Bounced Address"))
    assert reasons(feedback, "a@example.com") == ["hard_bounce"]


def test_what_was_undone_stays_so_where_its_ground_goes_later(feedback):
    world = feedback.world
    world.readers(["shut@example.com"])
    first, second, third = (mailed(feedback)["shut@example.com"] for _ in range(3))
    for whose in (first, third):
        feedback.say(feedback.event(whose, "bounce", world.clock(), **CLOSED))
    with world.database.writing() as session:
        assert undo(session, Choice(), feedback.scene) == 1
    feedback.say(feedback.event(second, "delivered", world.clock()))
    feedback.say(feedback.event(first, "bounce", world.clock() + timedelta(seconds=1), **SOFT))
    assert reasons(feedback, "shut@example.com") == []
    (row,) = rows(feedback, Consequence)
    assert row.state is ConsequenceState.undone
    assert {call.problem for call in rows(feedback, EventCall)} == {""}


def test_two_reasons_to_leave_are_undone_one_by_one(feedback):
    world = feedback.world
    whose = mailed(feedback, "a@example.com")["a@example.com"]
    feedback.say(feedback.event(whose, "unsubscribe", world.clock()))
    feedback.say(feedback.event(whose, "spamreport", world.clock()))
    leaves = [row.id for row in rows(feedback, Consequence) if row.reason is None]
    with world.database.writing() as session:
        undo(session, Choice(ids=leaves[:1]), feedback.scene)
    assert state_of(feedback, "a@example.com") is SubscriptionState.left
    with world.database.writing() as session:
        undo(session, Choice(ids=leaves[1:]), feedback.scene)
    assert state_of(feedback, "a@example.com") is SubscriptionState.confirmed


def test_a_bounce_that_was_under_way_when_the_pause_began_is_no_failed_probe(feedback):
    world = feedback.world
    world.readers(["full@example.com"])
    mails = [mailed(feedback)["full@example.com"] for _ in range(5)]
    for whose in mails:
        feedback.say(feedback.event(whose, "bounce", world.clock(), **SOFT))
    assert [row.deed for row in rows(feedback, Consequence)] == ["pause"]


def test_a_delivery_after_the_row_of_bounces_ends_the_pause_and_the_next_row_pauses_again(feedback):
    world = feedback.world
    world.readers(["full@example.com"])
    mails = [mailed(feedback)["full@example.com"] for _ in range(5)]
    for whose in mails[:4]:
        feedback.say(feedback.event(whose, "bounce", world.clock(), **SOFT))
    assert reasons(feedback, "full@example.com") == ["soft_bounces"]
    feedback.say(feedback.event(mails[4], "delivered", world.clock()))
    assert reasons(feedback, "full@example.com") == []
    for _ in range(4):
        feedback.say(feedback.event(mailed(feedback)["full@example.com"], "bounce", world.clock(), **SOFT))
    assert [row.deed for row in rows(feedback, Consequence)] == ["pause"]
