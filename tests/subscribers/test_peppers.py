"""Peppers are changed, and every suppression is met all the same, under whichever it was made."""

import pytest
from sqlmodel import select

from subscribers import suppression
from subscribers.actors import COMMAND_LINE
from subscribers.audience import candidates
from subscribers.errors import NewPepper, OtherPepper
from subscribers.forgetting import forget
from subscribers.hashing import AddressHasher, adopt_peppers, require_same_pepper
from subscribers.models import AddressHash, HashKey, SuppressionReason
from subscribers.subscriptions import NewSubscription, subscribe
from subscribers.suppression import SuppressionOrder, reasons_against


OLD, NEW, NEWEST = b"the first pepper of all", b"the second pepper after", b"the third pepper, newest"


@pytest.fixture
def add(session, now):
    def _add(address, *peppers):
        request = NewSubscription(1, address)
        return subscribe(session, request, hasher=AddressHasher(*peppers), by=COMMAND_LINE, now=now)[0]

    return _add


@pytest.fixture
def suppress(session, now):
    def _suppress(address, *peppers, reason=SuppressionReason.complaint):
        order = SuppressionOrder(address, reason)
        return suppression.add(session, order, hasher=AddressHasher(*peppers), by=COMMAND_LINE, now=now)

    return _suppress


def adopt(session, now, *peppers):
    while adopt_peppers(session, AddressHasher(*peppers), now=now):
        pass


def excluded(session, now):
    return [row.exclusion for row in session.execute(candidates(1, now=now))]


def test_a_suppression_under_an_old_pepper_is_met_after_two_changes(session, add, suppress, now):
    suppress("anna@example.com", OLD)
    adopt(session, now, OLD, NEW)
    adopt(session, now, OLD, NEW, NEWEST)
    hasher = AddressHasher(OLD, NEW, NEWEST)
    assert reasons_against(session, 1, "anna@example.com", hasher=hasher) == ("complaint",)
    assert not suppress("anna@example.com", OLD, NEW, NEWEST)


def test_a_reader_of_before_is_met_by_a_suppression_of_after(session, add, suppress, now):
    add("anna@example.com", OLD)
    adopt(session, now, OLD, NEW)
    suppress("anna@example.com", OLD, NEW)
    assert excluded(session, now) == ["suppressed"]


def test_an_erased_address_that_comes_back_is_met_under_the_old_pepper(session, add, suppress, now):
    view = add("anna@example.com", OLD)
    suppress("anna@example.com", OLD, reason=SuppressionReason.erased)
    forget(session, [view.subscriber_id], now=now)
    adopt(session, now, OLD, NEW)
    assert reasons_against(session, 1, "anna@example.com", hasher=AddressHasher(OLD, NEW)) == ("erased",)


def test_a_lifted_reason_is_lifted_under_every_pepper(session, suppress, now):
    suppress("anna@example.com", OLD)
    adopt(session, now, OLD, NEW)
    order = SuppressionOrder("anna@example.com", SuppressionReason.complaint)
    assert suppression.lift(session, order, hasher=AddressHasher(OLD, NEW), by=COMMAND_LINE, now=now)
    assert reasons_against(session, 1, "anna@example.com", hasher=AddressHasher(OLD, NEW)) == ()


def test_a_new_pepper_waits_until_every_address_is_hashed_with_it(session, add, now):
    for number in range(3):
        add(f"r{number}@example.com", OLD)
    with pytest.raises(NewPepper, match="newsletter init"):
        add("anna@example.com", OLD, NEW)
    adopt(session, now, OLD, NEW)
    add("anna@example.com", OLD, NEW)
    assert len(session.exec(select(AddressHash)).all()) == 8


def test_a_pepper_that_was_left_out_is_missed(session, add, now):
    add("anna@example.com", OLD)
    adopt(session, now, OLD, NEW)
    for peppers in ((NEW,), (NEW, NEWEST)):
        with pytest.raises(OtherPepper):
            require_same_pepper(session, AddressHasher(*peppers))
        with pytest.raises(OtherPepper):
            adopt_peppers(session, AddressHasher(*peppers), now=now)


def test_adopting_again_changes_nothing(session, add, now):
    add("anna@example.com", OLD)
    adopt(session, now, OLD)
    assert adopt_peppers(session, AddressHasher(OLD), now=now) == 0
    assert len(session.exec(select(HashKey)).all()) == 1
