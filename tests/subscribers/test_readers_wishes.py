"""What readers do with a subscription of theirs: pause, go, say why, come back, get the mails elsewhere."""

from datetime import timedelta

import pytest
from sqlmodel import col, select

from subscribers import suppression
from subscribers.actors import COMMAND_LINE, READER
from subscribers.addresses import parse_address
from subscribers.audience import candidates
from subscribers.consent import Evidence, consent_of
from subscribers.consent_models import ConsentEvidence, OptIn
from subscribers.errors import RefusedPause
from subscribers.leaving import (
    UNDO_WITHIN,
    LeavingChannel,
    LeavingReason,
    can_undo,
    give_reason,
    leave,
    leave_by_address,
    leave_everything,
    undo,
)
from subscribers.models import AddressHash, SubscriptionState, SuppressionReason
from subscribers.new_address import ask_for_address, confirm_address
from subscribers.opt_in import Answer, Asking, Click
from subscribers.pausing import MAX_WEEKS, pause, resume
from subscribers.roster import find_subscription
from subscribers.subscriptions import NewSubscription, subscribe
from subscribers.suppression import SuppressionOrder, reasons_against
from tests.people import complain


@pytest.fixture
def add(session, hasher, now):
    def _add(address="anna@example.com", publication=1, *, confirmed=True):
        request = NewSubscription(publication, address, confirmed=confirmed)
        return subscribe(session, request, hasher=hasher, by=COMMAND_LINE, now=now)[0]

    return _add


@pytest.fixture
def go(session, now):
    def _go(view, channel=LeavingChannel.page):
        return leave(session, view.unsubscribe_id, channel=channel, by=READER, now=now)

    return _go


@pytest.fixture
def back(session, hasher, now):
    def _back(view, at=now):
        return undo(session, view.unsubscribe_id, hasher=hasher, by=READER, now=at)

    return _back


def kinds(session, view):
    return [event.kind for event in consent_of(session, view.id)]


def excluded(session, at):
    return [row.exclusion for row in session.execute(candidates(1, now=at))]


def test_a_pause_ends_by_itself(session, add, now):
    paused = pause(session, add(), 2, by=READER, now=now)
    assert excluded(session, now) == ["paused"]
    assert excluded(session, now + timedelta(weeks=2, seconds=-1)) == ["paused"]
    assert excluded(session, now + timedelta(weeks=2)) == [None]
    assert kinds(session, paused) == ["added", "paused"]


def test_a_pause_can_be_ended_and_ending_none_is_nothing(session, add, now):
    view = pause(session, add(), 2, by=READER, now=now)
    for _ in range(2):
        view = resume(session, view, by=READER, now=now)
    assert excluded(session, now) == [None]
    assert kinds(session, view) == ["added", "paused", "resumed"]


@pytest.mark.parametrize("weeks", [0, -1, MAX_WEEKS + 1])
def test_a_pause_has_bounds(session, add, now, weeks):
    with pytest.raises(RefusedPause, match="weeks"):
        pause(session, add(), weeks, by=READER, now=now)


def test_only_who_gets_mail_can_pause_it(session, add, go, now):
    view = add()
    go(view)
    with pytest.raises(RefusedPause):
        pause(session, view, 1, by=READER, now=now)


def test_undo_brings_back_what_stood_before(session, add, go, back, now):
    view = add()
    go(view)
    after = back(view)
    assert (after.state, after.left_at) == (view.state, None)
    assert kinds(session, view) == ["added", "left", "returned"]
    assert back(view) is None


def test_undo_is_for_a_day(session, add, go, back, now):
    view = add()
    go(view)
    assert back(view, at=now + UNDO_WITHIN + timedelta(seconds=1)) is None
    assert back(view, at=now + UNDO_WITHIN).state is SubscriptionState.confirmed


def test_what_others_ended_the_link_does_not_undo(session, add, back, hasher, now):
    operators, complained = add(), add("ben@example.com")
    leave_by_address(session, 1, "anna@example.com", by=COMMAND_LINE, now=now)
    complain(session, complained.id, hasher=hasher, by=COMMAND_LINE, now=now)
    assert (back(operators), back(complained)) == (None, None)


def test_undo_does_not_pass_a_suppression_that_came_since(session, add, go, back, hasher, now):
    view = add()
    go(view, LeavingChannel.one_click)
    order = SuppressionOrder("anna@example.com", SuppressionReason.hard_bounce)
    suppression.add(session, order, hasher=hasher, by=COMMAND_LINE, now=now)
    assert back(view) is None
    assert not can_undo(session, find_subscription(session, view.id), hasher=hasher, now=now)


def test_leaving_everything_leaves_each_and_keeps_imports_out(session, add, hasher, now):
    first, second = add(), add(publication=2)
    stranger = add("ben@example.com", 2)
    departure = leave_everything(session, first.unsubscribe_id, hasher=hasher, by=READER, now=now)
    assert departure is not None
    assert (departure.publication_id, departure.is_new) == (1, True)
    states = [find_subscription(session, view.id).state for view in (first, second, stranger)]
    assert states == ["left", "left", "confirmed"]
    assert reasons_against(session, 2, "anna@example.com", hasher=hasher) == ("unsubscribed",)


def test_undoing_it_brings_back_this_publication_alone(session, add, back, hasher, now):
    first, second = add(), add(publication=2)
    leave_everything(session, first.unsubscribe_id, hasher=hasher, by=READER, now=now)
    assert back(first).state is SubscriptionState.confirmed
    assert excluded(session, now) == [None]
    assert find_subscription(session, second.id).state is SubscriptionState.left


def test_a_complaint_ends_everything_for_good(session, add, hasher, now):
    first, second = add(), add(publication=2)
    for _ in range(2):
        complain(session, first.id, hasher=hasher, by=COMMAND_LINE, now=now)
    assert [find_subscription(session, view.id).state for view in (first, second)] == ["left", "left"]
    assert reasons_against(session, 2, "anna@example.com", hasher=hasher) == ("complaint",)
    assert kinds(session, first) == ["added", "left"]


def test_a_reason_is_kept_once_and_only_of_who_left(session, add, go, now):
    view = add()
    say = lambda reason: give_reason(session, view.unsubscribe_id, reason, by=READER, now=now)  # noqa: E731
    assert not say(LeavingReason.too_many)
    go(view)
    assert say(LeavingReason.too_many)
    assert say(LeavingReason.too_many)
    assert say(LeavingReason.other)
    assert kinds(session, view) == ["added", "left", "reason_given", "reason_given"]
    assert not give_reason(session, "x" * 22, LeavingReason.other, by=READER, now=now)


@pytest.fixture
def wish(session, hasher, now):
    def _wish(view, address="new@example.org"):
        proof = Evidence(address, ip="192.0.2.1")
        return ask_for_address(session, view, parse_address(address), proof, hasher=hasher, by=READER, now=now)

    return _wish


@pytest.fixture
def click(session, hasher, now):
    def _click(asked):
        return confirm_address(session, Click(asked.opt_in_id), hasher=hasher, by=READER, now=now)

    return _click


def test_a_new_address_is_confirmed_by_its_owner_and_not_before(session, add, wish, click, hasher, now):
    view, other = add(), add(publication=2)
    asked = wish(view)
    assert (asked.asking, find_subscription(session, view.id)) == (Asking.confirm, view)
    confirmation = click(asked)
    assert confirmation.answer is Answer.confirmed
    assert confirmation.subscription.email == "new@example.org"
    assert session.get(ConsentEvidence, confirmation.event_id).address_before == "anna@example.com"
    assert find_subscription(session, other.id).email == "new@example.org"
    assert find_subscription(session, view.id).unsubscribe_id == view.unsubscribe_id
    assert kinds(session, view) == ["added", "address_asked", "address_changed"]
    assert kinds(session, other) == ["added", "address_changed"]
    assert {one.hash for one in session.exec(select(AddressHash))} == {hasher.hash("new@example.org")}
    assert [one.new_address for one in session.exec(select(OptIn))] == [""]
    assert click(asked).answer is Answer.already


def test_the_address_of_somebody_else_is_not_taken_and_only_its_owner_learns_so(session, add, wish, click):
    view, _ = add(), add("ben@example.com")
    asked = wish(view, "BEN@example.com")
    assert asked.asking is Asking.confirm
    assert click(asked).answer is Answer.taken
    assert find_subscription(session, view.id) == view


def test_only_the_last_wish_holds(session, add, wish, click):
    view = add()
    first, second = wish(view, "first@example.org"), wish(view, "second@example.org")
    assert click(first).answer is Answer.ended
    assert click(second).subscription.email == "second@example.org"


def test_a_wish_ends_with_leaving(session, add, wish, click, go):
    view = add()
    asked = wish(view)
    go(view)
    assert click(asked).answer is Answer.ended
    assert find_subscription(session, view.id).email == "anna@example.com"


def test_a_suppressed_address_is_no_new_address(session, add, wish, click, hasher, now):
    view = add()
    asked = wish(view)
    for address in ("new@example.org", "bounced@example.org"):
        order = SuppressionOrder(address, SuppressionReason.hard_bounce)
        suppression.add(session, order, hasher=hasher, by=COMMAND_LINE, now=now)
    assert click(asked).answer is Answer.suppressed
    assert wish(view, "bounced@example.org").asking is Asking.silent
    assert wish(view, "ANNA@example.com").asking is Asking.silent


def test_the_evidence_of_a_change_holds_both_addresses_until_it_is_emptied(session, add, wish, click):
    view = add()
    click(wish(view))
    last = session.exec(select(ConsentEvidence).order_by(col(ConsentEvidence.event_id))).all()[-1]
    assert (last.address_typed, last.address_before, last.subscriber_id) == (
        "new@example.org",
        "anna@example.com",
        view.subscriber_id,
    )
