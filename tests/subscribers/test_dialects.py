"""Dialects: exports of other services are known for what they are, and nobody who left there becomes a reader here."""

from io import BytesIO
from pathlib import Path

import pytest
from sqlmodel import select

from subscribers.actors import COMMAND_LINE
from subscribers.client_evidence import ClientEvidence
from subscribers.consent import consent_of
from subscribers.consent_models import ConsentEvidence
from subscribers.csv_rows import Manner, Row, examine, read_rows
from subscribers.dialects import There
from subscribers.importing import import_rows
from subscribers.judging import ImportTerms, RowOutcome
from subscribers.roster import find_by_address, list_subscriptions


EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "moving"
SUBSCRIBED = "subscribed_email_audience_export_example.csv"


def rows(text: str, file_name: str = "list.csv") -> list[Row]:
    return list(read_rows(BytesIO(text.encode()), Manner(file_name)))


def example(name: str, file_name: str = "") -> list[Row]:
    with (EXAMPLES / name).open("rb") as stream:
        return list(read_rows(stream, Manner(file_name or name)))


@pytest.fixture
def bring(session, hasher, now):
    def bring(rows, kept=ClientEvidence.full):
        terms = ImportTerms(1, "export.csv", "double opt-in there", kept=kept)
        return import_rows(session, rows, terms, hasher=hasher, by=COMMAND_LINE, now=now)

    return bring


@pytest.mark.parametrize("file_name", ["", "readers.csv"])
def test_mailchimps_subscribed_come_in_with_the_proof_that_the_file_holds(session, bring, file_name):
    accounts = bring(example(SUBSCRIBED, file_name))
    assert [account.outcome for account in accounts] == [RowOutcome.added] * 4
    lin = find_by_address(session, 1, "lin.yue@example.com")
    assert (lin.name, find_by_address(session, 1, "gao.ming@example.org").name) == ("Yue Lin", "高明")
    (event,) = consent_of(session, lin.id)
    assert event.detail["service"] == "Mailchimp"
    assert (event.detail["opted_in"], event.detail["confirmed"]) == ("2025-03-02 08:11:40", "2025-03-02 08:15:02")
    assert accounts[2].suggestion == "hu.lan@gmail.com"
    assert find_by_address(session, 1, "hu.lan@gmial.com").email == "hu.lan@gmial.com"


@pytest.mark.parametrize(
    ("kept", "ips"),
    [
        (ClientEvidence.full, ["203.0.113.7", "198.51.100.23", "198.51.100.80", "203.0.113.90"]),
        (ClientEvidence.truncated, ["203.0.113.0", "198.51.100.0", "198.51.100.0", "203.0.113.0"]),
        (ClientEvidence.off, []),
    ],
)
def test_an_ip_address_of_the_file_is_kept_as_those_of_our_own_pages(session, bring, kept, ips):
    bring(example(SUBSCRIBED), kept)
    assert sorted(session.exec(select(ConsentEvidence.ip))) == sorted(ips)


@pytest.mark.parametrize(
    ("name", "file_name", "said"),
    [
        ("unsubscribed_email_audience_export_example.csv", "", [There.unsubscribed, There.complained]),
        ("unsubscribed_email_audience_export_example.csv", "all.csv", [There.unsubscribed, There.complained]),
        ("cleaned_email_audience_export_example.csv", "", [There.bounced]),
        ("cleaned_email_audience_export_example.csv", "all.csv", [There.bounced]),
        (SUBSCRIBED, "unsubscribed_members_export_1.csv", [There.unsubscribed] * 4),
        (SUBSCRIBED, "nonsubscribed_email_audience_export_1.csv", [There.never_asked] * 4),
        ("listmonk-confirmed.csv", "", [There.reader, There.reader, There.blocked]),
        ("suppression_bounces.csv", "", [There.bounced]),
        ("suppression_bounces.csv", "suppression_blocks (1).csv", [There.refused]),
        ("suppression_bounces.csv", "suppression_spam_reports.csv", [There.complained]),
        ("suppression_bounces.csv", "suppression_invalid_emails.csv", [There.invalid]),
        ("suppression_bounces.csv", "renamed.csv", [There.blocked]),
    ],
)
def test_each_row_says_what_the_person_is_there(name, file_name, said):
    assert [row.there for row in example(name, file_name)] == said


@pytest.mark.parametrize(
    "header",
    ["UNSUB_TIME", "CLEAN_TIME", "LEID,EUID,UNSUB_TIME", "OPTIN_TIME,CONFIRM_TIME,CLEAN_TIME"],
)
def test_a_file_of_who_left_is_known_also_after_columns_were_thrown_away(header):
    (row,) = rows(f"Email Address,{header}\na@example.com{',1' * len(header.split(','))}\n")
    assert row.there in {There.unsubscribed, There.bounced}


def test_a_list_whose_every_column_but_the_address_is_gone_is_known_by_its_name():
    (row,) = rows("email\na@example.com\n", "cleaned_email_audience_export_0a1b2c.csv")
    assert row.there is There.bounced
    (row,) = rows("email,created\na@example.com,1756684800\n", "suppression_global_unsubscribes.csv")
    assert row.there is There.unsubscribed


def test_a_column_that_people_called_like_one_of_mailchimps_does_not_stand_in_the_way():
    (row,) = rows("Email Address,UNSUB_REASON,UNSUB_TIME,UNSUB_REASON\na@example.com,x,2025-01-01,ABUSE\n")
    assert row.there is There.complained


@pytest.mark.parametrize(
    "text",
    [
        "email,created\na@example.com,2025-01-01\n",
        "email,name,plan,tags\na@example.com,A,free,x\n",
    ],
)
def test_a_list_of_ones_own_is_a_list_of_readers(text):
    assert examine(BytesIO(text.encode())).service == ""
    assert [row.there for row in rows(text)] == [There.reader]


@pytest.mark.parametrize("there", sorted(set(There) - {There.reader, There.pending}))
def test_who_is_no_reader_there_becomes_none_here_and_the_account_says_why(session, bring, there):
    (account,) = bring([Row(2, "a@example.com", there=there, proof={"service": "Mailchimp"})])
    assert account.outcome is RowOutcome.not_a_reader
    assert "Mailchimp" in account.detail
    assert list_subscriptions(session, 1) == []


def test_a_proof_that_could_be_an_address_is_not_kept():
    (row,) = rows("Email Address,OPTIN_TIME,CONFIRM_TIME\na@example.com,b@example.com,2025-01-01\n")
    assert row.proof == {"service": "Mailchimp", "confirmed": "2025-01-01"}
