"""The audience in SQL: one row a subscription, one reason an exclusion, and the freeze and the last look agree."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import Session, select

from subscribers import suppression
from subscribers.actors import COMMAND_LINE, READER
from subscribers.audience import candidates, may_mail
from subscribers.leaving import LeavingChannel, leave
from subscribers.models import AddressHash, Subscriber, Subscription, SuppressionReason
from subscribers.plan_changes import PlanChange, change_plan
from subscribers.subscriptions import NewSubscription, subscribe
from subscribers.suppression import SuppressionOrder


NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@pytest.fixture
def add(session, hasher, now):
    def _add(name, publication=1, *, confirmed=True):
        request = NewSubscription(publication, f"{name}@example.com", name=name, confirmed=confirmed)
        return subscribe(session, request, hasher=hasher, by=COMMAND_LINE, now=now)[0]

    return _add


@pytest.fixture
def suppress(session, hasher, now):
    def _suppress(name, publication=None):
        order = SuppressionOrder(f"{name}@example.com", SuppressionReason.hard_bounce, publication)
        suppression.add(session, order, hasher=hasher, by=COMMAND_LINE, now=now)

    return _suppress


def judged(session: Session, query) -> dict[int, str | None]:
    return {row.subscription_id: row.exclusion for row in session.execute(query)}


def test_each_subscription_is_one_candidate_with_one_reason(session, add, suppress, now):
    fine, gone, waiting, bounced = add("fine"), add("gone"), add("waiting", confirmed=False), add("bounced")
    leave(session, gone.unsubscribe_id, channel=LeavingChannel.page, by=READER, now=now)
    suppress("bounced")
    add("elsewhere", publication=2)
    assert judged(session, candidates(1, now=NOW)) == {
        fine.id: None,
        gone.id: "unsubscribed",
        waiting.id: "pending",
        bounced.id: "suppressed",
    }


def test_a_candidate_carries_what_a_request_needs(session, add):
    view = add("fine")
    (row,) = session.execute(candidates(1, now=NOW)).mappings()
    assert dict(row) == {
        "subscription_id": view.id,
        "subscriber_id": view.subscriber_id,
        "plan_id": view.plan_id,
        "email": "fine@example.com",
        "domain": "example.com",
        "name": "fine",
        "locale": "",
        "unsubscribe_id": view.unsubscribe_id,
        "exclusion": None,
    }


def test_of_several_reasons_the_readers_own_comes_first(session, add, suppress, now):
    view = add("gone")
    suppress("gone")
    leave(session, view.unsubscribe_id, channel=LeavingChannel.page, by=READER, now=now)
    assert judged(session, candidates(1, now=NOW)) == {view.id: "unsubscribed"}


def test_many_suppressions_of_one_address_make_no_second_row(session, add, suppress):
    view = add("bounced")
    suppress("bounced")
    suppress("bounced", 1)
    assert len(session.execute(candidates(1, now=NOW)).all()) == 1
    assert judged(session, candidates(1, now=NOW)) == {view.id: "suppressed"}


def test_a_suppression_of_another_publication_or_a_lifted_one_excludes_nobody(session, add, suppress, hasher, now):
    view = add("fine")
    suppress("fine", 2)
    suppress("fine")
    order = SuppressionOrder("fine@example.com", SuppressionReason.hard_bounce)
    suppression.lift(session, order, hasher=hasher, by=COMMAND_LINE, now=now)
    assert judged(session, candidates(1, now=NOW)) == {view.id: None}


@pytest.mark.parametrize("email", [None, ""])
def test_a_row_that_cannot_be_addressed_is_not_mailed(session, add, email):
    view = add("broken")
    session.get(Subscriber, view.subscriber_id).email = email
    session.flush()
    assert judged(session, candidates(1, now=NOW)) == {view.id: "invalid_address"}


def test_a_row_whose_suppressions_cannot_be_looked_up_is_not_mailed(session, add):
    view = add("broken")
    session.delete(session.exec(select(AddressHash).where(AddressHash.subscriber_id == view.subscriber_id)).one())
    session.flush()
    assert judged(session, candidates(1, now=NOW)) == {view.id: "invalid_address"}


def test_the_erased_are_no_candidates_and_the_last_look_excludes_them(session, add, now):
    view = add("erased")
    session.get(Subscriber, view.subscriber_id).erased_at = now
    session.flush()
    assert judged(session, candidates(1, now=NOW)) == {}
    assert judged(session, may_mail([view.id], now=NOW)) == {view.id: "erased"}


def test_a_range_walks_every_candidate_once(session, add):
    views = [add(f"r{number}") for number in range(7)]
    ids = [view.id for view in views]
    first = judged(session, candidates(1, now=NOW, up_to=ids[2]))
    middle = judged(session, candidates(1, now=NOW, after=ids[2], up_to=ids[5]))
    last = judged(session, candidates(1, now=NOW, after=ids[5]))
    assert [*first, *middle, *last] == ids


def test_the_last_look_sees_what_changed_and_leaves_out_what_never_was(session, add, now):
    stays, leaves, moves = add("stays"), add("leaves"), add("moves")
    leave(session, leaves.unsubscribe_id, channel=LeavingChannel.one_click, by=READER, now=now)
    change_plan(session, moves.id, PlanChange("pro"), by=COMMAND_LINE, now=now)
    rows = {
        row.subscription_id: row for row in session.execute(may_mail([stays.id, leaves.id, moves.id, 999], now=NOW))
    }
    assert {key: row.exclusion for key, row in rows.items()} == {
        stays.id: None,
        leaves.id: "unsubscribed",
        moves.id: None,
    }
    assert rows[moves.id].plan_id != moves.plan_id


def test_the_last_look_takes_a_select_of_ids(session, add):
    view = add("fine")
    add("elsewhere", publication=2)
    chosen = select(Subscription.id).where(Subscription.publication_id == 1)
    assert judged(session, may_mail(chosen, now=NOW)) == {view.id: None}


PERSON = st.tuples(st.booleans(), st.booleans(), st.sampled_from(["", "everywhere", "here", "elsewhere", "lifted"]))


@settings(max_examples=40, deadline=None)
@given(people=st.lists(PERSON, max_size=8))
def test_freeze_and_last_look_judge_the_same(new_store, hasher, now, people):
    with new_store() as session:
        expected: dict[int, str | None] = {}
        for number, (confirmed, left, suppressed) in enumerate(people):
            address = f"r{number}@example.com"
            request = NewSubscription(1, address, confirmed=confirmed)
            view, _ = subscribe(session, request, hasher=hasher, by=COMMAND_LINE, now=now)
            if left:
                leave(session, view.unsubscribe_id, channel=LeavingChannel.page, by=READER, now=now)
            if suppressed:
                scope = {"here": 1, "elsewhere": 2}.get(suppressed)
                order = SuppressionOrder(address, SuppressionReason.operator, scope)
                suppression.add(session, order, hasher=hasher, by=COMMAND_LINE, now=now)
                if suppressed == "lifted":
                    suppression.lift(session, order, hasher=hasher, by=COMMAND_LINE, now=now)
            holds = suppressed in {"everywhere", "here"}
            expected[view.id] = (
                "unsubscribed" if left else "pending" if not confirmed else "suppressed" if holds else None
            )
        assert judged(session, candidates(1, now=NOW)) == judged(session, may_mail(list(expected), now=NOW)) == expected
