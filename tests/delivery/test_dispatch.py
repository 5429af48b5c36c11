"""Dispatch: intent before the call, every ending in its class, the last look, and nobody twice."""

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlmodel import select

from newsletter.alerts import Alert, AlertKind
from newsletter.database import sqlite_module
from newsletter.delivery.accounts import batches_in_trouble
from newsletter.delivery.audience import freeze
from newsletter.delivery.briefing import brief
from newsletter.delivery.claims import Claim, claim_next, move_batch, sweep
from newsletter.delivery.dispatch import dispatch_batch, dispatch_next
from newsletter.delivery.doubt_models import Decision
from newsletter.delivery.life import cancel, unwind_next
from newsletter.delivery.lifecycle import BatchState, MailingState
from newsletter.delivery.mailings import conclude, find_mailing, hold_the_other_side, move, resume
from newsletter.delivery.models import Batch, Mailing
from newsletter.delivery.overview import overview_of
from newsletter.delivery.requests import last_look
from newsletter.delivery.settlement import settle
from newsletter.errors import Refused
from newsletter.providers.base import CallEnd, Ending, RefusedRecipient
from newsletter.providers.memory import MemoryProvider
from newsletter.providers.sendgrid_answers import Answer, classify
from subscribers.actors import COMMAND_LINE, READER
from subscribers.leaving import LeavingChannel, leave, leave_by_address
from subscribers.plan_changes import PlanChange, change_plan
from subscribers.roster import find_by_address
from tests.world import addresses, make_world


NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)


def test_a_mailing_reaches_every_recipient_once_and_finishes(world):
    world.readers(addresses(25))
    world = world.having(batch_size=10)
    mailing_id = world.running()
    world.dispatch()
    assert world.reached() == addresses(25)
    assert world.mailing(mailing_id).state is MailingState.finished
    assert world.account(mailing_id).standing.accepted == 25


def test_a_reader_gets_their_own_links_and_nothing_that_names_them_in_custom_args(world):
    world.readers(addresses(2))
    world.running()
    world.dispatch()
    first, second = world.provider.recipients()
    assert first.headers["List-Unsubscribe"] != second.headers["List-Unsubscribe"]
    assert len(first.headers["List-Unsubscribe"]) < 70
    assert first.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert set(first.custom_args) == {"delivery", "attempt_id"}
    assert first.custom_args["attempt_id"] == second.custom_args["attempt_id"]
    assert "@" not in "".join([*first.custom_args.values(), *first.headers.values()])


def test_submitting_is_committed_before_the_call(world):
    """Another connection sees the intent while the call is under way."""
    world.readers(addresses(3))
    mailing_id = world.running()
    seen = []
    world.provider.answering = lambda _: seen.append(world.states(mailing_id))
    world.dispatch()
    assert seen == [{BatchState.submitting: 1}]


@pytest.mark.parametrize(
    ("ending", "batch", "mailing"),
    [
        (Ending.never_left, BatchState.ready, MailingState.running),
        (Ending.throttled, BatchState.retry_wait, MailingState.running),
        (Ending.unauthorised, BatchState.ready, MailingState.halted),
        (Ending.ambiguous, BatchState.unknown, MailingState.held),
        (Ending.refused, BatchState.rejected, MailingState.finished),
    ],
)
def test_each_ending_has_its_state(world, ending, batch, mailing):
    world.readers(addresses(4))
    mailing_id = world.running()
    world.provider.ends_next(CallEnd(ending, detail="what it said"))
    assert dispatch_next(world.desk)
    assert world.states(mailing_id) == {batch: 1}
    assert world.mailing(mailing_id).state is mailing
    world.account(mailing_id)


@pytest.mark.parametrize("ending", [Ending.never_left, Ending.throttled])
def test_a_batch_that_waits_is_tried_again_when_its_time_has_come(world, ending):
    world.readers(addresses(4))
    mailing_id = world.running()
    world.provider.ends_next(CallEnd(ending, wait_seconds=30))
    assert world.dispatch() == 1
    world.clock.forward(29)
    assert world.dispatch() == 0
    world.clock.forward(10)
    assert world.dispatch() == 1
    assert world.account(mailing_id).standing.accepted == 4


def test_unknown_is_never_tried_again_by_machine(world):
    world.readers(addresses(4))
    mailing_id = world.running()
    world.provider.ends_next(CallEnd(Ending.ambiguous))
    world.dispatch()
    world.clock.forward(10**6)
    assert world.dispatch() == 0
    assert world.account(mailing_id).standing.unknown == 4
    assert "unknown" in world.mailing(mailing_id).state_reason


def test_a_halted_mailing_burns_no_recipient_and_goes_on_when_it_is_resumed(world):
    world.readers(addresses(30))
    world = world.having(batch_size=10)
    mailing_id = world.running()
    world.provider.ends_next(CallEnd(Ending.unauthorised, 401, detail="the key is wrong"))
    assert world.dispatch() == 1
    assert world.account(mailing_id).standing.pending == 30
    assert "the key is wrong" in world.mailing(mailing_id).state_reason
    with world.database.writing() as session:
        resume(session, mailing_id, live=False, now=NOW)
    world.dispatch()
    assert world.reached() == addresses(30)
    assert world.mailing(mailing_id).state is MailingState.finished


def test_recipients_that_are_named_are_rejected_and_the_rest_is_mailed(world):
    world.readers(addresses(5))
    mailing_id = world.running()
    refused = (RefusedRecipient(1, "not an address"), RefusedRecipient(3, "nor this"), RefusedRecipient(99, "nobody"))
    world.provider.ends_next(CallEnd(Ending.recipients_refused, 400, refused=refused))
    world.dispatch()
    standing = world.account(mailing_id).standing
    assert (standing.accepted, standing.rejected) == (3, 2)
    assert [one.reason for one in world.deliveries(mailing_id) if one.reason] == ["not an address", "nor this"]


def test_an_unnamed_bad_recipient_is_found_by_halving(world):
    world.readers(addresses(64))
    mailing_id = world.running()
    bad = "r00037@example.com"

    def refuse(message):
        if bad in {recipient.address for recipient in message.recipients}:
            world.provider.ends_next(CallEnd(Ending.recipients_refused, 400))

    world.provider.answering = refuse
    assert world.dispatch() <= 2 * 6 + 1
    standing = world.account(mailing_id).standing
    assert (standing.accepted, standing.rejected) == (63, 1)
    assert bad not in world.reached()
    assert world.mailing(mailing_id).state is MailingState.finished


def test_a_request_that_is_too_large_is_cut_in_two(world):
    world.readers(addresses(7))
    mailing_id = world.running()
    world.provider.ends_next(CallEnd(Ending.too_large, 413))
    assert world.dispatch() == 3
    assert world.states(mailing_id) == {BatchState.split: 1, BatchState.accepted: 2}
    assert world.reached() == addresses(7)


def test_who_was_rejected_is_mailed_when_the_issue_is_mailed_again(world):
    """A rejected delivery never reached anybody: it does not stand in the way."""
    world.readers(addresses(2))
    issue_id = world.issue()
    world.schedule(issue_id)
    world.begin()
    world.provider.ends_next(CallEnd(Ending.refused, 404))
    world.dispatch()
    second = world.schedule(issue_id)
    world.begin()
    world.dispatch()
    assert world.account(second).standing.accepted == 2


def test_who_may_have_been_reached_is_not_mailed_when_the_issue_is_mailed_again(world):
    world.readers(addresses(2))
    issue_id = world.issue()
    world.schedule(issue_id)
    world.begin()
    world.provider.ends_next(CallEnd(Ending.ambiguous))
    world.dispatch()
    second = world.schedule(issue_id)
    world.begin()
    assert world.account(second).exclusions == {"already_reached": 2}


def test_who_leaves_between_freeze_and_call_is_skipped(world):
    world.readers(addresses(3))
    mailing_id = world.running()
    with world.database.writing() as session:
        leave_by_address(session, world.publication.id, "r00001@example.com", by=COMMAND_LINE, now=world.clock())
    world.dispatch()
    assert world.reached() == ["r00000@example.com", "r00002@example.com"]
    standing = world.account(mailing_id).standing
    assert (standing.accepted, standing.skipped) == (2, 1)


def test_a_batch_of_whom_nobody_is_left_ends_without_a_call(world):
    world.readers(addresses(2))
    mailing_id = world.running()
    with world.database.writing() as session:
        for address in addresses(2):
            leave_by_address(session, world.publication.id, address, by=COMMAND_LINE, now=world.clock())
    world.dispatch()
    assert world.reached() == []
    assert world.mailing(mailing_id).state is MailingState.finished
    assert world.account(mailing_id).standing.skipped == 2


def test_whose_plan_changed_moves_to_that_plans_variant(world):
    world.readers(addresses(3), plan="free")
    mailing_id = world.running()
    with world.database.writing() as session:
        view = find_by_address(session, world.publication.id, "r00001@example.com")
        change_plan(session, view.id, PlanChange("pro"), by=COMMAND_LINE, now=world.clock())
    world.dispatch()
    assert world.reached() == addresses(3)
    assert len({message.html for message in world.provider.accepted}) == 2
    assert world.account(mailing_id).standing.accepted == 3


def test_leaving_does_not_wait_for_a_call(world):
    """No transaction is open while the provider thinks."""
    world.readers(addresses(1))
    world.running()
    with world.database.reading() as session:
        link = find_by_address(session, world.publication.id, "r00000@example.com").unsubscribe_id

    def leave_meanwhile(_):
        with world.database.writing() as session:
            assert leave(session, link, channel=LeavingChannel.one_click, by=READER, now=world.clock())

    world.provider.answering = leave_meanwhile
    world.dispatch()
    assert world.reached() == addresses(1)


def test_a_worker_that_died_before_its_call_is_replaced(world):
    world.readers(addresses(3))
    mailing_id = world.running()
    with world.database.writing() as session:
        assert claim_next(session, world.desk.claimant, now=world.clock())
    assert world.dispatch() == 0
    world.clock.forward(61)
    with world.database.writing() as session:
        assert sweep(session, now=world.clock()) == (1, 0)
    world.dispatch()
    assert world.account(mailing_id).standing.accepted == 3


def test_a_worker_that_died_in_its_call_leaves_unknown(world):
    world.readers(addresses(3))
    mailing_id = world.running()
    with world.database.writing() as session:
        claim = claim_next(session, world.desk.claimant, now=world.clock())
        assert claim
        assert move_batch(session, claim, BatchState.submitting)
    with world.database.writing() as session:
        assert sweep(session, now=world.clock()) == (0, 0)
        assert sweep(session, now=world.clock(), all_of_them=True) == (0, 1)
    assert world.dispatch() == 0
    assert world.account(mailing_id).standing.unknown == 3


def test_the_same_attempt_may_repair_what_the_sweep_took_for_dead(world):
    """A worker that was only slow comes back with its 202."""
    world.readers(addresses(3))
    mailing_id = world.running()

    def swept_meanwhile(_):
        world.clock.forward(3600)
        with world.database.writing() as session:
            assert sweep(session, now=world.clock()) == (0, 1)

    world.provider.answering = swept_meanwhile
    world.dispatch()
    assert world.account(mailing_id).standing.accepted == 3
    assert world.mailing(mailing_id).state is MailingState.finished


def swept_before_it_ends(world, end: CallEnd) -> int:
    """Make one call whose answer comes when the sweep has taken the worker for dead; give the mailing."""
    world.readers(addresses(4))
    mailing_id: int = world.running()

    def swept_meanwhile(_):
        world.provider.answering = None
        world.clock.forward(3600)
        with world.database.writing() as session:
            assert sweep(session, now=world.clock()) == (0, 1)
            conclude(session, mailing_id, now=world.clock())
        assert world.mailing(mailing_id).state is MailingState.held

    world.provider.answering = swept_meanwhile
    world.provider.ends_next(end)
    assert dispatch_next(world.desk)
    return mailing_id


@pytest.mark.parametrize(
    ("end", "mailing"),
    [
        (CallEnd(Ending.throttled, 429), MailingState.running),
        (CallEnd(Ending.never_left), MailingState.running),
        (CallEnd(Ending.recipients_refused, 400), MailingState.running),
        (CallEnd(Ending.too_large, 413), MailingState.running),
        (CallEnd(Ending.unauthorised, 401), MailingState.halted),
    ],
    ids=lambda one: one.ending if isinstance(one, CallEnd) else "",
)
def test_a_certain_answer_that_comes_after_the_sweep_means_what_it_would_have_meant(sqlite_store, end, mailing):
    """Nobody is asked about readers who certainly got nothing, and the mailing goes on by itself."""
    world = make_world(sqlite_store, MemoryProvider())
    mailing_id = swept_before_it_ends(world, end)
    assert world.account(mailing_id).standing.pending == 4
    assert world.mailing(mailing_id).state is mailing
    if mailing is MailingState.halted:
        with world.database.writing() as session:
            resume(session, mailing_id, live=False, now=world.clock())
    world.clock.forward(3600)
    world.dispatch()
    assert world.reached() == addresses(4)
    assert world.mailing(mailing_id).state is MailingState.finished


def test_a_refusal_for_good_that_comes_after_the_sweep_ends_the_doubt(world):
    mailing_id = swept_before_it_ends(world, CallEnd(Ending.refused, 404))
    assert world.states(mailing_id) == {BatchState.rejected: 1}
    assert world.mailing(mailing_id).state is MailingState.finished
    assert not any(one.may_have_reached for one in world.deliveries(mailing_id))


def test_who_was_given_up_is_free_once_a_late_answer_says_that_they_got_nothing(world):
    world.readers(addresses(2))
    mailing_id = world.running()

    def given_up_meanwhile(_):
        world.clock.forward(3600)
        with world.database.writing() as session:
            sweep(session, now=world.clock())
            settle(session, mailing_id, Decision.give_up, by=COMMAND_LINE, now=world.clock())

    world.provider.answering = given_up_meanwhile
    world.provider.ends_next(CallEnd(Ending.throttled, 429))
    world.dispatch()
    assert world.account(mailing_id).standing.given_up == 2
    assert not any(one.may_have_reached for one in world.deliveries(mailing_id))


REFUSED = CallEnd(Ending.refused, 400, detail="subject: is wrong")


def test_an_operator_hears_at_once_of_a_request_that_is_refused_for_good(world):
    world.readers(addresses(6))
    world = world.having(batch_size=2)
    mailing_id = world.running()
    world.provider.ends_next(REFUSED)
    assert dispatch_next(world.desk)
    kind = select(Alert).where(Alert.kind == AlertKind.request_refused)
    with world.database.reading() as session:
        alert = session.exec(kind).one()
    assert (alert.facts["reason"], alert.facts["mailing"]) == ("status 400 (subject: is wrong)", str(mailing_id))
    assert "2 rejected" in alert.facts["line"]
    dispatch_next(world.desk)
    world.provider.ends_next(REFUSED)
    world.dispatch()
    # Within the hour it is counted, and not told again; with something accepted in between nothing stops.
    with world.database.reading() as session:
        assert session.exec(kind).one().repeats == 1
    assert world.mailing(mailing_id).state is MailingState.finished


def test_a_mailing_all_of_whose_requests_are_refused_is_held_and_burns_no_more_recipients(world):
    world.readers(addresses(12))
    world = world.having(batch_size=2)
    mailing_id = world.running()
    world.provider.ends_next(*[REFUSED] * 4)
    world.dispatch()
    standing = world.account(mailing_id).standing
    assert (standing.rejected, standing.pending) == (6, 6)
    mailing = world.mailing(mailing_id)
    assert mailing.state is MailingState.held
    assert "refused 3 requests in a row" in mailing.state_reason
    for rejected in (8, 8):
        # The first that is let go on is refused as well, and stops the rest again.
        with world.database.writing() as session:
            resume(session, mailing_id, live=False, now=world.clock())
        world.dispatch()
        assert world.account(mailing_id).standing.rejected == rejected
    assert world.mailing(mailing_id).state is MailingState.finished
    with world.database.reading() as session:
        said = brief(overview_of(session, find_mailing(session, mailing_id), now=world.clock()), UTC)
    assert "8 of 12 recipients were not mailed" in said.sentence
    assert any("subject: is wrong" in one for one in said.remarks)
    assert any(one.what.startswith("once the cause is mended") for one in said.steps)


def test_two_mailings_of_an_issue_are_not_scheduled_side_by_side(world):
    world.readers(addresses(4))
    issue_id = world.issue()
    first = world.schedule(issue_id)
    with pytest.raises(Refused, match=f"mailing {first} of the same issue is scheduled: take it back"):
        world.schedule(issue_id)
    # Nor beside one that was held before its time, and begins by a person's word.
    with world.database.writing() as session:
        hold_the_other_side(session, live=True, now=world.clock())
    with pytest.raises(Refused, match="decide about it"):
        world.schedule(issue_id)


def scheduled_side_by_side(world) -> tuple[int, int]:
    """As two machines can, or a version before this one: neither has seen the other."""
    first = world.schedule(world.issue())
    with world.database.writing() as session:
        session.add(second := Mailing(**session.get_one(Mailing, first).model_dump(exclude={"id"})))
        session.flush()
        return first, int(second.id)


def test_nobody_is_left_out_for_waiting_in_a_mailing_that_is_cancelled_then(world):
    world.readers(addresses(4))
    first, second = scheduled_side_by_side(world)
    assert world.begin() == [first]
    assert f"mailing {first} of the same issue is not over" in world.mailing(second).state_reason
    with world.database.writing() as session, pytest.raises(Refused, match=f"mailing {first} of the same issue"):
        resume(session, second, live=False, now=world.clock())
    with world.database.writing() as session:
        cancel(session, first, by=COMMAND_LINE, now=world.clock())
        while unwind_next(session, first, now=world.clock()):
            pass
    with world.database.writing() as session:
        resume(session, second, live=False, now=world.clock())
    freeze(world.database, second, world.terms, clock=world.clock)
    world.dispatch()
    assert world.reached() == addresses(4)


def test_who_waits_in_another_mailing_is_not_said_to_have_the_issue(world):
    """However two came to be under way together."""
    world.readers(addresses(2))
    first, second = scheduled_side_by_side(world)
    world.begin()
    with world.database.writing() as session:
        assert move(session, second, MailingState.freezing, now=world.clock())
    freeze(world.database, second, world.terms, clock=world.clock)
    assert world.account(second).exclusions == {f"waits in mailing {first}": 2}


def test_a_machine_that_was_paused_before_its_call_does_not_make_it(world):
    """It sleeps between the commit of `submitting` and the first byte; meanwhile the batch may be another's."""
    world.readers(addresses(1))
    mailing_id = world.running()
    asked: list[int] = []

    def clock():
        asked.append(1)
        if len(asked) == 3:
            # The claim and the last look are done.
            world.clock.forward(3600)
            with world.database.writing() as session:
                assert sweep(session, now=world.clock()) == (0, 1)
        return world.clock()

    assert dispatch_next(replace(world.desk, clock=clock))
    assert world.reached() == []
    assert world.states(mailing_id) == {BatchState.ready: 1}
    world.clock.forward(60)
    world.dispatch()
    assert world.reached() == addresses(1)


def test_an_attempt_that_is_no_longer_the_current_one_makes_no_call(world):
    """A machine that was paused wakes up: its claim has gone to another."""
    world.readers(addresses(3))
    world.running()
    with world.database.writing() as session:
        stale = claim_next(session, world.desk.claimant, now=world.clock())
    world.clock.forward(61)
    with world.database.writing() as session:
        sweep(session, now=world.clock())
        fresh = claim_next(session, world.desk.claimant, now=world.clock())
    assert stale
    assert fresh
    assert fresh == Claim(stale.batch_id, stale.number + 1)
    dispatch_batch(world.desk, stale)
    assert world.reached() == []
    dispatch_batch(world.desk, fresh)
    assert world.reached() == addresses(3)


def test_what_a_person_must_look_at_is_listed(world):
    """Unknown, rejected and waiting requests, each with what was answered; the ones that went well are not."""
    world.readers(addresses(8))
    world = world.having(batch_size=2)
    mailing_id = world.running()
    busy = classify(Answer(429, {}, b'{"errors":[{"field":null,"message":"too many requests"}]}'), now=0)
    world.provider.ends_next(CallEnd(Ending.ambiguous), CallEnd(Ending.refused, 404), busy)
    world.dispatch()
    with world.database.reading() as session:
        trouble = batches_in_trouble(session, mailing_id)
    assert [(one.state, one.recipients) for one in trouble] == [
        (BatchState.unknown, 2),
        (BatchState.rejected, 2),
        (BatchState.retry_wait, 2),
    ]
    assert trouble[2].detail == "the provider answered 429 (throttled): too many requests"


def test_many_workers_claim_each_batch_once(world):
    world.readers(addresses(60))
    world = world.having(batch_size=5)
    mailing_id = world.running()
    threads = [threading.Thread(target=world.dispatch) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A claim may lose against another and look like the end; what is left is done here.
    world.dispatch()
    assert world.reached() == addresses(60)
    assert world.account(mailing_id).standing.accepted == 60


def test_who_leaves_during_the_last_look_waits_for_its_commit(world):
    """Either the departure is seen and the reader skipped, or the request was already on its way: never in between."""
    world.readers(addresses(1))
    mailing_id = world.running()
    with world.database.reading() as session:
        link = find_by_address(session, world.publication.id, "r00000@example.com").unsubscribe_id
    left = threading.Event()

    def leave_now():
        with world.database.writing() as session:
            leave(session, link, channel=LeavingChannel.one_click, by=READER, now=world.clock())
        left.set()

    thread = threading.Thread(target=leave_now)
    with world.database.writing() as session:
        batch = session.get_one(Batch, 1)
        assert len(last_look(session, batch, world.desk.letterhead, now=world.clock()).stays) == 1
        thread.start()
        assert not left.wait(0.5)
    thread.join()
    assert left.is_set()
    world.dispatch()
    assert world.account(mailing_id).standing.skipped == 1


def test_a_mailing_that_was_halted_after_the_claim_is_not_mailed(world):
    world.readers(addresses(3))
    mailing_id = world.running()
    with world.database.writing() as session:
        claim = claim_next(session, world.desk.claimant, now=world.clock())
        assert claim
        assert move(session, mailing_id, MailingState.halted, now=NOW, reason="test")
    dispatch_batch(world.desk, claim)
    assert world.reached() == []
    assert world.states(mailing_id) == {BatchState.ready: 1}


def test_a_known_answer_is_recorded_though_the_database_is_away_for_a_moment(sqlite_store):
    """Another process holds the file for longer than a writer waits: the 202 must not become unknown."""
    provider = MemoryProvider()
    world = make_world(sqlite_store, provider)
    world.readers(addresses(3))
    mailing_id = world.running()
    holder = sqlite_module().connect(sqlite_store.file, check_same_thread=False, isolation_level=None)
    with sqlite_store.writer.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")

    def hold(_):
        holder.execute("BEGIN IMMEDIATE")
        threading.Timer(0.5, lambda: holder.execute("ROLLBACK")).start()

    provider.answering = hold
    world.dispatch()
    assert world.account(mailing_id).standing.accepted == 3
    holder.close()


def test_a_second_mailing_of_an_issue_waits_for_the_first(world):
    """It would find that everybody who still waits in the first has the issue already, and reach nobody."""
    world.readers(addresses(3))
    mailing_id = world.running()
    world.provider.ends_next(CallEnd(Ending.unauthorised, 401))
    world.dispatch()
    issue_id = world.mailing(mailing_id).issue_id
    with pytest.raises(Refused, match=f"resume {mailing_id}"):
        world.schedule(issue_id)
    with world.database.writing() as session:
        resume(session, mailing_id, live=False, now=NOW)
    world.dispatch()
    world.schedule(issue_id)


def test_a_running_mailing_of_the_other_side_is_held_and_can_go_on_there(world):
    """`serve` comes up again without NEWSLETTER_LIVE in the middle of a mailing to real readers, or with it."""
    world.readers(addresses(3))
    mailing_id = world.running()
    with world.database.writing() as session:
        assert hold_the_other_side(session, live=True, now=world.clock()) == [mailing_id]
    assert world.dispatch() == 0
    with world.database.writing() as session, pytest.raises(Refused, match="NOT LIVE"):
        resume(session, mailing_id, live=True, now=NOW)
    with world.database.writing() as session:
        resume(session, mailing_id, live=False, now=NOW)
    world.dispatch()
    assert world.reached() == addresses(3)


def test_a_mailing_that_was_held_before_its_time_begins_when_it_goes_on(world):
    world.readers(addresses(3))
    mailing_id = world.schedule(world.issue())
    with world.database.writing() as session:
        assert hold_the_other_side(session, live=True, now=world.clock()) == [mailing_id]
    with world.database.writing() as session:
        resume(session, mailing_id, live=False, now=world.clock())
    assert world.mailing(mailing_id).begun_at == world.clock()


def test_an_answer_with_odd_bytes_is_recorded(world):
    """PostgreSQL stores no NUL and no id longer than its column."""
    world.readers(addresses(2))
    mailing_id = world.running()
    odd = Answer(503, {}, b"\x00\x01\x1b[31m<html>")
    world.provider.ends_next(classify(odd, now=0))
    world.dispatch()
    assert world.states(mailing_id) == {BatchState.unknown: 1}
    assert classify(Answer(202, {"x-message-id": "x" * 500}, b""), now=0).message_id == "x" * 120
