"""`newsletter issue`: check says what is wrong and asks links only where told; render cuts for the plan."""

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from newsletter.cli.live_links import addresses_of, probe
from tests.mails import FACE, SHOWCASE, edition


WELL = "---\ntitle: 一周小事\npreheader: 三件小事\n---\n\n一段。\n"


class Site(BaseHTTPRequestHandler):
    """A site with a page, a missing one, a guarded one, two that know no HEAD, one that leads on, one in circles."""

    def do_HEAD(self) -> None:
        self.answer(
            {"/": 200, "/gone": 404, "/guarded": 403, "/no-head": 405, "/moved": 301, "/round": 302}.get(self.path, 500)
        )

    def do_GET(self) -> None:
        self.answer(
            {"/": 200, "/no-head": 200, "/odd": 200, "/round": 302, "/guarded": 403, "/gone": 404}.get(self.path, 500)
        )

    def answer(self, status: int) -> None:
        self.send_response(status)
        if status in {301, 302}:
            self.send_header("Location", "/" if status == 301 else self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_every_link_is_asked_and_only_dead_ones_are_told(site):
    asked: list[int] = []
    text = "".join(
        f"[到{path}]({path})\n" for path in ("/", "/gone", "/guarded", "/no-head", "/odd", "/moved", "/round")
    )
    source = f"# 标题\n\n{text}\n[关](http://127.0.0.1:1/closed) [信](mailto:a@example.com)\n\n![图](/gone)"
    places = addresses_of(edition(source, replace(FACE, site_url=site)))
    findings = {
        one.message.split()[0]: (one.severity, one.where) for one in probe(places, done=lambda: asked.append(1))
    }
    assert findings == {
        f"{site}/gone": ("warning", "line 3"),
        f"{site}/guarded": ("note", "line 3"),
        f"{site}/round": ("warning", "line 3"),
        "http://127.0.0.1:1/closed": ("warning", "line 11"),
    }
    assert len(asked) == len(places) == 8


def test_check_prints_the_fixed_form(run, tmp_path):
    (tmp_path / "bad.md").write_text(WELL + "\n{{ nickname }}\n", encoding="utf-8")
    answer = run("issue", "check", "bad.md", "--json")
    assert answer.returncode == 1
    (finding,) = json.loads(answer.stdout)["findings"]
    assert finding["check"] == "fields"
    assert finding["severity"] == "blocker"
    assert finding["where"] == "line 8"
    assert set(finding) == {"check", "severity", "message", "where"}


def test_an_issue_that_cannot_be_read_is_a_finding_too(run, tmp_path):
    (tmp_path / "bad.md").write_text(WELL + "\n::: plan pro\n一段。\n", encoding="utf-8")
    answer = run("issue", "check", "bad.md", "--json")
    assert answer.returncode == 1
    (finding,) = json.loads(answer.stdout)["findings"]
    assert (finding["check"], finding["severity"], finding["where"]) == ("source", "blocker", "line 8")


def test_check_says_in_words_what_can_be_mailed(run, tmp_path):
    (tmp_path / "well.md").write_text(WELL, encoding="utf-8")
    answer = run("issue", "check", "well.md")
    assert answer.returncode == 0
    assert "Nothing is wrong with it." in answer.stdout
    answer = run("issue", "check", str(SHOWCASE))
    assert answer.returncode == 0
    assert "on phones: 朋友，本周三件事" in answer.stdout
    assert "It can be mailed." in answer.stdout


def test_check_asks_links_where_told(run, tmp_path, site):
    (tmp_path / "linked.md").write_text(WELL + f"\n[甲事]({site}/gone)与[乙事]({site}/)\n", encoding="utf-8")
    assert "live-links" not in run("issue", "check", "linked.md", "--site-url", site).stdout
    answer = run("issue", "check", "linked.md", "--site-url", site, "--live")
    assert f"{site}/gone answers 404" in answer.stdout
    assert answer.returncode == 0


@pytest.mark.parametrize("plan", ["free", "pro"])
def test_render_cuts_for_the_plan(run, tmp_path, plan):
    assert run("issue", "render", str(SHOWCASE), "--plan", plan, "--out", "out").returncode == 0
    html = (tmp_path / "out" / "issue.html").read_text(encoding="utf-8")
    assert ("第 9 到第 11 个月" in html) is (plan == "pro")


def test_an_issue_for_other_plans_is_not_rendered_for_this_one(run, tmp_path):
    (tmp_path / "pro.md").write_text(WELL.replace("preheader", "plans: [pro]\npreheader"), encoding="utf-8")
    answer = run("issue", "render", "pro.md", "--plan", "free", "--out", "out")
    assert answer.returncode == 1
    assert "do not get this issue" in answer.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--brand-color", "teal"], "brand_color"),
        (["--upgrade-url", "news.example.com"], "upgrade_url"),
        (["--logo-url", "ftp://a.example/l.png"], "logo_url"),
        (["--standing-footer", "::: plan pro\n没有关上"], "never closed"),
    ],
)
def test_a_face_that_no_mail_can_show_is_refused(run, words, says):
    assert run("init").returncode == 0
    assert run("publication", "add", "weekly", "--name", "周刊", "--sender", "w@news.example.com").returncode == 0
    answer = run("publication", "set", "weekly", *words)
    assert answer.returncode == 1
    assert says in answer.stderr
