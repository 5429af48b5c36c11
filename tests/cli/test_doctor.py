"""`newsletter doctor` as an operator runs it: exit codes, JSON, NOT LIVE, and nothing changed by looking."""

import json

import pytest

from tests.name_server import name_server
from tests.scripted_server import scripted_server


PUBLICATION = (
    *("publication", "add", "weekly", "--name", "Weekly", "--sender", "weekly@news.example.org"),
    *("--reply-to", "editor@example.org", "--site-url", "https://example.org", "--postal-address", "1 Example Road"),
)
MAIL = b"""\
From: weekly@news.example.org
Date: Mon, 23 Nov 2026 01:00:00 +0000
Message-ID: <a@b>
Subject: Issue 1
List-Unsubscribe: <https://news.example.org/u/abcdefghijklmnopqrstuv>
Content-Type: text/html; charset=utf-8

<p>Hello
"""


def results(answer):
    """Read what was printed, by check; the worst of each."""
    order = ["ok", "skipped", "warning", "problem"]
    rows = sorted(json.loads(answer.stdout)["results"], key=lambda one: order.index(one["status"]))
    return {one["check"]: one for one in rows}


def test_looking_makes_nothing(run, tmp_path):
    answer = run("doctor", "--offline", "--json")
    assert answer.returncode == 1
    assert results(answer)["store"]["todo"] == "make it with `newsletter init`"
    assert list(tmp_path.iterdir()) == []
    missing = run("doctor", "--offline", NEWSLETTER_DATABASE_URL=f"sqlite:///{tmp_path}/other.db")
    assert missing.returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_a_new_installation_has_no_problem_offline(run):
    assert run("init").returncode == 0
    answer = run("doctor", "--offline")
    assert answer.returncode == 0
    assert "0 problems" in answer.stdout
    assert "NOT LIVE" in answer.stderr
    assert json.loads(run("doctor", "--offline", "--json").stdout)["problems"] == 0


def test_not_live_the_local_sendgrid_is_asked_with_its_own_key(run):
    assert run("init").returncode == 0
    assert run(*PUBLICATION).returncode == 0
    with scripted_server() as local, name_server() as names:
        local.on("/v3/scopes", {"scopes": ["mail.send"]})
        names.on("_dmarc.news.example.org", "TXT", "v=DMARC1; p=none; rua=mailto:a@example.org")
        settings = {"NEWSLETTER_EMULATOR_URL": local.url, "SENDGRID_API_KEY": "SG.a-real-key"}
        answer = run("doctor", "--json", "--dns", names.address, **settings)
        found = results(answer)
        assert {headers["Authorization"] for _, _, headers, _ in local.asked} == {"Bearer SG.local"}
    assert answer.returncode == 1
    assert "NEWSLETTER_LIVE=true newsletter doctor" in found["key"]["seen"]
    assert found["scopes"]["status"] == "problem"
    assert found["dmarc"]["seen"] == "_dmarc.news.example.org: p=none"
    assert found["exchanges"]["status"] == "problem"


def test_a_slip_in_the_publications_code_is_told_once(run):
    assert run("init").returncode == 0
    assert run(*PUBLICATION).returncode == 0
    answer = run("doctor", "--offline", "--publication", "daily")
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert "there is no publication 'daily'" in answer.stderr


@pytest.mark.parametrize("server", ["dns.example.org", "127.0.0.1:port", "1.2.3.4:99999"])
def test_a_name_server_that_is_none_is_refused(run, server):
    assert run("init").returncode == 0
    answer = run("doctor", "--dns", server)
    assert answer.returncode == 1
    assert "is no address of a name server" in answer.stderr


def test_a_saved_mail_is_checked(run, tmp_path):
    (tmp_path / "issue.eml").write_bytes(MAIL)
    answer = run("doctor", "mail", "issue.eml", "--offline", "--json")
    assert answer.returncode == 1
    found = results(answer)
    assert found["one-click"]["seen"] == "there is no List-Unsubscribe-Post"
    assert found["dkim-coverage"]["status"] == "problem"
    assert "the mail is not signed" in run("doctor", "mail", "issue.eml", "--offline").stdout


def test_a_file_that_is_no_mail_is_refused(run, tmp_path):
    (tmp_path / "issue.eml").write_bytes(b"%PDF-1.7")
    answer = run("doctor", "mail", "issue.eml", "--offline")
    assert answer.returncode == 1
    assert "holds no mail" in answer.stderr
    assert run("doctor", "mail", "not-there.eml").returncode == 2
