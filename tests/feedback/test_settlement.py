"""Settlement: proofs also of earlier requests, the quiet time and the policy after it, and what a person decides."""

import json
import threading
from datetime import timedelta

import pytest
from sqlmodel import col, select

from newsletter.alerts import Alert
from newsletter.delivery.accounts import resent_in
from newsletter.delivery.claims import claim_next, sweep
from newsletter.delivery.dispatch import dispatch_batch, dispatch_next
from newsletter.delivery.doubt_models import Decision, Settlement
from newsletter.delivery.evidence import evidence_in
from newsletter.delivery.lifecycle import BatchState, Difference, MailingState
from newsletter.delivery.mailings import move
from newsletter.delivery.models import Attempt, Batch, Delivery
from newsletter.delivery.policies import set_policy
from newsletter.delivery.settlement import MOST_CALLS, Settled, settle, settle_due
from newsletter.errors import Refused
from newsletter.feedback.applying import PROVIDER, Scene
from newsletter.feedback.ingest import apply_next, keep_call
from newsletter.providers.base import CallEnd, Ending, RefusedRecipient
from newsletter.providers.memory import MemoryProvider
from newsletter.worker.clock import Clock
from subscribers.actors import COMMAND_LINE, READER
from subscribers.leaving import LeavingChannel, leave
from subscribers.plan_changes import PlanChange, change_plan
from subscribers.roster import find_by_address
from tests.feedback.said import Feedback
from tests.world import addresses


LOST = CallEnd(Ending.ambiguous, detail="no certain answer: TimeoutError")


def provider_of(feedback: Feedback) -> MemoryProvider:
    assert isinstance(feedback.world.provider, MemoryProvider)
    return feedback.world.provider


def policy(feedback: Feedback, **said: object) -> None:
    with feedback.world.database.writing() as session:
        set_policy(session, feedback.world.publication.id, said, by=COMMAND_LINE, now=feedback.world.clock())


def mailed(feedback: Feedback, *ends: CallEnd, readers: int = 30) -> int:
    """Mail an issue in batches of ten whose first calls end so."""
    feedback.world.readers(addresses(readers))
    feedback.world = feedback.world.having(batch_size=10)
    provider_of(feedback).ends_next(*ends)
    return feedback.mail()


def attempt_of(feedback: Feedback, batch_id: int, number: int = 1) -> str:
    with feedback.world.database.reading() as session:
        found = select(Attempt.id).where(Attempt.batch_id == batch_id, Attempt.number == number)
        return session.exec(found).one()


def event_of(feedback: Feedback, attempt_id: str):
    """Say of the first reader's mail that it was processed in this request."""
    with feedback.world.database.reading() as session:
        delivery = session.exec(select(Delivery.id).order_by(col(Delivery.id)).limit(1)).one()
    named = {"email": "r00000@example.com", "delivery": str(delivery), "attempt_id": attempt_id}
    return feedback.event(named, "processed", feedback.world.clock(), sg_message_id="m.recvd-1-0.0")


def hear_others(feedback: Feedback, mailing_id: int, hours: int) -> None:
    """Let events about a request that was answered come, one an hour."""
    last = max(feedback.of(mailing_id).items())[1]
    for _ in range(hours):
        feedback.world.clock.forward(3600)
        feedback.say(feedback.event(last, "open", feedback.world.clock()))


def due(feedback: Feedback) -> Settled:
    with feedback.world.database.writing() as session:
        return settle_due(session, live=False, now=feedback.world.clock())


def test_events_that_come_before_the_answer_is_given_up_prove_it(feedback):
    """They come within seconds; a call that hangs is given up after thirty, and no other event may ever come."""
    world = feedback.world
    world.readers(addresses(3))
    seen = []

    def say_while_it_hangs(message):
        first = message.recipients[0]
        named = {"email": first.address, "sg_message_id": "m.recvd-1-0.0", **first.custom_args}
        feedback.say(feedback.event(named, "processed", world.clock()))
        seen.append(first)

    world.provider.answering = say_while_it_hangs
    world.provider.ends_next(LOST)
    mailing_id = feedback.mail()
    assert len(seen) == 1
    assert world.mailing(mailing_id).state is MailingState.finished
    assert world.account(mailing_id).standing.line() == (
        "3 recipients = 3 accepted by SendGrid (3 of them proven by event) + 0 skipped + 0 rejected + 0 unknown"
    )


def test_the_last_line_says_what_no_answer_said(feedback):
    mailing_id = mailed(feedback, LOST)
    feedback.say(event_of(feedback, attempt_of(feedback, 1)))
    standing = feedback.world.account(mailing_id).standing
    assert (standing.accepted, standing.proven, standing.presumed) == (30, 10, 0)
    assert standing.line() == (
        "30 recipients = 30 accepted by SendGrid (10 of them proven by event) + 0 skipped + 0 rejected + 0 unknown"
    )
    assert feedback.world.mailing(mailing_id).state is MailingState.finished


def test_no_policy_decides_while_nothing_is_heard(feedback):
    policy(feedback, unknown="resend", stale_content_minutes=40_320)
    mailing_id = mailed(feedback, LOST)
    feedback.world.clock.forward(10**6)
    assert due(feedback) == Settled()
    hear_others(feedback, mailing_id, 5)
    assert due(feedback) == Settled()
    hear_others(feedback, mailing_id, 1)
    assert due(feedback) == Settled(resent=1)


def test_an_old_call_that_is_applied_again_lets_no_time_pass(feedback):
    policy(feedback, unknown="resend", quiet_minutes=30)
    world = feedback.world
    mailing_id = mailed(feedback, LOST)
    with world.database.reading() as session:
        before = evidence_in(session, mailing_id)[0].quiet
    world.clock.forward(-7200)
    hear_others(feedback, mailing_id, 1)
    world.clock.forward(3600)
    with world.database.reading() as session:
        assert evidence_in(session, mailing_id)[0].quiet == before == timedelta()


def test_resend_mails_once_more_and_the_mailing_ends(feedback):
    policy(feedback, unknown="resend")
    mailing_id = mailed(feedback, LOST)
    assert feedback.world.mailing(mailing_id).state is MailingState.held
    assert "mailed once more" in feedback.world.mailing(mailing_id).state_reason
    hear_others(feedback, mailing_id, 6)
    assert due(feedback) == Settled(resent=1)
    assert feedback.world.mailing(mailing_id).state is MailingState.running
    feedback.world.dispatch()
    assert feedback.world.mailing(mailing_id).state is MailingState.finished
    assert feedback.world.reached() == addresses(30)
    with feedback.world.database.reading() as session:
        assert vars(resent_in(session, mailing_id)) == {"again": 10, "twice": 0}
        noted = session.exec(select(Settlement)).one()
    assert (noted.decision, noted.by) == (Decision.resend, "clock")
    assert "TimeoutError" in noted.evidence
    assert due(feedback) == Settled()


def test_what_is_resent_is_not_called_again_once_its_first_call_is_proven(feedback):
    policy(feedback, unknown="resend")
    mailing_id = mailed(feedback, LOST)
    hear_others(feedback, mailing_id, 6)
    due(feedback)
    with feedback.world.database.writing() as session:
        claim = claim_next(session, feedback.world.desk.claimant, now=feedback.world.clock())
    assert claim is not None
    feedback.say(event_of(feedback, attempt_of(feedback, 1)))
    dispatch_batch(feedback.world.desk, claim)
    assert feedback.world.dispatch() == 0
    assert len(feedback.world.reached()) == 20
    assert feedback.world.mailing(mailing_id).state is MailingState.finished
    assert feedback.world.account(mailing_id).standing.proven == 10


def test_a_proof_that_comes_after_the_second_call_says_who_may_have_it_twice(feedback):
    policy(feedback, unknown="resend")
    mailing_id = mailed(feedback, LOST)
    hear_others(feedback, mailing_id, 6)
    due(feedback)
    feedback.world.dispatch()
    first = attempt_of(feedback, 1)
    feedback.say(event_of(feedback, first))
    feedback.say(event_of(feedback, first))
    with feedback.world.database.reading() as session:
        assert vars(resent_in(session, mailing_id)) == {"again": 10, "twice": 10}
    standing = feedback.world.account(mailing_id).standing
    assert (standing.accepted, standing.proven) == (30, 0)


@pytest.mark.parametrize(
    "end",
    [CallEnd(Ending.throttled, 429), CallEnd(Ending.refused, 404), LOST, CallEnd(Ending.too_large, 413)],
    ids=lambda end: end.ending,
)
def test_a_late_proof_of_the_first_call_holds_whatever_the_second_came_to(feedback, end):
    policy(feedback, unknown="resend")
    mailing_id = mailed(feedback, LOST)
    hear_others(feedback, mailing_id, 6)
    due(feedback)
    provider_of(feedback).ends_next(end)
    assert dispatch_next(feedback.world.desk)
    assert all(one.may_have_reached for one in feedback.world.deliveries(mailing_id))
    feedback.say(event_of(feedback, attempt_of(feedback, 1)))
    feedback.world.clock.forward(10**5)
    feedback.world.dispatch()
    assert len(feedback.world.reached()) == 20
    assert feedback.world.mailing(mailing_id).state is MailingState.finished
    standing = feedback.world.account(mailing_id).standing
    assert (standing.accepted, standing.proven) == (30, 10)


def test_who_left_or_changed_plan_after_an_unknown_call_is_found_by_its_proof(feedback):
    policy(feedback, unknown="resend")
    world = feedback.world
    mailing_id = mailed(feedback, LOST)
    hear_others(feedback, mailing_id, 6)
    due(feedback)
    with world.database.writing() as session:
        gone, moved = (
            find_by_address(session, world.publication.id, f"r0000{number}@example.com") for number in (0, 1)
        )
        leave(session, gone.unsubscribe_id, channel=LeavingChannel.one_click, by=READER, now=world.clock())
        change_plan(session, moved.id, PlanChange("pro"), by=COMMAND_LINE, now=world.clock())
    refused = CallEnd(Ending.recipients_refused, 400, refused=(RefusedRecipient(0, "not an address"),))
    provider_of(feedback).ends_next(refused)
    assert dispatch_next(feedback.world.desk)
    of = {one.difference: one for one in world.deliveries(mailing_id)}
    assert {Difference.skipped, Difference.moved, Difference.rejected} < set(of)
    assert all(one.may_have_reached for one in of.values())
    feedback.say(event_of(feedback, attempt_of(feedback, 1)))
    feedback.world.dispatch()
    standing = feedback.world.account(mailing_id).standing
    assert (standing.accepted, standing.proven, standing.skipped, standing.rejected) == (30, 10, 0, 0)
    assert len(feedback.world.reached()) == 20
    assert feedback.world.mailing(mailing_id).state is MailingState.finished


def test_who_was_skipped_before_the_unknown_call_is_not_proven_by_it(feedback):
    world = feedback.world
    world.readers(addresses(3))
    world.provider.ends_next(LOST)
    mailing_id = world.schedule(world.issue())
    world.begin()
    with world.database.writing() as session:
        gone = find_by_address(session, world.publication.id, "r00001@example.com")
        leave(session, gone.unsubscribe_id, channel=LeavingChannel.one_click, by=READER, now=world.clock())
    world.dispatch()
    feedback.say(event_of(feedback, attempt_of(feedback, 1)))
    standing = world.account(mailing_id).standing
    assert (standing.accepted, standing.proven, standing.skipped) == (2, 2, 1)
    assert [one.may_have_reached for one in world.deliveries(mailing_id)] == [True, False, True]


def test_after_three_lost_calls_a_person_is_asked(feedback):
    policy(feedback, unknown="resend")
    mailing_id = mailed(feedback, *[LOST] * 1)
    for call in range(1, MOST_CALLS):
        hear_others(feedback, mailing_id, 7)
        assert due(feedback) == Settled(resent=1), call
        provider_of(feedback).ends_next(LOST)
        assert feedback.world.dispatch() == 1
    hear_others(feedback, mailing_id, 7)
    assert due(feedback) == Settled(asked=1)
    assert due(feedback) == Settled()
    assert feedback.world.mailing(mailing_id).state is MailingState.held


def test_what_became_old_meanwhile_is_not_mailed_once_more_unasked(feedback):
    policy(feedback, unknown="resend")
    mailing_id = mailed(feedback, LOST)
    feedback.world.clock.forward(2 * 24 * 3600)
    hear_others(feedback, mailing_id, 6)
    assert due(feedback) == Settled(asked=1)
    assert due(feedback) == Settled()
    with feedback.world.database.reading() as session:
        (told,) = session.exec(select(Alert).where(col(Alert.about).contains("to be settled"))).all()
    assert "longer ago than stale_content_minutes" in told.facts["reason"]
    with feedback.world.database.writing() as session:
        settle(session, mailing_id, Decision.resend, by=COMMAND_LINE, now=feedback.world.clock())
    feedback.world.dispatch()
    assert feedback.world.reached() == addresses(30)


def test_a_policy_that_could_never_resend_is_refused(feedback):
    with pytest.raises(Refused, match="every request is old before unknown=resend may mail it once more"):
        policy(feedback, unknown="resend", quiet_minutes=2880)
    policy(feedback, unknown="resend", quiet_minutes=2880, stale_content_minutes=5760)


def test_under_hold_the_operator_is_told_once_with_the_evidence(feedback):
    mailing_id = mailed(feedback, LOST, LOST)
    hear_others(feedback, mailing_id, 6)
    assert due(feedback) == Settled(asked=2)
    hear_others(feedback, mailing_id, 6)
    assert due(feedback) == Settled()
    with feedback.world.database.reading() as session:
        told = session.exec(select(Alert).where(col(Alert.about).contains("to be settled"))).one()
    assert told.repeats == 0
    assert "20 recipients of 2 requests" in told.facts["reason"]
    assert "6 events about other requests" in told.facts["reason"]
    assert "TimeoutError" in told.facts["reason"]
    assert "20 unknown" in told.facts["line"]


def test_give_up_ends_the_mailing_and_a_late_proof_still_counts(feedback):
    policy(feedback, unknown="give_up")
    mailing_id = mailed(feedback, LOST)
    hear_others(feedback, mailing_id, 6)
    assert due(feedback) == Settled(given_up=1)
    assert feedback.world.mailing(mailing_id).state is MailingState.finished
    assert feedback.world.account(mailing_id).standing.given_up == 10
    feedback.say(event_of(feedback, attempt_of(feedback, 1)))
    standing = feedback.world.account(mailing_id).standing
    assert (standing.given_up, standing.accepted, standing.proven) == (0, 30, 10)


@pytest.mark.parametrize(
    ("decision", "batch", "line"),
    [
        (Decision.accepted, BatchState.accepted, "30 accepted by SendGrid (10 of them taken for accepted)"),
        (Decision.give_up, BatchState.given_up, "20 accepted by SendGrid + 0 skipped"),
    ],
)
def test_a_person_decides_and_it_is_on_record(feedback, decision, batch, line):
    mailing_id = mailed(feedback, LOST)
    world = feedback.world
    with world.database.writing() as session:
        assert len(settle(session, mailing_id, decision, by=COMMAND_LINE, now=world.clock())) == 1
    assert batch in world.states(mailing_id)
    assert line in world.account(mailing_id).standing.line()
    assert world.mailing(mailing_id).state is MailingState.finished
    with world.database.reading() as session:
        noted = session.exec(select(Settlement)).one()
        assert session.get_one(Batch, 1).state_reason.endswith("said operator:command-line")
    assert (noted.decision, noted.by) == (decision, "operator:command-line")


def test_a_person_settles_some_and_the_rest_stays_held(feedback):
    mailing_id = mailed(feedback, LOST, LOST)
    world = feedback.world
    with world.database.writing() as session:
        settle(session, mailing_id, Decision.give_up, batches=[2], by=COMMAND_LINE, now=world.clock())
    assert world.states(mailing_id) == {BatchState.unknown: 1, BatchState.given_up: 1, BatchState.accepted: 1}
    assert world.mailing(mailing_id).state is MailingState.held
    with world.database.writing() as session, pytest.raises(Refused, match="batch 2, 3:"):
        settle(session, mailing_id, Decision.give_up, batches=[1, 2, 3], by=COMMAND_LINE, now=world.clock())


def test_a_cancelled_mailing_mails_nobody_once_more(feedback):
    policy(feedback, unknown="resend")
    mailing_id = mailed(feedback, LOST)
    world = feedback.world
    with world.database.writing() as session:
        assert move(session, mailing_id, MailingState.cancelled, now=world.clock())
    hear_others(feedback, mailing_id, 6)
    assert due(feedback) == Settled(asked=1)
    with world.database.writing() as session, pytest.raises(Refused, match="cancelled"):
        settle(session, mailing_id, Decision.resend, by=COMMAND_LINE, now=world.clock())


def test_an_answer_that_comes_after_the_second_claim_stops_that(feedback):
    """A machine that was paused for hours wakes in the middle of its call: 202."""
    policy(feedback, unknown="resend")
    world = feedback.world
    world.readers(addresses(20))
    feedback.world = world = world.having(batch_size=10)

    def sleep_for_hours(_):
        world.provider.answering = None
        world.clock.forward(10**4)
        with world.database.writing() as session:
            assert sweep(session, now=world.clock()) == (0, 1)
        assert dispatch_next(world.desk)
        hear_others(feedback, 1, 6)
        assert due(feedback) == Settled(resent=1)
        with world.database.writing() as session:
            assert claim_next(session, world.desk.claimant, now=world.clock())

    world.provider.answering = sleep_for_hours
    mailing_id = feedback.mail()
    assert world.reached() == addresses(20)
    assert world.states(mailing_id) == {BatchState.accepted: 2}
    assert world.mailing(mailing_id).state is MailingState.finished


def test_nothing_is_resent_while_a_call_that_may_hold_the_proof_waits_to_be_applied(feedback):
    """The way here was broken for hours; then SendGrid posts what it kept, and the first call ends the quiet time."""
    policy(feedback, unknown="resend")
    world = feedback.world
    mailing_id = mailed(feedback, LOST)
    hear_others(feedback, mailing_id, 5)
    world.clock.forward(6 * 3600)
    heard, proof = max(feedback.of(mailing_id).items())[1], event_of(feedback, attempt_of(feedback, 1))
    for event in (feedback.event(heard, "open", world.clock()), proof):
        with world.database.writing() as session:
            keep_call(session, json.dumps([event]).encode(), now=world.clock())
    ticks = Clock(world.desk, world.terms, 1.0, wake=lambda: None)
    scene = Scene(world.hasher, PROVIDER, world.clock())
    assert apply_next(world.database, scene)
    ticks.settle()
    assert world.states(mailing_id)[BatchState.unknown] == 1
    assert apply_next(world.database, scene)
    ticks.settle()
    assert world.states(mailing_id) == {BatchState.accepted: 3}
    assert world.dispatch() == 0


def test_where_a_call_could_not_be_applied_a_person_is_asked_instead_of_mailing_once_more(feedback):
    policy(feedback, unknown="resend")
    world = feedback.world
    mailing_id = mailed(feedback, LOST)
    world.clock.forward(60)
    with world.database.writing() as session:
        keep_call(session, b"no JSON", now=world.clock())
    hear_others(feedback, mailing_id, 7)
    ticks = Clock(world.desk, world.terms, 1.0, wake=lambda: None)
    ticks.settle()
    ticks.settle()
    assert world.states(mailing_id)[BatchState.unknown] == 1
    with world.database.reading() as session:
        told = session.exec(select(Alert).where(col(Alert.about).contains("to be settled"))).one()
    assert "newsletter feedback problems" in told.facts["reason"]
    assert told.repeats == 0


def test_two_machines_that_settle_at_the_same_moment_ask_once_and_neither_loses_its_round(feedback):
    mailing_id = mailed(feedback, LOST, LOST)
    hear_others(feedback, mailing_id, 6)
    others: list[Settled] = []
    other = threading.Thread(target=lambda: others.append(due(feedback)))
    with feedback.world.database.writing() as session:
        assert settle_due(session, live=False, now=feedback.world.clock()) == Settled(asked=2)
        other.start()
        # It has looked by then, or waits for its turn: neither may undo what it does.
        other.join(0.2)
    other.join()
    assert others == [Settled()]
