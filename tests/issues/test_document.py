"""Markdown becomes a document: the real weekly's form, front matter over it, and a sentence for what cannot be read."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import BadIssue
from newsletter.issues.blocks import Code, Image, Listing, Paragraph, Quote, Rule, Table
from newsletter.issues.document import decode, parse
from newsletter.issues.inline import Link, Strong, Text, plain


def blocks(source):
    return parse(f"# 标题\n\n{source}").sections[0].blocks


def test_the_weekly_is_read_whole(weekly_issue):
    document = parse(decode(weekly_issue.read_bytes()))
    first_line = weekly_issue.read_text(encoding="utf-8").splitlines()[0]
    assert f"{document.title}--{document.byline}" == first_line
    assert len(document.sections) == 4
    tables = [block for section in document.sections for block in section.blocks if isinstance(block, Table)]
    assert sum(len(table.rows) for table in tables) == weekly_issue.read_text(encoding="utf-8").count("\n| ") - 2 * len(
        tables
    ) + len(tables)
    assert all(len(row) == len(table.head) == 3 for table in tables for row in table.rows)
    assert all(ord(plain(section.heading)[0]) > 0x2000 for section in document.sections)


@pytest.mark.parametrize(
    ("source", "title", "byline"),
    [
        ("标题--作者\n\n一段。", "标题", "作者"),
        ("标题 —— 作者\n\n一段。", "标题", "作者"),
        ("# 标题\n\n一段。", "标题", ""),
        ("# 标题--作者\n\n一段。", "标题", "作者"),
        ("**标题**\n\n## 一节\n", "标题", ""),
        ("---\ntitle: 标题\n---\n一段。", "标题", ""),
        ("---\ntitle: 新题\n---\n旧题--作者\n\n一段。", "新题", "作者"),
        ("\ufeff标题--作者\r\n\r\n一段。", "标题", "作者"),
        ("标题--作者\n\n\t代码", "标题", "作者"),
    ],
)
def test_a_title_is_found(source, title, byline):
    document = parse(decode(source.encode()))
    assert (document.title, document.byline) == (title, byline)


@pytest.mark.parametrize(
    "source", ["一段。\n\n又一段。", "| a |\n|---|\n| 1 |", "## 一节\n\n一段。", "两行\n一段\n\n## 节"]
)
def test_without_a_title_it_says_how_to_give_one(source):
    with pytest.raises(BadIssue, match=r"no title.*title--byline"):
        parse(source)


def test_front_matter_overrides_what_is_found():
    document = parse(
        "---\ntitle: 甲\nbyline: 乙\nsubject: 丙\npreheader: 丁\ndate: 2026-11-23\nnumber: 7\nlocale: en\n"
        "site_url: https://a.example\nplans: [pro]\n---\n# 戊--己\n\n一段。"
    )
    front = document.front
    assert (document.title, document.byline, document.subject) == ("甲", "乙", "丙")
    assert (front.preheader, front.date, front.number, front.locale) == ("丁", dt.date(2026, 11, 23), 7, "en")
    assert (front.site_url, front.plans) == ("https://a.example", ("pro",))


@pytest.mark.parametrize(
    ("front", "says"),
    [
        ("title: [a", "no YAML"),
        ("titel: a", "titel"),
        ("- a", "name: value"),
        ("date: 昨天", "date"),
        ("date: 2026-13-45", "date|exist"),
        ("number: 一", "number"),
        ("number: true", "number"),
        ("plans: 3", "plans"),
        ("plans: []", "plans"),
        ("site_url: nowhere", "site_url"),
        ("subject: [a]", "subject"),
        ("subject: ''", "empty"),
    ],
)
def test_broken_front_matter_is_named(front, says):
    with pytest.raises(BadIssue, match=says):
        parse(f"---\n{front}\n---\n# 标题\n")


@pytest.mark.parametrize(
    ("data", "line"),
    [(b"a\nb\0c", 2), (b"a\nb\n\xff", 3), (b"", None), (b" \n\t\n", None), ("标题".encode("gb18030"), 1)],
)
def test_bytes_that_are_no_text_are_refused_with_their_place(data, line):
    with pytest.raises(BadIssue) as refused:
        decode(data)
    assert refused.value.line == line


@pytest.mark.parametrize(
    "source", ["**结论：**本周", "本周**“结论”**如下", "**A（甲）**乙", "*（重点）*后文", "**今日关键词**: 甲"]
)
def test_bold_beside_chinese_punctuation_is_bold(source):
    (paragraph,) = blocks(source)
    assert isinstance(paragraph, Paragraph)
    assert "*" not in plain(paragraph.inlines)


def test_every_kind_of_block_is_read_with_its_line():
    lists, code = "- 甲\n  - 乙\n\n3. 丙", "```py\nx = 1\n```"
    table = "| a | b |\n|:-:|--:|\n| 1 |"
    found = blocks(f"段\n\n{lists}\n\n> 引\n\n{code}\n\n![图](/a.png)\n\n---\n\n{table}")
    assert [type(block) for block in found] == [Paragraph, Listing, Listing, Quote, Code, Image, Rule, Table]
    assert [block.line for block in found] == [3, 5, 8, 10, 12, 16, 18, 20]
    assert isinstance(found[2], Listing)
    assert found[2].start == 3
    assert isinstance(found[7], Table)
    assert found[7].alignments == ("center", "right")
    assert found[7].rows == (((Text("1"),), ()),)


def test_cells_hold_links_marks_and_escaped_pipes():
    (table,) = blocks(r"| 甲 |" + "\n|---|\n" + r"| [a\|b](/x) **c** `d\|e` |")
    assert isinstance(table, Table)
    cell = table.rows[0][0]
    assert cell[0] == Link("/x", (Text("a|b"),))
    assert Strong((Text("c"),)) in cell


@given(st.text(max_size=200))
def test_any_text_is_a_document_or_a_bad_issue(source):
    """Nothing an author types can do anything else."""
    try:
        document = parse(source)
    except BadIssue:
        return
    assert document.title.strip()
    assert document.nonce not in source


@given(st.binary(max_size=200))
def test_any_bytes_are_text_or_a_bad_issue(data):
    try:
        text = decode(data)
    except BadIssue:
        return
    assert "\r" not in text
    assert text.strip()
