"""Files of people by the command line: what the guide says is tried, and what a file is taken for is said."""

import csv
import json
import re
import shlex
import shutil

import pytest
from sqlmodel import select

from newsletter.database import Database
from newsletter.outbox import Notice
from tests.conftest import ROOT


PUBLICATION = ["--name", "周刊", "--sender", "weekly@news.example.com"]


@pytest.fixture
def installation(run, tmp_path):
    """A store with a publication of two plans, and the example files beside it."""
    assert run("init").returncode == 0
    assert run("publication", "add", "weekly", *PUBLICATION).returncode == 0
    assert run("plans", "add", "pro", "--includes", "free").returncode == 0
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    return tmp_path


def outcomes(answer):
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)["outcomes"]


@pytest.mark.parametrize("title", ["From Mailchimp", "From listmonk"])
def test_the_guide_works_as_it_is_written_and_once_more_changes_nothing(run, installation, title):
    text = (ROOT / "docs" / "moving-here.md").read_text()
    section = text.split(f"## {title}\n")[1].split("\n## ")[0]
    commands = [shlex.split(line) for line in re.findall(r"^newsletter (.+)$", section, re.MULTILINE)]
    assert len(commands) >= 5
    for words in commands:
        answer = run(*words)
        assert answer.returncode == 0, (words, answer.stderr)
    before = _store(installation)
    new = {"subscribers": "added", "suppressions": "suppressed"}
    for words in commands:
        assert new[words[0]] not in outcomes(run(*words, "--json"))
    assert _store(installation) == before


def test_a_dry_run_says_what_will_be_and_stores_nothing(run, installation):
    words = ["subscribers", "import", "examples/subscribers.csv", "--consent", "test", "--json"]
    before = _store(installation)
    rehearsed = run(*words, "--dry-run", "--report", "rehearsed.csv")
    assert _store(installation) == before
    done = run(*words, "--report", "done.csv")
    assert outcomes(rehearsed) == outcomes(done)
    assert (installation / "rehearsed.csv").read_bytes() == (installation / "done.csv").read_bytes()
    assert _store(installation) != before


def test_no_import_orders_a_mail(run, installation):
    for pending in ([], ["--pending"]):
        run("subscribers", "import", "examples/subscribers.csv", "--consent", "test", *pending)
    database = Database(f"sqlite:///{installation}/.newsletter/newsletter.db")
    with database.reading() as session:
        assert session.exec(select(Notice)).all() == []
    database.close()


def test_the_report_has_a_line_a_row_for_nobody_elses_eyes_and_runs_no_formula(run, installation):
    (installation / "list.csv").write_text(
        "邮箱地址,谁\n=1+1,A\na@gmial.com,B\n\nb@mailinator.com,C\n", encoding="gb18030"
    )
    answer = run(
        *("subscribers", "import", "list.csv", "--consent", "test", "--map", "name=谁", "--report", "report.csv"),
    )
    assert "GB18030, 3 rows" in answer.stdout
    report = installation / "report.csv"
    with report.open(encoding="utf-8-sig", newline="") as file:
        first, second, third = csv.DictReader(file)
    assert (first["line"], first["outcome"], first["address"]) == ("2", "invalid", "'=1+1")
    assert (second["outcome"], second["suggestion"]) == ("added", "a@gmail.com")
    assert (third["line"], third["outcome"], "mailboxes" in third["note"]) == ("5", "added", True)
    assert report.stat().st_mode & 0o077 == 0
    shown = json.loads(run("subscribers", "show", "a@gmial.com", "--json").stdout)
    assert (shown["email"], shown["name"]) == ("a@gmial.com", "B")


def test_an_unknown_plan_of_a_row_is_reported_and_that_of_the_command_refuses_the_file(run, installation):
    (installation / "list.csv").write_text("email,plan\na@example.com,gold\nb@example.com,free\n")
    words = ["subscribers", "import", "list.csv", "--consent", "test", "--json"]
    refused = run(*words, "--plan", "silver")
    assert (refused.returncode, "silver" in refused.stderr) == (1, True)
    assert outcomes(run(*words)) == {"unknown_plan": 1, "added": 1}


def test_listmonks_files_come_with_a_caution(run, installation):
    answer = run("subscribers", "import", "examples/moving/listmonk-confirmed.csv", "--consent", "test")
    assert "an export of listmonk" in answer.stdout
    assert "subscription_status=confirmed" in answer.stderr


def test_a_report_is_not_written_over_the_file_it_is_about(run, installation):
    before = (installation / "examples" / "subscribers.csv").read_bytes()
    words = ["examples/subscribers.csv", "--consent", "test", "--report", "examples/subscribers.csv"]
    answer = run("subscribers", "import", *words)
    assert answer.returncode == 1
    assert "overwrite" in answer.stderr
    assert (installation / "examples" / "subscribers.csv").read_bytes() == before


@pytest.mark.parametrize("mapping", ["email", "=x", "email=", "e-mail=邮箱"])
def test_a_mapping_that_is_none_is_refused(run, installation, mapping):
    answer = run("subscribers", "import", "examples/subscribers.csv", "--consent", "test", "--map", mapping)
    assert answer.returncode in {1, 2}
    assert "--map" in answer.stderr


def test_an_export_is_a_file_for_ones_own_eyes_that_is_read_back(run, installation):
    run("subscribers", "import", "examples/subscribers.csv", "--consent", "test")
    listed = run("subscribers", "list", "--json").stdout
    assert run("subscribers", "export", "--out", "all.csv").returncode == 0
    assert (installation / "all.csv").stat().st_mode & 0o077 == 0
    answer = run("subscribers", "import", "all.csv", "--consent", "test")
    assert "an export of newsletter" in answer.stdout
    assert run("subscribers", "list", "--json").stdout == listed


def test_suppressions_are_added_listed_and_lifted_by_the_reason(run, installation):
    run("subscribers", "add", "anna@example.com")
    run("suppressions", "add", "anna@example.com", "--reason", "complaint")
    listed = run("suppressions", "list", "--json")
    (row,) = json.loads(listed.stdout)
    assert (row["reason"], row["scope"], row["masked_address"]) == ("complaint", "everywhere", "a***@e**.com")
    assert "anna" not in listed.stdout
    wrong = run("suppressions", "lift", "anna@example.com", "--reason", "operator")
    assert (wrong.returncode, "not suppressed for operator" in wrong.stderr) == (1, True)
    unasked = run("suppressions", "lift", "anna@example.com", "--reason", "complaint")
    assert (unasked.returncode, "--yes" in unasked.stderr) == (1, True)
    assert run("suppressions", "lift", "anna@example.com", "--reason", "complaint", "--yes").returncode == 0
    assert json.loads(run("suppressions", "list", "--json").stdout) == []


def test_lifting_without_a_reason_is_a_slip_of_the_hand(run, installation):
    assert run("suppressions", "lift", "anna@example.com", "--yes").returncode == 2


def test_no_answer_about_suppressions_repeats_an_address_that_is_not_masked(run, installation):
    answers = [
        run("suppressions", "add", "anna@example.com"),
        run("suppressions", "list"),
        run("suppressions", "lift", "anna@example.com", "--reason", "invalid"),
    ]
    assert not any("anna" in answer.stdout + answer.stderr for answer in answers)


def _store(installation):
    database = Database(f"sqlite:///{installation}/.newsletter/newsletter.db")
    with database.reading() as session:
        connection = session.connection()
        tables = ("subscriber", "subscription", "suppression", "consent_event", "consent_evidence")
        found = {table: connection.exec_driver_sql(f"SELECT * FROM {table}").all() for table in tables}  # noqa: S608 - names of our own
    database.close()
    return found
