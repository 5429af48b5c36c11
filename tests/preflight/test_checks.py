"""Each check finds what it is for, and nothing is found in an issue that is well."""

from dataclasses import replace
from pathlib import Path

import pytest

from newsletter.issues.access import ReaderPlan, may_receive
from newsletter.issues.document import decode, parse
from newsletter.preflight.edition import Edition, Severity
from newsletter.preflight.inspection import inspect
from newsletter.rendering.mail import Face, render
from newsletter.rendering.themes import load_theme


THEME = load_theme(Path(__file__).parents[2] / "templates")
FACE = Face("测试刊", "https://news.example.com", "示例路 1 号", "zh-CN")
PLANS = (ReaderPlan("free", frozenset({"free"})), ReaderPlan("pro", frozenset({"free", "pro"})))


def edition(source: str, face: Face = FACE, reply_to: str = "editor@news.example.com") -> Edition:
    document = parse(source)
    renderings = tuple(render(document, face, plan, THEME) for plan in PLANS if may_receive(document, plan))
    return Edition(document, face, reply_to, ("free", "pro"), renderings)


def found(of: Edition) -> set[tuple[str, Severity]]:
    return {(finding.check, finding.severity) for finding in inspect(of)}


def test_nothing_is_wrong_with_the_weekly(weekly_issue):
    assert found(edition(decode(weekly_issue.read_bytes()))) == set()


@pytest.mark.parametrize(
    ("broken", "check", "severity"),
    [
        (lambda: edition("# 标题\n\n一段。", replace(FACE, postal_address="")), "publication", Severity.blocker),
        (lambda: edition("# 标题\n\n一段。", reply_to=""), "publication", Severity.blocker),
        (lambda: edition("# 标题\n\n一段。", replace(FACE, site_url="")), "publication", Severity.blocker),
        (lambda: edition("---\nplans: [pro, gold]\n---\n# 标题"), "plans", Severity.blocker),
        (lambda: edition("# 标题\n\n2**3 与 **未完"), "leftover-markdown", Severity.warning),
        (lambda: edition("# 标题\n\n" + "很长的一段。" * 4000), "size", Severity.warning),
    ],
)
def test_a_check_finds_what_it_is_for(broken, check, severity):
    assert found(broken()) == {(check, severity)}


def test_an_issue_that_gmail_would_clip_is_blocked():
    assert ("size", Severity.blocker) in found(edition("# 标题\n\n" + "很长的一段。" * 7000))


def test_a_part_without_a_way_out_is_blocked():
    whole = edition("# 标题\n\n一段。")
    (one, _) = whole.renderings
    without = replace(one, text=one.text.replace(one.tags.unsubscribe_url, ""))
    assert found(replace(whole, renderings=(without,))) == {("unsubscribe", Severity.blocker)}


def test_a_link_that_only_one_part_holds_is_told():
    whole = edition("# 标题\n\n[甲](/a)")
    (one, _) = whole.renderings
    without = replace(one, text=one.text.replace("https://news.example.com/a", ""))
    assert found(replace(whole, renderings=(without,))) == {("links", Severity.warning)}
