"""Lists of addresses that must not be mailed: as often as wanted, only adding, and what was decided here stands."""

from contextlib import closing
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import Session, select

from subscribers import suppression
from subscribers.actors import COMMAND_LINE, READER
from subscribers.addresses import parse_address
from subscribers.csv_rows import Manner, Row, read_rows
from subscribers.dialects import There
from subscribers.importing import import_rows, in_chunks
from subscribers.judging import ImportTerms
from subscribers.models import Suppression, SuppressionReason
from subscribers.opt_in import Click, FormProof, SignUp, confirm, sign_up
from subscribers.seen_lines import SeenLines
from subscribers.subscriptions import NewSubscription, subscribe
from subscribers.suppression import SuppressionOrder, reasons_against
from subscribers.suppression_lists import ListTerms, rehearse_suppressions, suppress_rows


PLAIN = ListTerms(1, "file list.csv")
EXPORT = ListTerms(1, "file export.csv", is_export=True)


def rows_of(*addresses: str, there: There = There.reader) -> list[Row]:
    return [Row(line, address, there=there) for line, address in enumerate(addresses, start=2)]


def opt_in(session: Session, hasher, now) -> None:
    """Sign up and confirm by one's own hand."""
    request = SignUp(1, parse_address("a@example.com"), FormProof("https://news.example.com/"))
    asked = sign_up(session, request, hasher=hasher, by=READER, now=now)
    assert asked.opt_in_id is not None
    confirm(session, Click(asked.opt_in_id), hasher=hasher, by=READER, now=now)


@pytest.fixture
def bring(session, hasher, now):
    def bring(rows, terms=PLAIN):
        accounts = suppress_rows(session, rows, terms, hasher=hasher, by=COMMAND_LINE, now=now)
        return [account.outcome.value for account in accounts]

    return bring


@pytest.fixture
def reasons(session, hasher):
    return lambda publication, address: list(reasons_against(session, publication, address, hasher=hasher))


def test_a_plain_list_counts_as_imported_and_holds_everywhere(bring, reasons):
    assert bring(rows_of("a@example.com", "A@example.com", "bad")) == ["suppressed", "already", "invalid"]
    assert reasons(1, "a@example.com") == reasons(2, "a@example.com") == [SuppressionReason.imported]


@pytest.mark.parametrize(
    ("there", "here", "elsewhere"),
    [
        (There.unsubscribed, ["unsubscribed"], []),
        (There.bounced, ["hard_bounce"], ["hard_bounce"]),
        (There.complained, ["complaint"], ["complaint"]),
        (There.blocked, ["imported"], ["imported"]),
        (There.invalid, ["invalid"], ["invalid"]),
        (There.refused, [], []),
        (There.reader, [], []),
        (There.pending, [], []),
        (There.lapsed, [], []),
        (There.never_asked, [], []),
    ],
)
def test_each_row_of_an_export_says_itself_what_it_is(bring, reasons, there, here, elsewhere):
    outcome = bring(rows_of("a@example.com", there=there), EXPORT)
    assert outcome == ["suppressed" if here else "not_suppressed"]
    assert (reasons(1, "a@example.com"), reasons(2, "a@example.com")) == (here, elsewhere)


def test_the_operators_reason_goes_before_what_the_file_says(bring, reasons):
    terms = ListTerms(1, "file unsubscribed.csv", SuppressionReason.unsubscribed, is_export=True)
    assert bring(rows_of("a@example.com"), terms) == ["suppressed"]
    assert (reasons(1, "a@example.com"), reasons(2, "a@example.com")) == (["unsubscribed"], [])


def test_who_unsubscribed_may_be_kept_from_every_publication(bring, reasons):
    bring(rows_of("a@example.com", there=There.unsubscribed), ListTerms(1, "f", is_export=True, everywhere=True))
    assert reasons(2, "a@example.com") == ["unsubscribed"]


def test_a_list_that_grew_is_imported_again_until_the_day_of_moving(session, bring):
    first = rows_of("a@example.com", "b@example.com", there=There.unsubscribed)
    grown = rows_of("a@example.com", "b@example.com", "c@example.com", there=There.unsubscribed)
    assert bring(first, EXPORT) == ["suppressed"] * 2
    assert bring(grown, EXPORT) == ["already", "already", "suppressed"]
    assert bring(first, EXPORT) == ["already"] * 2
    assert len(session.exec(select(Suppression)).all()) == 3


def test_a_reader_who_was_imported_before_is_not_mailed_any_more(session, bring, reasons, hasher, now):
    terms = ImportTerms(1, "readers.csv", "signed up there")
    import_rows(session, rows_of("a@example.com"), terms, hasher=hasher, by=COMMAND_LINE, now=now)
    assert bring(rows_of("a@example.com", there=There.unsubscribed), EXPORT) == ["suppressed"]
    assert reasons(1, "a@example.com") == ["unsubscribed"]


def test_what_was_lifted_here_stays_lifted(bring, reasons, session, hasher, now):
    rows = rows_of("a@example.com", there=There.bounced)
    bring(rows, EXPORT)
    order = SuppressionOrder("a@example.com", SuppressionReason.hard_bounce)
    assert suppression.lift(session, order, hasher=hasher, by=COMMAND_LINE, now=now)
    assert bring(rows, EXPORT) == ["lifted_before"]
    assert reasons(1, "a@example.com") == []


def test_nothing_that_stands_here_is_lifted_by_a_list(bring, reasons, session, hasher, now):
    order = SuppressionOrder("a@example.com", SuppressionReason.complaint)
    suppression.add(session, order, hasher=hasher, by=COMMAND_LINE, now=now)
    assert bring(rows_of("a@example.com", there=There.reader), EXPORT) == ["not_suppressed"]
    assert reasons(1, "a@example.com") == ["complaint"]


@pytest.mark.parametrize(("by_own_hand", "outcome"), [(True, "confirmed_here"), (False, "suppressed")])
def test_who_signed_up_here_is_not_unsubscribed_by_a_list_but_who_was_only_brought_is(
    session, bring, hasher, now, by_own_hand, outcome
):
    if by_own_hand:
        opt_in(session, hasher, now)
    else:
        subscribe(session, NewSubscription(1, "a@example.com"), hasher=hasher, by=COMMAND_LINE, now=now)
    assert bring(rows_of("a@example.com", there=There.unsubscribed), EXPORT) == [outcome]


def test_a_complaint_counts_also_against_who_signed_up_here(session, bring, hasher, now):
    opt_in(session, hasher, now)
    assert bring(rows_of("a@example.com", there=There.complained), EXPORT) == ["suppressed"]


def test_no_row_of_the_store_holds_an_address(session, bring):
    bring(rows_of("anna@example.com"))
    assert "anna" not in str(session.exec(select(Suppression)).one().model_dump())


def test_sendgrids_list_of_one_column_more_is_read(bring, reasons):
    text = b'status,reason,email,created\n5.1.1,"550, no such user",a@example.com,1756684800\n'
    assert bring(list(read_rows(BytesIO(text), Manner("suppression_bounces.csv"))), EXPORT) == ["suppressed"]
    assert reasons(2, "a@example.com") == ["hard_bounce"]


ROWS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "A", "c"]), st.sampled_from(list(There))).map(
        lambda one: Row(2, f"{one[0]}@example.com", there=one[1])
    ),
    max_size=10,
)


def _held(session: Session) -> list[tuple[str, str, int | None]]:
    return sorted((one.address_hash, one.reason, one.publication_id) for one in session.exec(select(Suppression)))


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, size=st.integers(1, 5), done=st.integers(0, 10))
def test_chunks_interruptions_and_a_rehearsal_make_no_difference(new_store, hasher, now, rows, size, done):
    def bring(session, some, chunk):
        return [
            account
            for part in in_chunks(some, chunk)
            for account in suppress_rows(session, part, EXPORT, hasher=hasher, by=COMMAND_LINE, now=now)
        ]

    with new_store() as session:
        with closing(SeenLines()) as seen:
            rehearsed = [
                account
                for part in in_chunks(rows, size)
                for account in rehearse_suppressions(session, part, EXPORT, seen, hasher=hasher)
            ]
        assert _held(session) == []
        assert bring(session, rows, size) == rehearsed
        whole = _held(session)
    with new_store() as session:
        bring(session, rows[:done], 10)
        bring(session, rows, size)
        assert _held(session) == whole
