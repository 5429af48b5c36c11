"""The outbox: what is ordered waits, no mailbox gets more than its limit, and what is over goes away."""

import threading
from datetime import timedelta

import pytest
from sqlmodel import func, select

from newsletter.notices.dispatch import tidy
from newsletter.outbox import BY_STRANGERS, LIMITS, Notice, NoticeKind, NoticeState, cancel, enqueue, list_notices


DAY = 86400.0


def ask(office, kind=NoticeKind.confirm, bucket="one mailbox"):
    """Order a notice and give its id, or nothing."""
    order = office.order(kind, bucket=bucket)
    with office.world.database.writing() as session:
        return enqueue(session, order, now=office.world.clock())


def test_a_transaction_that_is_undone_sends_nothing(office):
    order = office.order(NoticeKind.welcome)
    with office.world.database.writing() as session:
        enqueue(session, order, now=office.world.clock())
        session.rollback()
    assert office.send() == 0
    assert office.provider.accepted == []


def test_a_mailbox_gets_three_a_day_of_what_strangers_can_cause(office):
    kinds = sorted(BY_STRANGERS)
    given = [ask(office, kind) for kind in kinds]
    assert [one is not None for one in given] == [True, True, True, False, False]
    assert ask(office, bucket="another mailbox") is not None
    office.world.clock.forward(DAY - 1)
    assert ask(office) is None
    office.world.clock.forward(1)
    assert ask(office) is not None


def test_a_mailbox_gets_ten_in_thirty_days(office):
    given = []
    for _ in range(8):
        given += [ask(office), ask(office)]
        office.world.clock.forward(DAY + 1)
    assert [one is not None for one in given] == [True] * 10 + [False] * 6
    office.world.clock.forward(30 * DAY)
    assert ask(office) is not None


def test_what_no_stranger_can_cause_has_no_limit_and_uses_none_up(office):
    for _ in range(20):
        assert ask(office, NoticeKind.welcome) is not None
    assert ask(office) is not None


def test_what_certainly_reached_nobody_uses_no_limit_up(office):
    for _ in range(3):
        assert ask(office) is not None
    with office.world.database.writing() as session:
        assert cancel(session, [office.reader_id], reason="left", now=office.world.clock()) == 3
    assert ask(office) is not None


def test_many_requests_at_once_do_not_exceed_the_limit(office):
    """Two threads of the web, or two machines: each counts before the other has committed."""
    order = office.order(NoticeKind.confirm, bucket="one mailbox")
    together, given = threading.Barrier(8), []

    def request():
        together.wait()
        with office.world.database.writing() as session:
            given.append(enqueue(session, order, now=office.world.clock()))

    threads = [threading.Thread(target=request) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([one for one in given if one is not None]) == LIMITS[0][1]
    with office.world.database.reading() as session:
        assert session.exec(select(func.count()).select_from(Notice)).one() == LIMITS[0][1]


@pytest.mark.parametrize(
    ("kind", "changes", "says"),
    [
        (NoticeKind.confirm, {"detail": {"plan": "x"}}, "frequency"),
        (NoticeKind.confirm, {"opt_in_id": None}, "request"),
        (NoticeKind.sign_in, {"bucket": ""}, "bucket"),
        (NoticeKind.plan_changed, {"detail": {"before": "a", "plan": "to somebody@example.com"}}, "holds an address"),
    ],
)
def test_an_order_that_could_not_be_sent_is_refused_at_once(small_office, kind, changes, says):
    order = small_office.order(kind, **changes)
    with pytest.raises(ValueError, match=says), small_office.world.database.writing() as session:
        enqueue(session, order, now=small_office.world.clock())


def test_cancelling_drops_what_waits_and_leaves_the_rest(office):
    sent = office.put(NoticeKind.welcome)
    office.send()
    waiting = office.put(NoticeKind.plan_changed)
    with office.world.database.writing() as session:
        cancel(session, [office.reader_id], reason="the reader left", now=office.world.clock())
    assert office.send() == 0
    dropped = office.notice(waiting)
    assert (dropped.state, dropped.reason) == (NoticeState.dropped, "the reader left")
    assert office.notice(sent).state is NoticeState.accepted


def test_what_ended_is_deleted_after_ninety_days_and_what_waits_is_not(office):
    office.put(NoticeKind.welcome)
    office.send()
    waiting = office.put(NoticeKind.welcome)
    for days, left in ((89, 2), (2, 1)):
        office.world.clock.forward(days * DAY)
        tidy(office.world.database, live=False, now=office.world.clock())
        with office.world.database.reading() as session:
            assert len(found := list_notices(session, limit=10)) == left
    assert found[0].id == waiting


def test_what_was_meant_for_the_other_side_of_not_live_is_never_sent(office):
    """Whoever turns NEWSLETTER_LIVE on must not mail what a trial had ordered."""
    rehearsed = office.put(NoticeKind.welcome, live=False)
    office.world.live = True
    assert office.send() == 0
    tidy(office.world.database, live=True, now=office.world.clock())
    assert office.notice(rehearsed).state is NoticeState.dropped
    assert office.provider.accepted == []


def test_the_limits_are_read_from_the_shortest_to_the_longest():
    assert [period for period, _ in LIMITS] == sorted(period for period, _ in LIMITS)
    assert max(period for period, _ in LIMITS) < timedelta(days=90)
