"""Subscriptions by an operator's word: added once, and never against what the reader decided."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import col

from subscribers import suppression
from subscribers.actors import COMMAND_LINE, READER
from subscribers.consent import consent_of
from subscribers.consent_models import ConsentKind
from subscribers.errors import HasLeft, InvalidAddress, IsSuppressed, OtherPepper, UnknownPlan, UnknownSubscriber
from subscribers.hashing import AddressHasher
from subscribers.leaving import LeavingChannel, leave
from subscribers.models import Subscription, SubscriptionState, SuppressionReason
from subscribers.plan_changes import PlanChange, change_plan
from subscribers.roster import (
    RosterCount,
    count_subscriptions,
    find_by_address,
    find_by_unsubscribe_id,
    find_subscription,
    list_subscriptions,
)
from subscribers.subscriptions import Admission, NewSubscription, subscribe
from subscribers.suppression import SuppressionOrder


ANNA = NewSubscription(1, "Anna＠Example.com", plan="pro", name="Anna", source="subscribers add")


@pytest.fixture
def add(session, hasher, now):
    return lambda request: subscribe(session, request, hasher=hasher, by=COMMAND_LINE, now=now)


def test_somebody_is_added_with_proof(session, add, now):
    view, admission = add(ANNA)
    assert admission is Admission.added
    assert (view.email, view.name, view.plan, view.state) == ("Anna@example.com", "Anna", "pro", "confirmed")
    assert (view.created_at, view.confirmed_at, view.left_at) == (now, now, None)
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", view.unsubscribe_id)
    (event,) = consent_of(session, view.id)
    assert (event.kind, event.at, event.by, event.plan) == (ConsentKind.added, now, "operator:command-line", "pro")


def test_adding_again_in_other_clothes_changes_nothing(session, add):
    first, _ = add(ANNA)
    again, admission = add(NewSubscription(1, " anna@EXAMPLE.com", plan="free", name="Another", confirmed=False))
    assert (again, admission) == (first, Admission.already)
    assert len(list_subscriptions(session, 1)) == len(consent_of(session, first.id)) == 1


def test_a_pending_subscription_is_confirmed_by_the_operators_word(session, add, now):
    pending, _ = add(replace(ANNA, confirmed=False))
    assert (pending.state, pending.confirmed_at) == (SubscriptionState.pending, None)
    confirmed, admission = add(ANNA)
    assert (confirmed.state, confirmed.confirmed_at, admission) == ("confirmed", now, Admission.confirmed)
    assert [event.kind for event in consent_of(session, pending.id)] == ["added", "confirmed"]


def test_one_person_in_two_publications_has_two_subscriptions(session, add):
    first, _ = add(ANNA)
    second, _ = add(replace(ANNA, publication_id=2, plan=None))
    assert first.subscriber_id == second.subscriber_id
    assert first.unsubscribe_id != second.unsubscribe_id
    assert second.plan == "basic"


def test_who_left_is_not_brought_back(session, add, now):
    view, _ = add(ANNA)
    leave(session, view.unsubscribe_id, channel=LeavingChannel.page, by=READER, now=now)
    with pytest.raises(HasLeft, match="only the reader"):
        add(ANNA)
    assert find_subscription(session, view.id).state is SubscriptionState.left


def test_a_suppressed_address_is_refused_with_the_reason(session, add, hasher, now):
    order = SuppressionOrder("anna@example.com", SuppressionReason.complaint)
    suppression.add(session, order, hasher=hasher, by=COMMAND_LINE, now=now)
    with pytest.raises(IsSuppressed, match="complaint"):
        add(ANNA)
    assert list_subscriptions(session, 1) == []


@pytest.mark.parametrize(
    ("request_", "error"),
    [(replace(ANNA, address="anna"), InvalidAddress), (replace(ANNA, plan="gold"), UnknownPlan)],
)
def test_what_cannot_be_added_leaves_nothing_behind(session, add, request_, error):
    with pytest.raises(error):
        add(request_)
    assert list_subscriptions(session, 1) == []


def test_another_pepper_is_refused_since_it_would_not_know_the_suppressions(session, add, now):
    add(ANNA)
    with pytest.raises(OtherPepper, match="pepper"):
        subscribe(session, ANNA, hasher=AddressHasher(b"quite another pepper"), by=COMMAND_LINE, now=now)


def test_a_change_of_plan_is_recorded_once(session, add, now):
    view, _ = add(ANNA)
    later = now + timedelta(days=1)
    for _ in range(2):
        assert change_plan(session, view.id, PlanChange("free"), by=COMMAND_LINE, now=later).after.plan == "free"
    events = consent_of(session, view.id)
    assert [event.kind for event in events] == ["added", "plan_changed"]
    assert (events[1].plan, events[1].detail, events[1].at) == ("free", {"from": "pro", "to": "free"}, later)


def test_the_roster_is_paged_filtered_and_counted(session, add):
    views = [add(NewSubscription(1, f"r{number}@example.com", confirmed=number != 2))[0] for number in range(5)]
    add(replace(ANNA, publication_id=2, plan=None))
    assert list_subscriptions(session, 1) == views
    assert list_subscriptions(session, 1, after=views[1].id, limit=2) == views[2:4]
    assert list_subscriptions(session, 1, where=col(Subscription.state) == "pending") == [views[2]]
    assert count_subscriptions(session, 1) == [
        RosterCount("free", SubscriptionState.confirmed, 4),
        RosterCount("free", SubscriptionState.pending, 1),
    ]


def test_finding_by_address_and_by_unsubscribe_id(session, add):
    view, _ = add(ANNA)
    assert find_by_address(session, 1, "ANNA@example.com") == find_by_unsubscribe_id(session, view.unsubscribe_id)
    with pytest.raises(UnknownSubscriber):
        find_by_address(session, 2, "anna@example.com")
    with pytest.raises(UnknownSubscriber):
        find_subscription(session, view.id + 1)


def test_refusals_and_reprs_of_secrets_hold_no_secret(hasher):
    assert "pepper of the tests" not in repr(hasher)
    with pytest.raises(ValueError, match="at least 16"):
        AddressHasher(b"short")
