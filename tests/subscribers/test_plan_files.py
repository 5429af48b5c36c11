"""Files that give plans: an account of each row, the same once more changes nothing, and nobody is added by one."""

from contextlib import closing
from datetime import date

import pytest

from subscribers.actors import COMMAND_LINE, READER
from subscribers.consent import consent_of
from subscribers.csv_rows import Row
from subscribers.leaving import leave_by_address
from subscribers.plan_files import PlanFile, give_plans, rehearse_plans
from subscribers.roster import find_by_address, list_subscriptions
from subscribers.seen_lines import SeenLines
from subscribers.subscriptions import NewSubscription, subscribe


FILE = PlanFile(1, date(2026, 11, 23), "file paid.csv")


@pytest.fixture
def readers(session, hasher, now):
    for name in ("anna", "ben", "cora"):
        request = NewSubscription(1, f"{name}@example.com")
        subscribe(session, request, hasher=hasher, by=COMMAND_LINE, now=now)


@pytest.fixture
def bring(session, now):
    """Judge chunks without writing, then give their plans; the two must agree."""

    def bring(*chunks: list[Row]) -> list[str]:
        with closing(SeenLines()) as seen:
            foretold = [account for rows in chunks for account in rehearse_plans(session, rows, FILE, seen)]
        with closing(SeenLines()) as seen:
            told = [
                account
                for rows in chunks
                for account in give_plans(session, rows, FILE, seen, by=COMMAND_LINE, now=now)
            ]
        assert foretold == told
        session.expire_all()
        return [account.outcome.value for account in told]

    return bring


def plan_of(session, name: str) -> tuple[str, str]:
    view = find_by_address(session, 1, f"{name}@example.com")
    return view.plan, str(view.plan_until or "")


def test_each_row_has_its_account_and_its_effect(session, readers, bring):
    outcomes = bring(
        [
            Row(2, "Anna@Example.com", plan="PRO", plan_until="2027-01-31"),
            Row(3, "ben@example.com", plan="free"),
            Row(4, "cora@example.com", plan="gold"),
            Row(5, "cora@example.com"),
            Row(6, "cora@example.com", plan="pro", plan_until="31.1.2027"),
            Row(7, "cora@example.com", plan="pro", plan_until="2026-11-22"),
            Row(8, "nobody@example.com", plan="pro"),
            Row(9, "no address", plan="pro"),
            Row(10, "cora@example.com", plan="pro", problem="the row has 4 cells and the header 3"),
        ]
    )
    refused = ["unknown_plan", "unknown_plan", "invalid", "invalid", "not_a_reader", "invalid", "invalid"]
    assert outcomes == ["changed", "unchanged", *refused]
    assert [plan_of(session, name) for name in ("anna", "ben", "cora")] == [
        ("pro", "2027-01-31"),
        ("free", ""),
        ("free", ""),
    ]
    assert len(list_subscriptions(session, 1)) == 3
    event = consent_of(session, find_by_address(session, 1, "anna@example.com").id)[-1]
    assert (event.kind, event.source, event.by) == ("plan_changed", "file paid.csv", str(COMMAND_LINE))
    assert event.detail == {"from": "free", "to": "pro", "until": "2027-01-31"}


def test_the_last_day_may_be_today(session, readers, bring):
    assert bring([Row(2, "anna@example.com", plan="pro", plan_until="2026-11-23")]) == ["changed"]


def test_the_same_file_once_more_changes_nothing_and_writes_nothing(session, readers, bring):
    rows = [Row(2, "anna@example.com", plan="pro", plan_until="2027-01-31"), Row(3, "ben@example.com", plan="pro")]
    assert bring(rows) == ["changed", "changed"]
    assert bring(rows) == ["unchanged", "unchanged"]
    assert len(consent_of(session, find_by_address(session, 1, "anna@example.com").id)) == 2


def test_of_two_rows_about_one_reader_the_first_counts_also_across_chunks(session, readers, bring):
    pro, free = Row(2, "anna@example.com", plan="pro"), Row(3, "ANNA@example.com", plan="free")
    assert bring([pro, free]) == ["changed", "duplicate_in_file"]
    assert bring([Row(2, "ben@example.com", plan="pro")], [Row(1002, "ben@EXAMPLE.com", plan="free")]) == [
        "changed",
        "duplicate_in_file",
    ]
    assert [plan_of(session, name)[0] for name in ("anna", "ben")] == ["pro", "pro"]


def test_who_left_stays_out_with_the_new_plan(session, readers, bring, now):
    leave_by_address(session, 1, "anna@example.com", by=READER, now=now)
    assert bring([Row(2, "anna@example.com", plan="pro")]) == ["changed"]
    view = find_by_address(session, 1, "anna@example.com")
    assert (view.state, view.plan) == ("left", "pro")
