"""Every issue of the corpus, and any generated one, comes out right: whole, clean, with the same links in both parts.

``tests/corpus/README.md`` says what each issue is for.
"""

import html as html_module
import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.errors import BadIssue
from newsletter.issues.access import ReaderPlan, cut
from newsletter.issues.blocks import Code, Table, lines_of, walk_blocks
from newsletter.issues.document import decode, parse
from newsletter.issues.inline import CodeSpan, Text, walk
from newsletter.issues.table_forms import is_cards
from newsletter.preflight.edition import Severity
from newsletter.preflight.inspection import inspect
from newsletter.rendering.mail import Rendering, links_in
from newsletter.rendering.personalisation import fill, values_by_tag
from tests.mails import CORPUS, FREE, PRO, READER, edition, mail


LEFTOVERS = ("**", "](", ":::", "{{", "}}", "~~", "[^", "<b>", "&nbsp;", "&amp;", "{.button", "slot:")
#: What an issue of the corpus may be told: it is made of such things. Nothing else may be found in any.
TOLD = {
    "subject": None,
    "preheader": None,
    "size": None,
    "headings": {"43", "08", "48"},
    "dropped-html": {"35"},
    "language": {"09", "42"},
    "links": None,
    "images": None,
    "client-rules": None,
    "rows-without-link": None,
    "client-support": {"35"},
    "empty-plan": set(),
}


def read(path) -> str:
    return decode(path.read_bytes())


def visible(html: str) -> str:
    body = re.sub(r"<style.*?</style>|<!--.*?-->", "", html, flags=re.DOTALL)
    return html_module.unescape(re.sub(r"<[^>]+>", "", body))


def code_of(source: str) -> str:
    """What is code in an issue: it shows marks on purpose."""
    blocks = list(walk_blocks(parse(source).blocks))
    spans = [
        one.text for block in blocks for line in lines_of(block) for one in walk(line) if isinstance(one, CodeSpan)
    ]
    return "\n".join([*spans, *(block.text for block in blocks if isinstance(block, Code))])


def dense(text: str) -> str:
    return "".join(text.split())


def words_of(source: str, plan: ReaderPlan) -> list[str]:
    """Every piece of text that this plan may read; but the first head of cards, which names what each heading is."""
    blocks = list(walk_blocks(cut(parse(source), plan).blocks))
    silent = {id(line) for block in blocks if isinstance(block, Table) and is_cards(block) for line in block.head[:1]}
    lines = [line for block in blocks for line in lines_of(block) if id(line) not in silent]
    code = [one.text for one in blocks if isinstance(one, Code)]
    found = [one.text for line in lines for one in walk(line) if isinstance(one, Text | CodeSpan)] + code
    return [words for text in found if (words := dense(text))]


def check_whole(rendering: Rendering, source: str, plan: ReaderPlan) -> None:
    # A masked address has stars of its own.
    filled = values_by_tag(rendering.substitutions, replace(READER, masked_address="masked"))
    html, text = fill(rendering.html, filled), fill(rendering.text, filled)
    code = code_of(source)
    for leftover in LEFTOVERS:
        if leftover not in code:
            assert leftover not in visible(html).replace("&nbsp;", " "), leftover
            assert leftover not in text, leftover
    shown, written = dense(visible(html)), dense(text)
    for words in words_of(source, plan):
        assert words in shown, words
        assert words in written, words
    for link in links_in(html):
        assert link in text or link.removeprefix("mailto:") in text, link
        assert re.match(r"https?://[^/\s]+|mailto:", link), link


@pytest.mark.parametrize("plan", [FREE, PRO], ids=lambda plan: plan.code)
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_an_issue_of_the_corpus_comes_out_right(path, plan):
    source = read(path)
    check_whole(mail(source, plan=plan), source, plan)


def test_the_corpus_is_there():
    assert len(CORPUS) >= 40


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_preflight_tells_nothing_of_the_corpus_but_what_it_is_made_of(path):
    findings = inspect(edition(read(path)))
    assert not [one for one in findings if one.severity is Severity.blocker and one.check != "size"]
    for finding in findings:
        numbers = TOLD.get(finding.check, set())
        assert numbers is None or path.name[:2] in numbers, finding


words = st.sampled_from(
    ["**粗**", "*斜*", "~~删~~", "`码`", "[链](/a)", "[^n]", "中文。", "English", "{{ name }}", "<b>x</b>"]
)
lines = st.lists(words, min_size=1, max_size=4).map(" ".join)
paragraphs = lines
tables = st.integers(1, 6).flatmap(
    lambda width: st.lists(st.lists(lines, min_size=width, max_size=width), min_size=2, max_size=4).map(
        lambda rows: "\n".join(f"| {' | '.join(row)} |" for row in (rows[0], ["---"] * width, *rows[1:]))
    )
)
lists = st.lists(lines, min_size=1, max_size=4).map(lambda items: "\n".join(f"- {item}" for item in items))
leaves = st.one_of(
    paragraphs, tables, lists, lines.map(lambda line: f"### {line}"), lines.map(lambda line: f"> {line}")
)
containers = st.sampled_from(["::: plan pro", "::: tip", "::: sponsor 青木", "::: warning 注意"])
blocks = st.recursive(
    leaves,
    lambda inner: st.tuples(containers, st.lists(inner, min_size=1, max_size=3)).map(
        lambda pair: "\n".join([pair[0], "\n\n".join(pair[1]), ":::"])
    ),
    max_leaves=6,
)
documents = st.lists(blocks, min_size=1, max_size=5).map(
    lambda parts: "# 标题--作者\n\n" + "\n\n".join(parts) + "\n\n[^n]: 注释[外](https://example.org/n)"
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents)
def test_any_generated_issue_comes_out_right(source):
    for plan in (FREE, PRO):
        check_whole(mail(source, plan=plan), source, plan)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.sampled_from([*':::|-*_`[]()<>#!{}\n\n\n 中a.。1~^"=&', "::: plan pro\n", "\n:::\n", "<div>", "{{ name }}"]),
        max_size=60,
    )
)
def test_any_text_is_a_mail_or_a_bad_issue(pieces):
    try:
        rendering = mail(f"# 标题\n\n{''.join(pieces)}")
    except BadIssue:
        return
    assert rendering.html.endswith("</html>")
