"""Each check finds exactly what it is for, and no blocker is found in an issue that is well."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from newsletter.issues.document import decode
from newsletter.preflight.edition import Edition, Severity
from newsletter.preflight.inspection import CHECKS, inspect
from newsletter.rendering.themes import Theme, load_theme
from tests.mails import FACE, SHOWCASE, TEMPLATES, edition


BLOCKER, WARNING, NOTE = Severity.blocker, Severity.warning, Severity.note
HEAD = "---\ntitle: 一周小事\npreheader: 三件小事，都不花钱\n{front}---\n\n"
TEXT = "这一段足够长，说的是一件小事，读起来也不费力气，写出来是为了让语言能被认出来，也为了让这一期有话可说。"


def issue(text: str = TEXT, **front: str) -> Edition:
    """An edition with which nothing is wrong, but for what is given."""
    return edition(HEAD.format(front="".join(f"{name}: {value}\n" for name, value in front.items())) + text)


def without(whole: Edition, **changes: object) -> Edition:
    """The same edition with its first mail changed, and no other mail."""
    return replace(whole, renderings=(replace(whole.renderings[0], **changes),))  # type: ignore[arg-type]


def found(of: Edition) -> set[tuple[str, Severity]]:
    return {(finding.check, finding.severity) for finding in inspect(of)}


def themed(folder: Path, name: str, change: tuple[str, str]) -> Theme:
    """Our theme with one file of an operator's laid over it."""
    ours = (TEMPLATES / "email" / name).read_text(encoding="utf-8")
    assert change[0] in ours
    (folder / "email").mkdir()
    (folder / "email" / name).write_text(ours.replace(*change), encoding="utf-8")
    return load_theme(TEMPLATES, folder)


def in_theme(name: str, old: str, new: str):
    return lambda folder: edition(HEAD.format(front="") + TEXT, theme=themed(folder, name, (old, new)))


def _with_a_link_in_html_only() -> Edition:
    whole = issue(f"{TEXT}[甲事](/a)")
    return without(whole, text=whole.renderings[0].text.replace("https://news.example.com/a", ""))


def _without_text(folder: Path) -> Edition:
    theme = themed(folder, "issue.txt.j2", ("{{ section }}", ""))
    return edition(HEAD.format(front="") + TEXT * 20, theme=theme)


def _latin_1() -> Edition:
    """A French issue whose text part was left without the characters that keep it out of Latin-1."""
    face = replace(FACE, name="Le Mercredi", postal_address="1 rue Exemple", locale="fr", plan_names={})
    whole = edition("---\ntitle: Été\npreheader: Ça va\n---\n\nUn petit déjeuner au café, et une phrase.", face)
    return without(whole, text=whole.renderings[0].text.encode("latin-1", "ignore").decode("latin-1"))


WIDE_TABLE = f"|{' 项 |' * 13}\n|{'---|' * 13}\n|{' 短 |' * 13}"
LONG_TABLE = "| 项 |\n|---|\n" + "| 短 |\n" * 201
UNLINKED = "| 事 |\n|---|\n| [甲](/a) |\n| [乙](/b) |\n| 丙 |\n| [丁](/d) |"

PAID = "::: plan pro\n只有专业版读者能读到的一句。\n:::"
MANY_RULES = "@media (min-width: 480px) {" + "".join(f".r{number} {{ margin: {number}px }}" for number in range(140))
WAY_OUT, UNTRACKED, LEAVE = 'href="{{ tags.unsubscribe_url }}"', 'clicktracking="off"', ">{{ words.leave }}"

#: For each check an edition that triggers exactly it; what takes the theme's folder is made with an operator's theme.
CASES = [
    ("publication", BLOCKER, lambda: edition(HEAD.format(front="") + TEXT, replace(FACE, postal_address=""))),
    ("publication", BLOCKER, lambda: edition(HEAD.format(front="") + TEXT, reply_to="")),
    ("publication", BLOCKER, in_theme("issue.mjml.j2", "{{ face.postal_address }}", "")),
    (
        "publication",
        WARNING,
        lambda: edition(HEAD.format(front="") + f"{TEXT}\n\n{PAID}", replace(FACE, upgrade_url="")),
    ),
    ("plans", BLOCKER, lambda: issue(plans="[free, gold]")),
    ("plans", BLOCKER, lambda: issue(f"{TEXT}\n\n::: plan gold\n秘密的一段。\n:::")),
    ("plans", BLOCKER, lambda: replace(issue(), renderings=())),
    ("leak", BLOCKER, lambda: issue(f"{TEXT}\n\n{PAID}", subject="只有专业版读者能读到")),
    ("empty-plan", WARNING, lambda: issue("## 一节\n\n::: plan pro\n秘密的一段。\n:::")),
    ("empty-plan", BLOCKER, lambda: issue("## 一节")),
    (
        "mailed-before",
        WARNING,
        lambda: edition(HEAD.format(front="") + TEXT, mailed_at=datetime(2026, 11, 1, tzinfo=UTC)),
    ),
    ("date", WARNING, lambda: issue(date="2026-11-22")),
    ("subject", BLOCKER, lambda: issue(subject="'Re: 一周小事'")),
    ("subject", WARNING, lambda: issue(subject="第12期LLM与GPU")),
    ("subject", NOTE, lambda: issue(subject="测试刊：一周小事")),
    ("subject", NOTE, lambda: issue(subject="一二三四五六七八九十一二三四五六七八九十一二")),
    ("preheader", WARNING, lambda: edition("---\ntitle: 一周小事\npreheader: 一周小事\n---\n" + TEXT)),
    ("preheader", NOTE, lambda: edition("# 一周小事\n\n" + TEXT)),
    ("preheader", WARNING, lambda: edition(f"---\ntitle: 一周小事\npreheader: {'长' * 91}\n---\n{TEXT}")),
    ("fields", BLOCKER, lambda: issue(f"{TEXT}{{{{ nickname }}}}")),
    ("fields", BLOCKER, lambda: issue(f"{TEXT}第 {{{{ number }}}} 期")),
    ("fields", BLOCKER, lambda: issue(f"{TEXT}{{{{ name | upper }}}}")),
    ("fields", BLOCKER, lambda: issue(f"{TEXT}*|FNAME|*")),
    ("fields", BLOCKER, lambda: issue(f"{TEXT}[甲](<https://a.example/?u={{{{ name }}}}>)")),
    ("fields", BLOCKER, lambda: issue(subject="'{{ nick }}，早'")),
    ("fields", BLOCKER, lambda: edition(HEAD.format(front="") + TEXT, replace(FACE, standing_footer="{{ nmae }}"))),
    ("leftover-markdown", WARNING, lambda: issue(f"{TEXT}**没有关上")),
    ("leftover-markdown", WARNING, lambda: issue(f"{TEXT}[点我](javascript:x)")),
    ("leftover-markdown", WARNING, lambda: issue(f"{TEXT}没有定义[^a]")),
    ("leftover-markdown", BLOCKER, lambda: issue("| 甲 |\n|---|\n| ::: plan pro |\n\n" + TEXT)),
    ("todo", WARNING, lambda: issue(f"{TEXT}（待补充）")),
    ("todo", WARNING, lambda: issue(f"{TEXT} TODO")),
    ("dropped-html", WARNING, lambda: issue(f"{TEXT}\n\n<iframe src='https://a.example'></iframe>")),
    ("sponsor-label", BLOCKER, lambda: issue(f'{TEXT}\n\n::: sponsor 青木 label="合作伙伴"\n好车。\n:::')),
    ("headings", WARNING, lambda: issue(f"## 一节\n\n#### 跳了一级\n\n{TEXT}")),
    ("headings", WARNING, lambda: issue(f"## 一节\n\n##\n\n{TEXT}")),
    ("tables", WARNING, lambda: issue(f"{TEXT}\n\n{LONG_TABLE}")),
    ("tables", WARNING, lambda: issue(f"{TEXT}\n\n{WIDE_TABLE}")),
    ("rows-without-link", WARNING, lambda: issue(f"{TEXT}\n\n{UNLINKED}")),
    ("links", WARNING, lambda: issue(f"{TEXT}[点击这里](/a)")),
    ("links", WARNING, lambda: issue(f"{TEXT}[](/a)")),
    ("links", WARNING, lambda: issue(f"{TEXT}[空的地址]()")),
    ("links", WARNING, lambda: issue(f"{TEXT}[文件](ftp://a.example/b)")),
    ("links", WARNING, lambda: issue(f"{TEXT}[少了前缀](www.example.com)")),
    ("links", WARNING, lambda: issue(f"{TEXT}[没有主机](https://)")),
    ("links", NOTE, lambda: issue(f"{TEXT}[目录](#a)")),
    ("links", NOTE, lambda: issue(f"{TEXT}[全文](/a)与[全文](/b)")),
    ("link-parity", WARNING, _with_a_link_in_html_only),
    ("link-parity", WARNING, _without_text),
    ("images", WARNING, lambda: issue(f"{TEXT}\n\n![](/a.png)")),
    ("images", WARNING, lambda: issue(f"{TEXT}\n\n![图](http://a.example/a.png)")),
    ("images", WARNING, lambda: issue(f"{TEXT}\n\n![图](/a.svg)")),
    ("images", WARNING, lambda: issue(f"{TEXT}\n\n![图](/a.webp)")),
    ("images", WARNING, lambda: issue(f"{TEXT}\n\n![图](/a.png){{width=900}}")),
    ("images", WARNING, lambda: issue(f"{TEXT}\n\n![图](data:image/png;base64,AA)")),
    ("unsubscribe", WARNING, in_theme("issue.mjml.j2", f"{UNTRACKED} {WAY_OUT}{LEAVE}", f"{WAY_OUT}{LEAVE}")),
    ("unsubscribe", WARNING, in_theme("issue.mjml.j2", f"{UNTRACKED} {WAY_OUT}", f"{WAY_OUT} {UNTRACKED}")),
    ("unsubscribe", BLOCKER, in_theme("issue.txt.j2", "{{ tags.unsubscribe_url }}", "")),
    ("language", WARNING, lambda: issue(locale="en")),
    ("language", BLOCKER, in_theme("issue.mjml.j2", '<mjml lang="{{ locale }}">', "<mjml>")),
    ("charset", BLOCKER, lambda: issue(f"{TEXT}控制\x92字符")),
    ("charset", BLOCKER, _latin_1),
    ("size", WARNING, lambda: issue(f"{TEXT}\n\n" + "很长的一段。" * 4000)),
    ("size", BLOCKER, lambda: issue(f"{TEXT}\n\n" + "很长的一段。" * 7000)),
    ("style-size", WARNING, in_theme("issue.css.j2", "@media (min-width: 480px) {", MANY_RULES)),
    (
        "mjml-tags",
        BLOCKER,
        in_theme("issue.mjml.j2", '<mj-text padding="10px 24px 0"> </mj-text>', "<mj-txet>字</mj-txet>"),
    ),
    ("contrast", WARNING, in_theme("theme.yaml", 'quiet: "#5b6168"', 'quiet: "#999999"')),
    ("contrast", BLOCKER, in_theme("theme.yaml", 'ink: "#dcd9d2"', 'ink: "#2d3135"')),
    ("client-support", WARNING, in_theme("issue.css.j2", ".footer p {", ".footer p { position: relative;")),
    ("client-rules", NOTE, lambda: issue(f"{TEXT}图在这里 ![图](/a.png) 行内")),
]


@pytest.mark.parametrize(("check", "severity", "example"), CASES)
def test_a_check_finds_exactly_what_it_is_for(tmp_path, check, severity, example):
    of = example(tmp_path) if example.__code__.co_argcount else example()
    assert found(of) == {(check, severity)}, inspect(of)


def test_every_check_has_an_example():
    assert {check for check, _, _ in CASES} == set(CHECKS)


def test_nothing_is_wrong_with_an_issue_that_is_well():
    assert found(issue()) == set()


def test_the_weekly_can_be_mailed(weekly_issue):
    findings = inspect(edition(decode(weekly_issue.read_bytes())))
    assert not [finding for finding in findings if finding.severity is BLOCKER]
    assert {finding.check for finding in findings} <= {"subject", "preheader", "rows-without-link"}


def test_the_showcase_has_but_a_note_on_its_subject():
    assert found(edition(decode(SHOWCASE.read_bytes()))) == {("subject", NOTE)}


def test_findings_say_the_line_of_the_issue():
    source = HEAD.format(front="") + f"{TEXT}\n\n- 一\n- **没有关上\n\n{UNLINKED}"
    places = {finding.check: finding.where for finding in inspect(edition(source))}
    lines = source.splitlines()
    assert places["leftover-markdown"] == f"line {1 + lines.index('- **没有关上')}"
    assert places["rows-without-link"] == f"line {1 + lines.index('| 丙 |')}"


def test_what_several_plans_share_is_said_once():
    (finding,) = [one for one in inspect(issue(f"{TEXT}\n\n" + "很长的一段。" * 4000)) if one.check == "size"]
    assert finding.where == "plans free, pro"
