"""`newsletter feedback`, `report` and `suppressions pull`, as an operator types them."""

import csv
import html
import io
import json
import re

import pytest

from newsletter.feedback.applying import PROVIDER, Scene
from newsletter.feedback.ingest import apply_next, keep_call
from newsletter.providers.memory import MemoryProvider
from newsletter.publications import PublicationForm, set_publication
from newsletter.reports.sheet import Sheet
from tests.feedback.said import Feedback, as_body
from tests.local_sendgrid import local_sendgrid
from tests.world import TEMPLATES, make_world


HARD = {"status": "5.1.1", "type": "bounce", "reason": "550 5.1.1 no such mailbox"}
PEPPER = "sixteen bytes or more"


@pytest.fixture
def mailed(sqlite_store):
    """An issue that was mailed to five readers: two delivered, one bounced, one complained, one silent."""
    feedback = Feedback(make_world(sqlite_store, MemoryProvider()))
    feedback.world.readers([f"r{number}@163.com" for number in range(5)])
    mails = feedback.of(feedback.mail())
    now = feedback.world.clock()
    said = [("r0@163.com", "delivered", {}), ("r1@163.com", "delivered", {}), ("r2@163.com", "bounce", HARD)]
    feedback.say(*(feedback.event(mails[address], event, now, **more) for address, event, more in said))
    feedback.say(feedback.event(mails["r1@163.com"], "spamreport", now), {"event": "brand_new"})
    return feedback


@pytest.fixture
def newsletter(run, sqlite_store, mailed):
    def _run(*words, **settings):
        url = sqlite_store.url.render_as_string(hide_password=False)
        return run(*words, NEWSLETTER_DATABASE_URL=url, NEWSLETTER_ADDRESS_PEPPER=PEPPER, **settings)

    return _run


def as_json(answer):
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def test_consequences_are_listed_shown_and_undone(newsletter):
    listed = as_json(newsletter("feedback", "list", "--json"))
    assert [(one["deed"], one["reason"]) for one in listed] == [
        ("suppress", "hard_bounce"),
        ("suppress", "complaint"),
        ("leave", ""),
    ]
    assert "r***@1**.com" in newsletter("feedback", "show", "1").stdout
    refused = newsletter("feedback", "undo")
    assert (refused.returncode, "say which" in refused.stderr) == (1, True)
    assert as_json(newsletter("feedback", "undo", "--text", "NO SUCH", "--yes", "--json")) == {"undone": 1}
    assert newsletter("feedback", "undo", "--text", "no such", "--yes").returncode == 1
    (removal,) = as_json(newsletter("feedback", "removals", "--json"))
    assert (removal["list"], removal["consequence"], removal["result"]) == ("bounces", 1, "")
    assert "bounces" in newsletter("feedback", "removals").stdout
    assert as_json(newsletter("feedback", "list", "--json"))[0]["state"] == "undone"


def test_what_is_lifted_is_a_consequence_taken_back(newsletter):
    words = ("suppressions", "lift", "r2@163.com", "--reason", "hard_bounce", "--yes")
    assert newsletter(*words).returncode == 0
    assert as_json(newsletter("feedback", "list", "--json"))[0]["state"] == "undone"


def test_problems_and_limits_are_shown(newsletter):
    told = as_json(newsletter("feedback", "problems", "--json"))
    assert told["waiting"]["calls"] == 0
    assert "unknown event 'brand_new'" in told["problems"][0]["problem"]
    assert told["of_late"] == 1
    assert as_json(newsletter("feedback", "policy", "--json"))["soft_issues"] == 4
    assert as_json(newsletter("feedback", "policy", "--soft-issues", "6", "--json"))["soft_issues"] == 6
    assert as_json(newsletter("feedback", "policy", "--json"))["soft_issues"] == 6
    assert as_json(newsletter("feedback", "surges", "--json")) == []
    assert newsletter("feedback", "surge", "1", "qq", "--dismiss", "--yes").returncode == 1


def test_a_report_accounts_for_every_candidate(newsletter, mailed):
    report = as_json(newsletter("report", "1", "--json"))
    total = report["total"]
    assert (total["accepted"], total["delivered"], total["bounced"], total["silent"]) == (5, 2, 1, 2)
    assert (total["complained"], report["left"], report["balances"]) == (1, 1, True)
    assert report["by_provider"]["netease"]["bounces"] == {"hard": 1}
    shown = newsletter("report", "1").stdout
    assert "nothing heard" in shown
    assert "over 0.3 %" in shown
    rows = list(csv.DictReader(io.StringIO(newsletter("report", "1", "--csv").stdout)))
    hour = f"{mailed.world.clock():%Y-%m-%d %H}"
    assert [(row["of"], row["name"], row["hard"], row["delivered"]) for row in rows] == [
        ("whole", "", "1", "2"),
        ("plan", "free", "1", "2"),
        ("provider", "netease", "1", "2"),
        ("hour", f"{hour}:00", "", "2"),
        ("issue", "测试周报：第1期", "1", "2"),
    ]
    assert [rows[0][name] for name in ("candidates", "excluded", "left", "deferred_once")] == ["5", "0", "1", "0"]
    assert report["over_time"] == {hour: 2}
    assert newsletter("report", "9").returncode == 1
    other = newsletter("report", "9", "--mailing", "1")
    assert (other.returncode, "mailing 1 is of issue 1" in other.stderr) == (1, True)


def test_a_report_is_also_a_page_that_needs_nothing_else(newsletter, tmp_path):
    answer = newsletter("report", "1", "--html", str(tmp_path / "report.html"))
    assert answer.returncode == 0, answer.stderr
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "report.html").stat().st_mode & 0o077 == 0
    assert "<svg" in page
    assert "<script" not in page
    # Names of XML vocabularies are no addresses that anything is fetched from.
    assert set(re.findall(r"(?:src|href)=[\"'](https?:[^\"']*)", page)) == set()
    assert "r0@163.com" not in page


def test_the_next_report_has_reasons_links_hours_and_the_issues_before(newsletter, mailed):
    mailed.world.clock.forward(60)
    mailing_id = mailed.mail()
    mails, now = mailed.of(mailing_id), mailed.world.clock()
    link = "https://news.example.com/News/1"
    click = mailed.event(mails["r0@163.com"], "click", now, url=link)
    mailed.say(
        mailed.event(mails["r0@163.com"], "deferred", now), mailed.event(mails["r0@163.com"], "delivered", now), click
    )
    rows = list(csv.DictReader(io.StringIO(newsletter("report", "2", "--csv").stdout)))
    of = {(row["of"], row["name"]): row for row in rows}
    assert [of["exclusion", reason]["excluded"] for reason in ("unsubscribed", "suppressed")] == ["1", "1"]
    assert (of["whole", ""]["deferred_once"], of["link", link]["clicked"]) == ("1", "1")
    assert [name for kind, name in of if kind == "issue"] == ["测试周报：第2期", "测试周报：第1期"]
    shown = newsletter("report", "2").stdout
    # 01:00 UTC is nine in the publication's zone.
    assert "begun 2026-11-23 09:01 (Asia/Shanghai)" in shown
    assert "Over time (Asia/Shanghai)" in shown
    assert "Beside the issues before" in shown
    issues = as_json(newsletter("report", "2", "--json"))["issues"]
    assert [(one["issue_id"], one["total"]["accepted"]) for one in issues] == [(2, 3), (1, 5)]
    assert "Beside" not in newsletter("report", "1").stdout


def test_opens_and_clicks_come_with_what_they_cannot_mean_in_the_terminal_and_on_the_page(newsletter, mailed, tmp_path):
    meaning = Sheet(TEMPLATES, "en", "UTC").words["what_opens_mean"]
    assert meaning not in unfolded(newsletter("report", "1").stdout)
    mails, now = mailed.of(1), mailed.world.clock()
    mailed.say(mailed.event(mails["r0@163.com"], "open", now, sg_machine_open=True))
    assert meaning in unfolded(newsletter("report", "1").stdout)
    with mailed.world.database.writing() as session:
        set_publication(session, "weekly", PublicationForm(locale="en"))
    assert newsletter("report", "1", "--html", str(tmp_path / "report.html")).returncode == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert html.unescape(page).count(meaning) == 1
    assert "<dt>Opened by machines</dt><dd>1</dd>" in page
    assert "<dt>Opened</dt><dd>0</dd>" in page


def unfolded(text):
    """Put a text together again that was broken into lines for a terminal."""
    return " ".join(text.split())


def test_a_publication_is_reported_on_by_provider_and_by_weeks(newsletter):
    (netease,) = as_json(newsletter("report", "--deliverability", "--json"))
    assert (netease["provider"], netease["accepted"], netease["complaint_share"]) == ("netease", 5, 0.5)
    assert netease["complaint_line"] == 0.003
    shown = newsletter("report", "--deliverability").stdout
    assert "stay under 0.1 %, and never reach 0.3 %" in shown
    assert "Complaints at netease: 50.00%, over 0.3 %" in shown
    told = as_json(newsletter("report", "--growth", "--last", "520", "--json"))
    weeks = told["weeks"]
    assert (told["health"]["confirmed"], told["health"]["left"]) == (4, 1)
    assert told["health"]["suppressed: hard_bounce"] == 1
    assert len(weeks) == 520
    assert sum(week["imported"] for week in weeks) == 5
    assert sum(week["left"] for week in weeks) == 1


def test_what_a_publication_is_reported_on_is_whole_as_csv(newsletter):
    rows = list(csv.DictReader(io.StringIO(newsletter("report", "--deliverability", "--csv").stdout)))
    assert [(row["of"], row["name"], row["hard"], row["complaint_line"]) for row in rows] == [
        ("provider", "netease", "1", "0.003"),
        ("issue", "测试周报：第1期", "1", "0.003"),
    ]
    rows = list(csv.DictReader(io.StringIO(newsletter("report", "--growth", "--last", "520", "--csv").stdout)))
    assert sum(int(row["imported"]) for row in rows if row["of"] == "week") == 5
    health = {row["name"]: row["readers"] for row in rows if row["of"] == "health"}
    assert (health["confirmed"], health["suppressed: hard_bounce"]) == ("4", "1")


@pytest.mark.parametrize("what", ["--growth", "--deliverability"])
def test_a_publication_has_a_page_and_what_was_asked_for_beside_it(newsletter, tmp_path, what):
    told = as_json(newsletter("report", what, "--html", str(tmp_path / "p.html"), "--json"))
    assert told == as_json(newsletter("report", what, "--json"))
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert (tmp_path / "p.html").stat().st_mode & 0o077 == 0
    assert "名单现状" in page
    assert "netease" in page
    assert "<script" not in page


def test_a_page_and_json_are_both_given(newsletter, tmp_path):
    told = as_json(newsletter("report", "1", "--html", str(tmp_path / "r.html"), "--json"))
    assert told["total"]["accepted"] == 5
    assert (tmp_path / "r.html").exists()
    alone = newsletter("report", "1", "--html", str(tmp_path / "r.html"))
    assert (alone.stdout, "The page is" in alone.stderr) == ("", True)


@pytest.mark.parametrize(
    "words",
    [(), ("1", "--growth"), ("--growth", "--mailing", "3"), ("1", "--json", "--csv"), ("--growth", "--json", "--csv")],
)
def test_words_that_go_ill_together_are_refused(newsletter, words):
    assert newsletter("report", *words).returncode == 2


def test_a_call_is_applied_again_and_changes_nothing(newsletter, mailed):
    before = as_json(newsletter("report", "1", "--json"))
    assert newsletter("feedback", "again", "1").returncode == 0
    mailed.apply()
    assert as_json(newsletter("report", "1", "--json")) == before
    assert newsletter("feedback", "again", "99").returncode == 1


def test_the_lists_are_pulled_from_the_local_sendgrid(newsletter, tmp_path):
    with local_sendgrid(tmp_path / "sendgrid") as sendgrid:
        sendgrid.account("POST", "/v3/asm/suppressions/global", {"recipient_emails": ["r0@163.com"]})
        settings = {"NEWSLETTER_EMULATOR_URL": sendgrid.url, "NEWSLETTER_EMULATOR_KEY": "SG.test"}
        rows = as_json(newsletter("suppressions", "pull", "--json", **settings))
        assert {row["list_name"]: row["news"] for row in rows}["unsubscribes"] == 1
        sendgrid.call("/_emulator/account", {"scopes": ["mail.send"]})
        refused = newsletter("suppressions", "pull", **settings)
    assert (refused.returncode, "suppression.read" in refused.stderr) == (1, True)


def test_an_erased_address_is_in_no_call_that_is_kept(newsletter, mailed):
    world = mailed.world
    waiting = as_body([{"email": "R3@163.com", "event": "open", "timestamp": 1763860000}])
    with world.database.writing() as session:
        keep_call(session, waiting, now=world.clock())
    assert newsletter("subscribers", "erase", "r3@163.com", "--yes").returncode == 0
    while apply_next(world.database, Scene(world.hasher, PROVIDER, world.clock())):
        pass
    content = world.database.file.read_bytes().lower()
    assert b"r3@163.com" not in content
    assert b"r2@163.com" in content
