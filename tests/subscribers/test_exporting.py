"""Exports: what is written is read back with nothing changed, by us and without harm by a spreadsheet."""

import csv
from io import BytesIO, StringIO

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import col

from subscribers import suppression
from subscribers.actors import COMMAND_LINE, READER
from subscribers.csv_rows import Row, read_rows
from subscribers.dialects import There
from subscribers.exporting import COLUMNS, PAGE, export_rows
from subscribers.forgetting import forget
from subscribers.importing import import_rows
from subscribers.judging import ImportTerms
from subscribers.leaving import LeavingChannel, leave
from subscribers.models import Subscriber, Subscription, SuppressionReason
from subscribers.roster import find_by_address, list_subscriptions
from subscribers.subscriptions import NewSubscription, subscribe
from subscribers.suppression import SuppressionOrder


TERMS = ImportTerms(1, "readers.csv", "moved from the old server", locale="zh-CN")
NAMES = st.text(max_size=20) | st.text(st.sampled_from("=+-@';, \"1A＝王"), max_size=8)
UNTIL = st.just("") | st.dates().map(str)
STATES = st.sampled_from([There.reader, There.pending])


def written(session, **terms) -> bytes:
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(export_rows(session, 1, **terms))
    return text.getvalue().encode("utf-8-sig")


def roster(session) -> list[tuple[str, ...]]:
    return [
        (view.email, view.name, view.plan, str(view.plan_until), view.state, view.locale)
        for view in list_subscriptions(session, 1)
    ]


@settings(max_examples=60, deadline=None)
@given(people=st.lists(st.tuples(NAMES, st.sampled_from(["", "free", "pro"]), STATES, UNTIL), max_size=6))
def test_what_was_exported_is_imported_with_nothing_changed(new_store, hasher, now, people):
    starts = ("", "+", "-", "=", "'=", "a")
    rows = [
        Row(
            2 + number,
            f"{start}{number}@example.com",
            name,
            plan,
            there=there,
            plan_until=until if plan == "pro" else "",
        )
        for number, (start, (name, plan, there, until)) in enumerate(zip(starts, people, strict=False))
    ]
    with new_store() as session:
        import_rows(session, rows, TERMS, hasher=hasher, by=COMMAND_LINE, now=now)
        before, file = roster(session), written(session)
        again = import_rows(session, list(read_rows(BytesIO(file))), TERMS, hasher=hasher, by=COMMAND_LINE, now=now)
        assert roster(session) == before
        assert "added" not in {account.outcome for account in again}
    with new_store() as session:
        import_rows(session, list(read_rows(BytesIO(file))), TERMS, hasher=hasher, by=COMMAND_LINE, now=now)
        assert roster(session) == before
        assert written(session) == file


def test_who_left_stands_in_the_file_and_does_not_come_back_by_it(session, new_store, hasher, now):
    view, _ = subscribe(session, NewSubscription(1, "anna@example.com"), hasher=hasher, by=COMMAND_LINE, now=now)
    leave(session, view.unsubscribe_id, channel=LeavingChannel.page, by=READER, now=now)
    (row,) = read_rows(BytesIO(written(session)))
    assert row.there is There.unsubscribed
    with new_store() as other:
        (account,) = import_rows(other, [row], TERMS, hasher=hasher, by=COMMAND_LINE, now=now)
        assert account.outcome == "not_a_reader"
        assert "suppressions import" in account.detail


def test_the_erased_are_not_in_the_file_and_pages_do_not_lose_anybody(session, hasher, now):
    rows = [Row(line, f"r{line}@example.com") for line in range(2, PAGE + 5)]
    import_rows(session, rows, TERMS, hasher=hasher, by=COMMAND_LINE, now=now)
    gone = find_by_address(session, 1, "r7@example.com")
    forget(session, [gone.subscriber_id], now=now)
    session.expire_all()
    assert session.get_one(Subscriber, gone.subscriber_id).email is None
    exported = [row.email for row in read_rows(BytesIO(written(session)))]
    assert sorted(exported) == sorted(row.email for row in rows if row.email != "r7@example.com")


def test_only_whom_the_conditions_name_is_exported(session, hasher, now):
    for name, confirmed in (("a", True), ("b", False)):
        request = NewSubscription(1, f"{name}@example.com", confirmed=confirmed)
        subscribe(session, request, hasher=hasher, by=COMMAND_LINE, now=now)
    (row,) = read_rows(BytesIO(written(session, where=col(Subscription.state) == "pending")))
    assert (row.email, row.there) == ("b@example.com", There.pending)


def test_who_must_not_be_mailed_stands_in_the_file_as_that(session, new_store, hasher, now):
    subscribe(session, NewSubscription(1, "anna@example.com"), hasher=hasher, by=COMMAND_LINE, now=now)
    order = SuppressionOrder("anna@example.com", SuppressionReason.hard_bounce)
    suppression.add(session, order, hasher=hasher, by=COMMAND_LINE, now=now)
    (row,) = read_rows(BytesIO(written(session)))
    assert row.there is There.blocked
    with new_store() as other:
        (account,) = import_rows(other, [row], TERMS, hasher=hasher, by=COMMAND_LINE, now=now)
        assert account.outcome == "not_a_reader"
