"""Plans of readers: given with or without an end, over after their grace, told of in time; the ledger has it all."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import select

from subscribers.actors import CLOCK, COMMAND_LINE, READER
from subscribers.consent import consent_of
from subscribers.errors import RefusedPlan, UnknownPlan, UnknownSubscriber
from subscribers.leaving import leave_by_address
from subscribers.models import Subscription
from subscribers.plan_changes import (
    PlanChange,
    any_ending,
    any_over,
    change_plan,
    due_renewal_notices,
    end_plans,
    plan_since,
)
from subscribers.plan_forms import PlanForm, set_plan
from subscribers.plans import NewPlan, add_plan
from subscribers.roster import find_subscription
from subscribers.subscriptions import NewSubscription, subscribe


LAST = date(2026, 12, 31)
DAY = timedelta(days=1)


@pytest.fixture
def anna(session, hasher, now):
    return subscribe(session, NewSubscription(1, "anna@example.com"), hasher=hasher, by=COMMAND_LINE, now=now)[0].id


@pytest.fixture
def give(session, anna, now):
    def _give(code="pro", until=LAST, **more):
        return change_plan(session, anna, PlanChange(code, until, **more), by=COMMAND_LINE, now=now)

    return _give


@pytest.fixture
def end(session, now):
    def _end(today):
        ended = end_plans(session, 1, today=today, by=CLOCK, now=now)
        session.expire_all()
        return ended

    return _end


def plan_of(session, subscription_id):
    session.expire_all()
    view = find_subscription(session, subscription_id)
    return view.plan, view.plan_until


def last_event(session, subscription_id):
    return consent_of(session, subscription_id)[-1]


def test_a_plan_is_given_once_and_the_ledger_knows_from_what_to_what_and_why(session, anna, give):
    assert give(reason="order 7", source="set-plan").is_new
    assert plan_of(session, anna) == ("pro", LAST)
    event = last_event(session, anna)
    assert (event.kind, event.source, event.by) == ("plan_changed", "set-plan", "operator:command-line")
    assert event.detail == {"from": "free", "to": "pro", "until": "2026-12-31", "reason": "order 7"}
    events = len(consent_of(session, anna))
    assert not give(reason="order 7").is_new
    assert len(consent_of(session, anna)) == events


def test_a_renewal_moves_the_end_and_is_told_of_anew(session, anna, give):
    give()
    assert due_renewal_notices(session, 1, today=LAST)
    renewed = LAST.replace(year=2027)
    give(until=renewed)
    assert plan_of(session, anna) == ("pro", renewed)
    assert last_event(session, anna).detail["until_before"] == str(LAST)
    assert due_renewal_notices(session, 1, today=renewed)


@pytest.mark.parametrize("grace", [0, 3])
def test_a_plan_is_over_on_the_day_after_its_last_and_its_days_of_grace(session, anna, give, end, grace):
    set_plan(session, 1, "pro", PlanForm(grace_days=grace))
    give()
    assert end(LAST + grace * DAY) == []
    assert any_over(session, 1, today=LAST + (grace + 1) * DAY)
    (ended,) = end(LAST + (grace + 1) * DAY)
    assert (ended.subscription_id, ended.before, ended.plan) == (anna, "专业版", "免费版")
    assert plan_of(session, anna) == ("free", None)
    event = last_event(session, anna)
    assert (event.kind, event.by, event.detail["reason"]) == ("plan_changed", "clock", "ended")
    assert (event.detail["from"], event.detail["to"]) == ("pro", "free")
    assert end(LAST + 99 * DAY) == []


def test_it_falls_back_to_the_plan_named_for_that_and_only_one_step(session, anna, give, end):
    add_plan(session, NewPlan(1, "team"))
    # In either order of plans, and each of them with an end that has passed.
    set_plan(session, 1, "team", PlanForm(fallback="pro"))
    set_plan(session, 1, "pro", PlanForm(fallback="team"))
    for start, then in (("team", "pro"), ("pro", "team")):
        give(start)
        assert len(end(LAST + DAY)) == 1
        assert plan_of(session, anna) == (then, None)


def test_who_left_falls_back_too_and_stays_left(session, anna, give, end, now):
    give()
    leave_by_address(session, 1, "anna@example.com", by=READER, now=now)
    assert len(end(LAST + DAY)) == 1
    view = find_subscription(session, anna)
    assert (view.plan, view.state) == ("free", "left")


def test_readers_are_told_once_of_each_end_and_only_where_something_comes_after(session, anna, give):
    give()
    assert due_renewal_notices(session, 1, today=LAST - 8 * DAY) == []
    assert any_ending(session, 1, today=LAST - 7 * DAY)
    (told,) = due_renewal_notices(session, 1, today=LAST - 7 * DAY)
    assert (told.plan, told.until, told.then) == ("专业版", LAST, "免费版")
    assert not any_ending(session, 1, today=LAST)
    assert due_renewal_notices(session, 1, today=LAST) == []
    set_plan(session, 1, "pro", PlanForm(notice_days=0))
    give(until=LAST + DAY)
    assert not any_ending(session, 1, today=LAST)


def test_the_present_plan_began_with_its_first_event(session, anna, give, now):
    assert plan_since(session, anna) == now
    change_plan(session, anna, PlanChange("pro", LAST), by=COMMAND_LINE, now=now + DAY)
    change_plan(session, anna, PlanChange("pro", LAST + DAY), by=COMMAND_LINE, now=now + 2 * DAY)
    assert plan_since(session, anna) == now + DAY


def test_unknown_plans_and_subscriptions_are_refused(session, anna, now):
    with pytest.raises(UnknownPlan):
        change_plan(session, anna, PlanChange("gold"), by=COMMAND_LINE, now=now)
    with pytest.raises(UnknownSubscriber):
        change_plan(session, anna + 1, PlanChange("pro"), by=COMMAND_LINE, now=now)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.just(("free", None)) | st.tuples(st.just("pro"), st.none() | st.dates(LAST - 5 * DAY, LAST + 5 * DAY)))
)
def test_after_any_changes_nothing_that_is_over_is_left(new_store, hasher, now, changes):
    with new_store() as session:
        for number, (code, until) in enumerate(changes):
            request = NewSubscription(1, f"reader{number}@example.com")
            view, _ = subscribe(session, request, hasher=hasher, by=COMMAND_LINE, now=now)
            change_plan(session, view.id, PlanChange(code, until), by=COMMAND_LINE, now=now)
        over = sum(until is not None and until < LAST for _, until in changes)
        assert len(end_plans(session, 1, today=LAST, by=CLOCK, now=now)) == over
        assert not any_over(session, 1, today=LAST)
        session.expire_all()
        assert all(one.plan_until is None or one.plan_until >= LAST for one in session.exec(select(Subscription)))


def test_a_plan_that_nothing_comes_after_has_no_end(session, anna, now):
    with pytest.raises(RefusedPlan, match="nothing comes after it"):
        change_plan(session, anna, PlanChange("free", LAST), by=COMMAND_LINE, now=now)
