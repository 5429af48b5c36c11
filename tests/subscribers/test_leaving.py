"""Leaving: once, by its own id alone, whatever else is tried."""

import threading
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import Session, SQLModel, create_engine, select

from subscribers.actors import COMMAND_LINE, READER
from subscribers.consent import consent_of
from subscribers.consent_models import ConsentEvent, ConsentKind
from subscribers.errors import UnknownSubscriber
from subscribers.leaving import LeavingChannel, leave, leave_by_address
from subscribers.models import SubscriptionState
from subscribers.plans import NewPlan, add_plan
from subscribers.roster import find_subscription, list_subscriptions
from subscribers.subscriptions import NewSubscription, subscribe
from tests.people import TABLES


@pytest.fixture
def both(session, hasher, now):
    """Anna's subscriptions to both publications."""
    return [
        subscribe(session, NewSubscription(number, "anna@example.com"), hasher=hasher, by=COMMAND_LINE, now=now)[0]
        for number in (1, 2)
    ]


def test_one_click_ends_its_own_subscription_and_no_other(session, both, now):
    first, second = both
    later = now + timedelta(days=400)
    departure = leave(session, first.unsubscribe_id, channel=LeavingChannel.one_click, by=READER, now=later)
    assert departure is not None
    assert (departure.is_new, departure.left_at, departure.publication_id) == (True, later, 1)
    assert departure.masked_address == "a***@e**.com"
    assert find_subscription(session, first.id).state is SubscriptionState.left
    assert find_subscription(session, second.id) == second
    event = consent_of(session, first.id)[-1]
    assert (event.kind, event.source, event.by, event.at) == (ConsentKind.left, "one_click", "reader", later)
    assert event.detail == {"from": "confirmed"}


def test_leaving_twice_is_fine_and_tells_when_it_ended(session, both, now):
    first, _ = both
    leave(session, first.unsubscribe_id, channel=LeavingChannel.one_click, by=READER, now=now)
    again = leave(session, first.unsubscribe_id, channel=LeavingChannel.page, by=READER, now=now + timedelta(days=1))
    assert again is not None
    assert (again.is_new, again.left_at) == (False, now)
    assert [event.kind for event in consent_of(session, first.id)] == ["added", "left"]


def test_a_pending_subscription_can_be_left(session, hasher, now):
    pending, _ = subscribe(
        session, NewSubscription(1, "ben@example.com", confirmed=False), hasher=hasher, by=COMMAND_LINE, now=now
    )
    departure = leave(session, pending.unsubscribe_id, channel=LeavingChannel.page, by=READER, now=now)
    assert departure is not None
    assert departure.is_new


@pytest.mark.parametrize("text", ["", "x", "x" * 22, "é" * 22, "\x00" * 22, "' OR 1=1 --          ", "a" * 22 + "\n"])
def test_an_unknown_id_does_nothing(session, both, now, text):
    assert leave(session, text, channel=LeavingChannel.one_click, by=READER, now=now) is None
    assert [find_subscription(session, view.id) for view in both] == both


@settings(max_examples=40, deadline=None)
@given(place=st.integers(0, 21), other=st.characters(codec="utf-8"))
def test_an_id_with_any_character_changed_does_nothing(new_store, hasher, now, place, other):
    with new_store() as session:
        view, _ = subscribe(session, NewSubscription(1, "anna@example.com"), hasher=hasher, by=COMMAND_LINE, now=now)
        forged = view.unsubscribe_id[:place] + other + view.unsubscribe_id[place + 1 :]
        departure = leave(session, forged, channel=LeavingChannel.one_click, by=READER, now=now)
        assert (departure is not None) == (forged == view.unsubscribe_id)
        assert (find_subscription(session, view.id) == view) == (forged != view.unsubscribe_id)


def test_the_case_of_an_id_matters(session, both, now):
    swapped = both[0].unsubscribe_id.swapcase()
    assert leave(session, swapped, channel=LeavingChannel.one_click, by=READER, now=now) is None


def test_an_operator_ends_a_subscription_by_address(session, both, now):
    departure = leave_by_address(session, 2, "ANNA@example.com", by=COMMAND_LINE, now=now)
    assert (departure.is_new, departure.subscription_id) == (True, both[1].id)
    assert consent_of(session, both[1].id)[-1].source == "operator"
    assert find_subscription(session, both[0].id) == both[0]
    with pytest.raises(UnknownSubscriber, match="nobody"):
        leave_by_address(session, 1, "ben@example.com", by=COMMAND_LINE, now=now)


def test_many_leaving_at_once_by_one_id_is_recorded_once(tmp_path, hasher, now):
    engine = create_engine(f"sqlite:///{tmp_path / 'people.db'}")
    SQLModel.metadata.create_all(engine, list(TABLES))
    with Session(engine) as session, session.begin():
        add_plan(session, NewPlan(1, "free"))
        view, _ = subscribe(session, NewSubscription(1, "anna@example.com"), hasher=hasher, by=COMMAND_LINE, now=now)
    together = threading.Barrier(6)
    firsts: list[bool] = []

    def click() -> None:
        together.wait()
        with Session(engine) as session, session.begin():
            departure = leave(session, view.unsubscribe_id, channel=LeavingChannel.one_click, by=READER, now=now)
            assert departure is not None
            firsts.append(departure.is_new)

    threads = [threading.Thread(target=click) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Session(engine) as session:
        assert len(session.exec(select(ConsentEvent).where(ConsentEvent.kind == ConsentKind.left)).all()) == 1
        assert [found.state for found in list_subscriptions(session, 1)] == ["left"]
    engine.dispose()
    assert sorted(firsts) == [False] * 5 + [True]
