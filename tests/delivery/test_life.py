"""The life of a mailing in an operator's hands: undone, paused, cancelled, while workers run and after a crash."""

import threading
from collections import Counter
from datetime import date, timedelta

import pytest
from sqlmodel import Session, col, select

from newsletter.delivery.audience import freeze
from newsletter.delivery.claims import Claim, claim_next, move_batch
from newsletter.delivery.dispatch import dispatch_batch, dispatch_next
from newsletter.delivery.doubts import in_doubt
from newsletter.delivery.life import cancel, end_undo_window, pause, undo_until, unschedule, unwind_next, unwinding
from newsletter.delivery.lifecycle import BatchState, MailingState
from newsletter.delivery.mailings import begin_due, resume
from newsletter.delivery.models import Batch, Delivery, Mailing
from newsletter.delivery.requests import last_look
from newsletter.delivery.scheduling import Order, schedule
from newsletter.delivery.settlement import prove
from newsletter.errors import Refused
from newsletter.providers.base import CallEnd, Ending, RefusedRecipient
from newsletter.worker.clock import Clock
from subscribers.actors import COMMAND_LINE
from subscribers.plan_changes import PlanChange, change_plan
from subscribers.roster import find_by_address
from tests.world import World, addresses


def cancelled(world: World, mailing_id: int, *, wholly: bool = True) -> None:
    with world.database.writing() as session:
        cancel(session, mailing_id, by=COMMAND_LINE, now=world.clock())
    world.account(mailing_id)
    while wholly and unwound(world, mailing_id):
        world.account(mailing_id)


def doubtful(session: Session, batch: Batch) -> list[int]:
    """Give the deliveries of a batch that some call may have carried."""
    return list(session.exec(select(Delivery.id).where(Delivery.batch_id == batch.id, in_doubt())))


def unwound(world: World, mailing_id: int) -> bool:
    with world.database.writing() as session:
        return unwind_next(session, mailing_id, now=world.clock())


def clock_of(world: World) -> Clock:
    return Clock(world.desk, world.terms, 1.0, lambda: None)


def undoable(world: World, minutes: int = 10) -> int:
    order = Order(world.issue(), world.clock(), undo_minutes=minutes)
    with world.database.writing() as session:
        return schedule(session, order, world.workshop, by=COMMAND_LINE, now=world.clock()).id


def test_a_scheduled_mailing_is_taken_back_and_its_issue_can_be_scheduled_again(world):
    world.readers(addresses(3))
    issue_id = world.issue()
    mailing_id = world.schedule(issue_id)
    with world.database.writing() as session:
        session.get_one(Mailing, mailing_id).occurrence = date(2026, 11, 23)
    with world.database.writing() as session:
        unschedule(session, mailing_id, by=COMMAND_LINE, now=world.clock())
    assert not unwound(world, mailing_id)
    mailing = world.mailing(mailing_id)
    assert (mailing.state, mailing.occurrence, mailing.ended_at) == (MailingState.cancelled, None, world.clock())
    assert mailing.state_reason == "unscheduled by operator:command-line"
    assert world.begin() == []
    world.schedule(issue_id)
    world.begin()
    world.dispatch()
    assert world.reached() == addresses(3)


def test_within_the_time_to_undo_nothing_leaves_and_a_mailing_can_be_taken_back_whole(world):
    world.readers(addresses(25))
    world = world.having(batch_size=10)
    mailing_id = undoable(world)
    assert world.begin() == [mailing_id]
    assert undo_until(world.mailing(mailing_id), now=world.clock()) == world.clock() + timedelta(minutes=10)
    world.clock.forward(599)
    assert world.dispatch() == 0
    with world.database.writing() as session:
        unschedule(session, mailing_id, by=COMMAND_LINE, now=world.clock())
    while unwound(world, mailing_id):
        world.account(mailing_id)
    world.clock.forward(3600)
    assert world.dispatch() == 0
    assert world.account(mailing_id).standing.cancelled == 25
    second = world.schedule(world.mailing(mailing_id).issue_id)
    world.begin()
    world.dispatch()
    assert world.reached() == addresses(25)
    assert world.mailing(second).state is MailingState.finished


def test_the_time_to_undo_is_over_by_itself_or_by_a_word(world):
    world.readers(addresses(2))
    first = undoable(world)
    world.begin()
    world.clock.forward(600)
    assert undo_until(world.mailing(first), now=world.clock()) is None
    assert world.dispatch() == 1
    with world.database.writing() as session, pytest.raises(Refused, match="is finished already"):
        end_undo_window(session, first, now=world.clock())
    order = Order(world.mailing(first).issue_id, world.clock(), again=True, undo_minutes=60)
    with world.database.writing() as session:
        second = schedule(session, order, world.workshop, by=COMMAND_LINE, now=world.clock()).id
    world.begin()
    with world.database.writing() as session:
        end_undo_window(session, second, now=world.clock())
    assert world.dispatch() == 1


def test_what_has_begun_to_leave_cannot_be_undone_only_cancelled(world):
    world.readers(addresses(20))
    world = world.having(batch_size=10)
    mailing_id = world.running()
    dispatch_next(world.desk)
    with pytest.raises(Refused, match="newsletter mailing cancel"), world.database.writing() as session:
        unschedule(session, mailing_id, by=COMMAND_LINE, now=world.clock())
    assert world.mailing(mailing_id).state is MailingState.running
    cancelled(world, mailing_id)
    standing = world.account(mailing_id).standing
    assert (standing.accepted, standing.cancelled) == (10, 10)
    with pytest.raises(Refused, match="cancelled already"), world.database.writing() as session:
        cancel(session, mailing_id, by=COMMAND_LINE, now=world.clock())


@pytest.mark.parametrize("wholly", [True, False], ids=["taken back", "cut short by a crash"])
def test_after_a_cancel_a_second_mailing_reaches_exactly_the_others(world, wholly):
    world.readers(addresses(50))
    world = world.having(batch_size=10)
    mailing_id = world.running()
    for _ in range(2):
        dispatch_next(world.desk)
    cancelled(world, mailing_id, wholly=wholly)
    issue_id = world.mailing(mailing_id).issue_id
    if not wholly:
        unwound(world, mailing_id)
        with pytest.raises(Refused, match="not over yet"):
            world.schedule(issue_id)
        clock_of(world).tick()
    assert world.mailing(mailing_id).ended_at
    with world.database.reading() as session:
        assert unwinding(session) == []
    world.schedule(issue_id)
    world.begin()
    world.dispatch()
    assert world.reached() == addresses(50)


def test_a_mailing_is_cancelled_while_it_freezes(world):
    """Who was frozen but stands in no batch yet is free as well."""
    world.readers(addresses(30))
    mailing_id = world.schedule(world.issue())
    with world.database.writing() as session:
        begin_due(session, live=False, now=world.clock())

    class Interrupted(Exception):
        pass

    calls = iter(range(2))

    def clock():
        if next(calls, None) is None:
            raise Interrupted
        return world.clock()

    # It dies after its second chunk, before any batch is made.
    with pytest.raises(Interrupted):
        freeze(world.database, mailing_id, world.terms, clock=clock)
    assert world.account(mailing_id).standing.pending == 30
    cancelled(world, mailing_id)
    assert world.account(mailing_id).standing.cancelled == 30
    freeze(world.database, mailing_id, world.terms, clock=world.clock)
    assert world.mailing(mailing_id).state is MailingState.cancelled
    world.schedule(world.mailing(mailing_id).issue_id)
    world.begin()
    world.dispatch()
    assert world.reached() == addresses(30)


@pytest.mark.parametrize(
    ("end", "word"),
    [
        (CallEnd(Ending.accepted, 202), "accepted"),
        (CallEnd(Ending.ambiguous), "unknown"),
        (CallEnd(Ending.throttled, 429), "cancelled"),
        (CallEnd(Ending.never_left), "cancelled"),
        (CallEnd(Ending.unauthorised, 401), "cancelled"),
        (CallEnd(Ending.too_large, 413), "cancelled"),
        (CallEnd(Ending.refused, 404), "rejected"),
    ],
)
def test_a_call_under_way_ends_as_it_ends(world, end, word):
    world.readers(addresses(4))
    mailing_id = world.running()
    world.provider.answering = lambda _: cancelled(world, mailing_id)
    world.provider.ends_next(end)
    assert dispatch_next(world.desk)
    world.provider.answering = None
    world.account(mailing_id)
    clock_of(world).tick()
    assert getattr(world.account(mailing_id).standing, word) == 4
    mailing = world.mailing(mailing_id)
    assert (mailing.state, mailing.ended_at) == (MailingState.cancelled, world.clock())
    free = word in {"cancelled", "rejected"}
    assert all(one.may_have_reached != free for one in world.deliveries(mailing_id))


def test_an_unknown_outcome_of_a_cancelled_mailing_can_still_be_proven(world):
    world.readers(addresses(4))
    mailing_id = world.running()
    attempts = []
    world.provider.answering = lambda message: attempts.append(message.recipients[0].custom_args["attempt_id"])
    world.provider.ends_next(CallEnd(Ending.ambiguous))
    world.dispatch()
    cancelled(world, mailing_id)
    assert world.account(mailing_id).standing.unknown == 4
    with world.database.writing() as session:
        assert prove(session, attempts, now=world.clock()) == 1
    assert world.account(mailing_id).standing.accepted == 4
    assert world.mailing(mailing_id).state is MailingState.cancelled


def resent(world: World, mailing_id: int) -> Batch:
    """Bring an unknown batch back to ready, as the policy `resend` does after the quiet time."""
    with world.database.reading() as session:
        batch: Batch = next(one for one in all_batches(session, mailing_id) if one.state is BatchState.unknown)
    with world.database.writing() as session:
        assert move_batch(session, Claim(batch.id, batch.attempt), BatchState.ready)
    return batch


def all_batches(session, mailing_id):
    return session.exec(select(Batch).where(Batch.mailing_id == mailing_id).order_by(col(Batch.id))).all()


def test_who_may_have_been_reached_by_an_earlier_call_is_not_freed(world):
    world.readers(addresses(4))
    mailing_id = world.running()
    world.provider.ends_next(CallEnd(Ending.ambiguous))
    world.dispatch()
    resent(world, mailing_id)
    with world.database.writing() as session:
        resume(session, mailing_id, live=False, now=world.clock())
    cancelled(world, mailing_id)
    assert world.account(mailing_id).standing.cancelled == 4
    assert all(one.may_have_reached for one in world.deliveries(mailing_id))
    world.schedule(world.mailing(mailing_id).issue_id)
    world.begin()
    assert world.dispatch() == 0


def test_whose_refusal_follows_an_unknown_outcome_is_not_freed_either(world):
    world.readers(addresses(4))
    mailing_id = world.running()
    refused = CallEnd(Ending.recipients_refused, 400, refused=(RefusedRecipient(0, "bad"),))
    world.provider.ends_next(CallEnd(Ending.ambiguous), refused, CallEnd(Ending.refused, 404))
    world.dispatch()
    resent(world, mailing_id)
    with world.database.writing() as session:
        resume(session, mailing_id, live=False, now=world.clock())
    world.dispatch()
    assert world.account(mailing_id).standing.rejected == 4
    assert all(one.may_have_reached for one in world.deliveries(mailing_id))


def test_who_moved_out_before_the_call_is_freed_whatever_became_of_that(world):
    """A call proves nothing about those whom the last look took out of it; an earlier one carried them."""
    world.readers(addresses(4))
    mailing_id = world.running()
    with world.database.writing() as session:
        mover = find_by_address(session, world.publication.id, addresses(1)[0]).id
        change_plan(session, mover, PlanChange("pro"), by=COMMAND_LINE, now=world.clock())
    world.provider.ends_next(CallEnd(Ending.ambiguous))
    assert dispatch_next(world.desk)
    with world.database.reading() as session:
        first, child = all_batches(session, mailing_id)
        assert len(doubtful(session, first)) == 3
        assert not doubtful(session, child)
    batch = resent(world, mailing_id)
    with world.database.writing() as session:
        again = claim_next(session, world.desk.claimant, now=world.clock())
        assert again == Claim(batch.id, 2)
        second = find_by_address(session, world.publication.id, addresses(2)[1]).id
        change_plan(session, second, PlanChange("pro"), by=COMMAND_LINE, now=world.clock())
        last_look(session, session.get_one(Batch, batch.id), world.desk.letterhead, now=world.clock())
    with world.database.reading() as session:
        grandchild = all_batches(session, mailing_id)[-1]
        assert grandchild.parent_id == batch.id
        assert doubtful(session, grandchild)


def test_a_claim_of_a_cancelled_mailing_makes_no_call(world):
    world.readers(addresses(4))
    mailing_id = world.running()
    with world.database.writing() as session:
        claim = claim_next(session, world.desk.claimant, now=world.clock())
    cancelled(world, mailing_id)
    assert claim
    dispatch_batch(world.desk, claim)
    assert world.reached() == []
    assert world.account(mailing_id).standing.cancelled == 4


def test_a_paused_mailing_waits_until_it_is_resumed(world):
    world.readers(addresses(30))
    world = world.having(batch_size=10)
    mailing_id = world.running()
    dispatch_next(world.desk)
    with world.database.writing() as session:
        pause(session, mailing_id, by=COMMAND_LINE, now=world.clock())
    assert world.dispatch() == 0
    assert world.account(mailing_id).standing.pending == 20
    with pytest.raises(Refused, match="is paused"), world.database.writing() as session:
        pause(session, mailing_id, by=COMMAND_LINE, now=world.clock())
    with world.database.writing() as session:
        resume(session, mailing_id, live=False, now=world.clock())
    world.dispatch()
    assert world.reached() == addresses(30)


def test_a_mailing_that_is_only_scheduled_is_unscheduled_not_paused(world):
    world.readers(addresses(1))
    mailing_id = world.schedule(world.issue())
    with pytest.raises(Refused, match="newsletter mailing unschedule"), world.database.writing() as session:
        pause(session, mailing_id, by=COMMAND_LINE, now=world.clock())


@pytest.mark.parametrize("stop", ["cancel", "pause"])
def test_stopping_while_four_threads_dispatch_loses_nobody(world, stop):
    """The account balances at every moment, nobody is mailed twice, and what was stopped reaches the rest."""
    world.readers(addresses(400))
    world = world.having(batch_size=5)
    mailing_id = world.running()
    halfway, over = threading.Event(), threading.Event()
    world.provider.answering = lambda _: halfway.set() if len(world.provider.accepted) > 20 else None

    def work():
        while dispatch_next(world.desk):
            pass

    def watch():
        while not over.is_set():
            world.account(mailing_id)

    threads = [threading.Thread(target=work) for _ in range(4)] + [threading.Thread(target=watch)]
    for thread in threads:
        thread.start()
    assert halfway.wait(60)
    if stop == "cancel":
        cancelled(world, mailing_id)
    else:
        with world.database.writing() as session:
            pause(session, mailing_id, by=COMMAND_LINE, now=world.clock())
    for thread in threads[:4]:
        thread.join(60)
    over.set()
    threads[4].join(60)
    clock_of(world).tick()
    states = world.states(mailing_id)
    standing = world.account(mailing_id).standing
    assert 0 < standing.accepted < 400
    assert set(states) == {BatchState.accepted, BatchState.cancelled if stop == "cancel" else BatchState.ready}
    if stop == "cancel":
        world.schedule(world.mailing(mailing_id).issue_id)
        world.begin()
    else:
        with world.database.writing() as session:
            resume(session, mailing_id, live=False, now=world.clock())
    world.dispatch()
    assert Counter(world.reached()) == Counter(addresses(400))
