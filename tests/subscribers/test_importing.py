"""Imports: an account of each row, and what people decided stands, whatever is imported how often and in what order."""

from collections import Counter
from contextlib import closing
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import Session, select

from subscribers import suppression
from subscribers.actors import COMMAND_LINE, READER
from subscribers.consent import consent_of
from subscribers.consent_models import ConsentEvent, ConsentKind
from subscribers.csv_rows import Row
from subscribers.errors import MissingConsent, UnknownPlan
from subscribers.forgetting import forget
from subscribers.importing import CHUNK, import_rows, in_chunks, rehearse_rows
from subscribers.judging import ImportTerms, RowAccount, RowOutcome
from subscribers.leaving import LeavingChannel, leave
from subscribers.models import Subscriber, Subscription, SubscriptionState, SuppressionReason
from subscribers.roster import find_by_address, list_subscriptions
from subscribers.seen_lines import SeenLines
from subscribers.subscriptions import NewSubscription, subscribe
from subscribers.suppression import SuppressionOrder


TERMS = ImportTerms(1, "readers.csv", "double opt-in on the old site", run="first")
AGAIN = ImportTerms(1, "readers.csv", "double opt-in on the old site", run="second")


def rows_of(*addresses: str, name: str = "") -> list[Row]:
    return [Row(line, address, name) for line, address in enumerate(addresses, start=2)]


def outcomes(accounts: list[RowAccount]) -> list[str]:
    return [account.outcome.value for account in accounts]


@pytest.fixture
def bring(session, hasher, now):
    def _bring(rows, terms=TERMS, size=CHUNK):
        return [
            account
            for chunk in in_chunks(rows, size)
            for account in import_rows(session, chunk, terms, hasher=hasher, by=COMMAND_LINE, now=now)
        ]

    return _bring


def test_rows_become_confirmed_subscriptions_with_proof(session, bring, now):
    rows = [Row(2, "Anna＠example.com", " Anna\nMaria ", "PRO"), Row(3, "ben@example.org", plan="免费版")]
    assert outcomes(bring(rows)) == ["added", "added"]
    anna = find_by_address(session, 1, "anna@example.com")
    assert (anna.email, anna.name, anna.plan, anna.state) == ("Anna@example.com", "Anna Maria", "pro", "confirmed")
    assert anna.confirmed_at == now
    assert find_by_address(session, 1, "ben@example.org").plan == "free"
    (event,) = consent_of(session, anna.id)
    assert (event.kind, event.source, event.by) == (ConsentKind.imported, "import first", "operator:command-line")
    assert event.detail == {"basis": "double opt-in on the old site", "file": "readers.csv", "row": "2"}


def test_each_row_has_its_account_in_the_files_order(session, bring, hasher, now):
    for name in ("left", "bounced", "known"):
        view, _ = subscribe(session, NewSubscription(1, f"{name}@example.com"), hasher=hasher, by=COMMAND_LINE, now=now)
        if name == "left":
            leave(session, view.unsubscribe_id, channel=LeavingChannel.page, by=READER, now=now)
    order = SuppressionOrder("bounced@example.com", SuppressionReason.hard_bounce)
    suppression.add(session, order, hasher=hasher, by=COMMAND_LINE, now=now)
    rows = [
        Row(2, "new@example.com"),
        Row(3, "NEW@example.com"),
        Row(4, "left@example.com"),
        Row(5, "bounced@example.com"),
        Row(6, "known@example.com", plan="pro"),
        Row(7, "nonsense"),
        Row(8, ""),
        Row(9, "postmaster@example.com"),
        Row(10, "gold@example.com", plan="gold"),
        Row(12, "long@example.com", problem="the row has 4 cells"),
    ]
    accounts = bring(rows)
    assert [(account.line, account.outcome.value) for account in accounts] == [
        (2, "added"),
        (3, "duplicate_in_file"),
        (4, "previously_left"),
        (5, "suppressed"),
        (6, "already"),
        (7, "invalid"),
        (8, "invalid"),
        (9, "role_address"),
        (10, "unknown_plan"),
        (12, "invalid"),
    ]
    said = {account.line: account.detail for account in accounts}
    assert "line 2" in said[3]
    assert "hard_bounce" in said[5]
    assert "free, pro" in said[10]
    assert said[12] == "the row has 4 cells"
    assert find_by_address(session, 1, "known@example.com").plan == "free"
    assert find_by_address(session, 1, "left@example.com").state == "left"


def test_a_duplicate_is_told_from_an_old_reader_across_chunks_and_runs(bring):
    rows = rows_of("a@example.com", "b@example.com", "A@example.com", "a@example.com")
    assert outcomes(bring(rows, size=1)) == ["added", "added", "duplicate_in_file", "duplicate_in_file"]
    assert outcomes(bring(rows, AGAIN, size=3)) == ["already"] * 4


def test_a_reader_of_another_publication_keeps_the_one_record(session, bring, hasher, now):
    other, _ = subscribe(
        session, NewSubscription(2, "anna@example.com", name="Anna"), hasher=hasher, by=COMMAND_LINE, now=now
    )
    assert outcomes(bring(rows_of("anna@example.com", name="Someone"))) == ["added"]
    view = find_by_address(session, 1, "anna@example.com")
    assert (view.subscriber_id, view.name) == (other.subscriber_id, "Anna")


def test_leaving_one_publication_does_not_bar_another(session, bring, hasher, now):
    other, _ = subscribe(session, NewSubscription(2, "anna@example.com"), hasher=hasher, by=COMMAND_LINE, now=now)
    leave(session, other.unsubscribe_id, channel=LeavingChannel.page, by=READER, now=now)
    assert outcomes(bring(rows_of("anna@example.com"))) == ["added"]


def test_an_import_may_leave_readers_pending(session, bring):
    bring(rows_of("anna@example.com"), ImportTerms(1, "f.csv", "asked by telephone", confirmed=False, locale="en"))
    view = find_by_address(session, 1, "anna@example.com")
    assert (view.state, view.confirmed_at, view.locale) == ("pending", None, "en")


@pytest.mark.parametrize("state", [SubscriptionState.pending, SubscriptionState.lapsed])
def test_an_import_confirms_nobody_who_was_asked_here_and_did_not_answer(session, bring, hasher, now, state):
    request = NewSubscription(1, "anna@example.com", confirmed=False)
    view, _ = subscribe(session, request, hasher=hasher, by=COMMAND_LINE, now=now)
    session.get_one(Subscription, view.id).state = state
    (account,) = bring(rows_of("anna@example.com"))
    assert account.outcome is RowOutcome.not_confirmed
    assert "only the reader" in account.detail
    assert find_by_address(session, 1, "anna@example.com").state is state
    (account,) = bring(rows_of("anna@example.com"), ImportTerms(1, "f.csv", "b", confirmed=False))
    assert account.outcome == ("already" if state is SubscriptionState.pending else "not_confirmed")
    assert len(consent_of(session, view.id)) == 1


def test_slips_and_throw_away_mailboxes_are_named_and_taken_as_they_are(session, bring):
    slip, throw_away, broken = bring(rows_of("a@outlok.com", "b@mailinator.com", "c@@gmial.com"))
    assert (slip.outcome, slip.suggestion, slip.note) == ("added", "a@outlook.com", "")
    assert (throw_away.outcome, throw_away.suggestion, bool(throw_away.note)) == ("added", "", True)
    assert broken.outcome is RowOutcome.invalid
    assert find_by_address(session, 1, "a@outlok.com").email == "a@outlok.com"


def test_a_plan_of_the_whole_file_serves_rows_that_name_none(session, bring):
    bring(rows_of("anna@example.com"), ImportTerms(1, "f.csv", "paid", plan="pro"))
    assert find_by_address(session, 1, "anna@example.com").plan == "pro"


def test_a_plan_comes_with_its_last_day_and_no_day_is_guessed(session, bring):
    rows = [
        Row(2, "anna@example.com", plan="pro", plan_until="2027-01-31"),
        Row(3, "ben@example.com", plan="pro", plan_until="31.1.2027"),
    ]
    accounts = bring(rows)
    assert outcomes(accounts) == ["added", "invalid"]
    assert "2027-01-31" in accounts[1].detail
    anna = find_by_address(session, 1, "anna@example.com")
    assert anna.plan_until == date(2027, 1, 31)
    assert consent_of(session, anna.id)[0].detail["until"] == "2027-01-31"


@pytest.mark.parametrize("basis", ["", " \n"])
def test_an_import_without_a_basis_of_consent_is_refused(basis):
    with pytest.raises(MissingConsent, match="consent"):
        ImportTerms(1, "f.csv", basis)


@pytest.mark.parametrize("terms", [ImportTerms(1, "f", "b", plan="gold"), ImportTerms(3, "f", "b")])
def test_a_plan_that_is_not_there_stops_the_import_before_its_first_row(session, bring, terms):
    with pytest.raises(UnknownPlan):
        bring(rows_of("anna@example.com"), terms)
    assert session.exec(select(Subscriber)).all() == []


def test_a_suppression_outlives_the_person_and_meets_the_address_again(session, bring, hasher, now):
    bring(rows_of("anna@example.com"))
    order = SuppressionOrder("anna@example.com", SuppressionReason.erased)
    suppression.add(session, order, hasher=hasher, by=COMMAND_LINE, now=now)
    forget(session, [session.exec(select(Subscriber.id)).one()], now=now)
    assert outcomes(bring(rows_of("ANNA@example.com"), AGAIN)) == ["suppressed"]
    assert len(session.exec(select(Subscriber)).all()) == 1


def test_no_consent_event_holds_an_address(session, bring):
    bring(rows_of("anna@example.com", name="Anna"))
    event = session.exec(select(ConsentEvent)).one()
    assert "anna" not in str(event.model_dump()).lower()


def test_chunks_are_cut_without_reading_ahead():
    taken: list[int] = []

    def endless():
        for line in range(10_000):
            taken.append(line)
            yield Row(line, "")

    chunks = in_chunks(endless(), 3)
    assert [len(next(chunks)), len(next(chunks)), len(taken)] == [3, 3, 6]


PEOPLE = [f"r{number}@example.com" for number in range(5)]
FILE = st.lists(st.sampled_from([*PEOPLE, *(p.upper() for p in PEOPLE), "bad", "abuse@example.com"]), max_size=12)


def _prepared(session: Session, hasher, now) -> None:
    """Readers who decided: r0 left, r1 is suppressed, r2 is pending."""
    for name, confirmed in (("r0", True), ("r2", False)):
        request = NewSubscription(1, f"{name}@example.com", confirmed=confirmed)
        view, _ = subscribe(session, request, hasher=hasher, by=COMMAND_LINE, now=now)
        if name == "r0":
            leave(session, view.unsubscribe_id, channel=LeavingChannel.page, by=READER, now=now)
    order = SuppressionOrder("r1@example.com", SuppressionReason.complaint)
    suppression.add(session, order, hasher=hasher, by=COMMAND_LINE, now=now)


def _roster(session: Session) -> set[tuple[str, str, str]]:
    return {(view.email.lower(), view.state, view.plan) for view in list_subscriptions(session, 1)}


@st.composite
def twice_shuffled(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    addresses = draw(FILE)
    return addresses, draw(st.permutations(addresses))


@settings(max_examples=40, deadline=None)
@given(files=twice_shuffled(), size=st.integers(1, 13))
def test_order_chunks_and_repetition_do_not_matter(new_store, hasher, now, files, size):
    ends: list[tuple[set[tuple[str, str, str]], Counter[RowOutcome]]] = []
    for addresses in files:
        with new_store() as session:
            _prepared(session, hasher, now)
            counted: Counter[RowOutcome] = Counter()
            for chunk in in_chunks(rows_of(*addresses), size):
                accounts = import_rows(session, chunk, TERMS, hasher=hasher, by=COMMAND_LINE, now=now)
                counted.update(account.outcome for account in accounts)
            first = _roster(session)
            again = import_rows(session, rows_of(*addresses), AGAIN, hasher=hasher, by=COMMAND_LINE, now=now)
            assert RowOutcome.added not in {account.outcome for account in again}
            assert _roster(session) == first
            assert counted.total() == len(addresses)
            ends.append((first, counted))
    assert ends[0] == ends[1]


@settings(max_examples=40, deadline=None)
@given(addresses=FILE, size=st.integers(1, 13))
def test_a_rehearsal_gives_the_account_of_the_import_and_writes_nothing(new_store, hasher, now, addresses, size):
    with new_store() as session:
        _prepared(session, hasher, now)
        before = _roster(session)
        with closing(SeenLines()) as seen:
            rehearsed = [
                account
                for chunk in in_chunks(rows_of(*addresses), size)
                for account in rehearse_rows(session, chunk, TERMS, seen, hasher=hasher)
            ]
        assert _roster(session) == before
        imported = [
            account
            for chunk in in_chunks(rows_of(*addresses), size)
            for account in import_rows(session, chunk, TERMS, hasher=hasher, by=COMMAND_LINE, now=now)
        ]
        assert rehearsed == imported


@settings(max_examples=40, deadline=None)
@given(addresses=FILE, done=st.integers(0, 12))
def test_an_import_begun_again_after_an_interruption_ends_the_same(new_store, hasher, now, addresses, done):
    with new_store() as session:
        import_rows(session, rows_of(*addresses)[:done], TERMS, hasher=hasher, by=COMMAND_LINE, now=now)
        import_rows(session, rows_of(*addresses), AGAIN, hasher=hasher, by=COMMAND_LINE, now=now)
        interrupted = _roster(session)
        events = len(session.exec(select(ConsentEvent)).all())
    with new_store() as session:
        import_rows(session, rows_of(*addresses), TERMS, hasher=hasher, by=COMMAND_LINE, now=now)
        assert _roster(session) == interrupted
        assert len(session.exec(select(ConsentEvent)).all()) == events == len(interrupted)


def test_a_whole_chunk_is_imported_at_once(session, bring):
    addresses = [f"reader{number}@example.com" for number in reversed(range(2 * CHUNK))]
    assert Counter(outcomes(bring(rows_of(*addresses)))) == {"added": 2 * CHUNK}
    assert len(list_subscriptions(session, 1)) == 2 * CHUNK


def test_no_address_gets_into_the_ledger_by_what_an_operator_says(session, bring):
    with pytest.raises(MissingConsent, match="holds an address"):
        ImportTerms(1, "list.csv", "as anna@example.com wrote")
    bring([Row(2, "ben@example.com")], ImportTerms(1, "from anna@example.com.csv", "signed up"))
    assert "anna" not in str(session.exec(select(ConsentEvent)).all())


def test_a_plan_whose_time_is_over_is_not_given_by_an_import(bring):
    terms = ImportTerms(1, "list.csv", "signed up", today=date(2026, 11, 23))
    rows = [
        Row(2, "a@example.com", plan="pro", plan_until="2026-11-22"),
        Row(3, "b@example.com", plan_until="2027-01-01"),
    ]
    assert [account.outcome for account in bring(rows, terms)] == ["invalid", "invalid"]
