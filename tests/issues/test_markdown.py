"""Markdown as people write it: containers, raw HTML, footnotes, fields, tasks, addresses, and CJK beside every mark."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import BadIssue
from newsletter.issues.bare_addresses import with_links
from newsletter.issues.blocks import (
    Callout,
    Code,
    Heading,
    Image,
    Listing,
    Paragraph,
    Quote,
    Restricted,
    Sponsor,
    Table,
    walk_blocks,
)
from newsletter.issues.document import parse
from newsletter.issues.inline import (
    Break,
    CodeSpan,
    Emphasis,
    Field,
    Footnote,
    Link,
    Picture,
    Strong,
    Struck,
    Styled,
    Text,
    plain,
    walk,
)
from tests.mails import mail


def blocks(source):
    return parse(f"# 标题\n\n{source}").blocks


def line(source):
    (paragraph,) = blocks(source)
    assert isinstance(paragraph, Paragraph)
    return paragraph.inlines


@pytest.mark.parametrize(
    ("source", "bold"),
    [
        ("**重点：**后面", "重点："),
        ("前面**“引号”**后面", "“引号”"),
        ("**《书名》**的", "《书名》"),
        ("他说**（括号）**。", "（括号）"),
        ("**“따옴표”**는 좋다", "“따옴표”"),
        ("**(괄호)**의 뜻", "(괄호)"),
        ("**強調。**次の文", "強調。"),
        ("ｱｲｳ**「ｴ」**ｵ", "「ｴ」"),
        ("a**b**c", "b"),
        ("**1.5%**增长", "1.5%"),
    ],
)
def test_bold_opens_and_closes_beside_cjk(source, bold):
    assert [plain(one.children) for one in line(source) if isinstance(one, Strong)] == [bold]


@pytest.mark.parametrize("source", ["2 * 3 * 4", "a ** b ** c", "snake_case_name", "** 空 **"])
def test_what_is_no_emphasis_stays_text(source):
    assert line(source) == (Text(source),)


def test_emphasis_and_strikethrough_beside_cjk():
    assert line("*强调*。~~删除~~了") == (
        Emphasis((Text("强调"),)),
        Text("。"),
        Struck((Text("删除"),)),
        Text("了"),
    )


@pytest.mark.parametrize(
    ("source", "joined"),
    [
        ("第一行\n第二行", "第一行第二行"),
        ("한국어\n줄", "한국어 줄"),
        ("one\ntwo", "one two"),
        ("行。\nword", "行。 word"),
    ],
)
def test_a_line_end_between_chinese_characters_is_no_space(source, joined):
    assert plain(line(source)) == joined


def test_a_hard_line_end_stays():
    assert Break(hard=True) in line("第一行  \n第二行")


@pytest.mark.parametrize(
    ("text", "address", "target"),
    [
        ("见https://a.example/x_y，后面", "https://a.example/x_y", None),
        ("（https://a.example/(q)）", "https://a.example/(q)", None),
        ("(https://a.example/b).", "https://a.example/b", None),
        ("https://a.example。", "https://a.example", None),
        ("www.a.example/b!", "www.a.example/b", "https://www.a.example/b"),
        ("写信给a.b+c@d.example。", "a.b+c@d.example", "mailto:a.b+c@d.example"),
        ("https://a.example/?a=1&b=2#c。", "https://a.example/?a=1&b=2#c", None),
    ],
)
def test_a_bare_address_ends_where_the_text_goes_on(text, address, target):
    links = [one for one in with_links(text) if isinstance(one, Link)]
    assert links == [Link(target or address, (Text(address),))]
    assert plain(with_links(text)) == text


@given(st.text(alphabet="ahtps:/.w@，。()[]-_ 中a1", max_size=60))
def test_no_character_is_lost_around_addresses(text):
    assert plain(with_links(text)) == text


def test_an_address_in_a_links_words_is_no_link_in_a_link():
    (one,) = line("[https://a.example](https://b.example)")
    assert one == Link("https://b.example", (Text("https://a.example"),))


def test_containers_hold_blocks_and_say_what_they_are():
    (restricted,) = blocks('::: plan pro,team 甲 teaser="三张表"\n## 深入\n\n一段。\n:::')
    assert isinstance(restricted, Restricted)
    assert (restricted.plans, restricted.teaser, restricted.line) == (("pro", "team", "甲"), "三张表", 3)
    assert [type(block) for block in restricted.blocks] == [Heading, Paragraph]
    assert blocks("::: sponsor 青木 软件 label=“合作”\n买。\n:::") == (
        Sponsor("青木 软件", "合作", (Paragraph((Text("买。"),), 4),), 3),
    )
    (callout,) = blocks("::: warning **小心** {{ name }}\n一段。\n:::")
    assert isinstance(callout, Callout)
    assert callout.title == (Strong((Text("小心"),)), Text(" "), Field("name"))


def test_the_closing_line_closes_what_was_opened_last_whatever_its_length():
    """In markdown-it's plugin the first `:::` would close the outer one, and what follows would be public."""
    outer, after = blocks("::: plan pro\n:::: tip\n好。\n::::\n::: note\n又。\n:::\n秘密。\n:::\n\n公开。")
    assert isinstance(outer, Restricted)
    assert [type(block) for block in outer.blocks] == [Callout, Callout, Paragraph]
    assert after == Paragraph((Text("公开。"),), 13)


@pytest.mark.parametrize(
    "source",
    [
        "：：： plan pro\n秘密。\n：：：",
        ":::plan pro\n秘密。\n:::",
        "前一行\n::: plan pro\n秘密。\n:::",
        "- 一\n  ::: plan pro\n  秘密。\n  :::",
        "> ::: plan pro\n> 秘密。\n> :::",
        "::: plan pro\n```\n:::\n```\n秘密。\n:::",
        "::: plan pro\n- 一\n\n  秘密。\n:::",
        "::: plan pro\n> 秘密。\n:::",
        "::: plan pro\n<div>\n秘密。\n</div>\n:::",
    ],
)
def test_a_container_holds_its_text_however_it_is_written(source):
    found = [block for block in walk_blocks(blocks(f"{source}\n\n公开。")) if isinstance(block, Restricted)]
    assert len(found) == 1
    assert "秘密" in repr(found[0])
    assert "秘密" not in repr(blocks(f"{source}\n\n公开。")).replace(repr(found[0]), "")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("::: plan pro\n秘密。", "line 3.*never closed"),
        ("::: plan pro\n```\n秘密。\n:::", "never closed"),
        ("::: paln pro\n秘密。\n:::", "paln.*plan, sponsor"),
        ("::: plan\n秘密。\n:::", "which plans"),
        ('::: plan pro teazer="x"\n秘密。\n:::', "teazer"),
        ("一段。\n\n:::", "opens or closes nothing"),
        ("一段。\n    ：：：plan pro", "opens or closes nothing"),
        ("    ::: plan pro\n    秘密。\n    :::", "opens or closes nothing"),
        ("<div>\n::: plan pro\n秘密。\n:::\n</div>", "opens or closes nothing"),
        ("1. 一\n   ::: plan pro\n2. 秘密", "never closed"),
        ("```\n没有关上\n\n::: plan pro\n秘密\n:::", "opens or closes nothing"),
        ("~~~\n- ::: plan pro\n  秘密\n  :::", "opens or closes nothing"),
        ("<div>\n> ::: plan pro\n> 秘密\n</div>", "opens or closes nothing"),
        ("<!--\n::: plan pro\n-->\n秘密\n\n<!--\n:::\n-->", "opens or closes nothing"),
        ("    - ::: plan pro\n      秘密", "opens or closes nothing"),
        ("秘密\n:::\n---", "opens or closes nothing"),
    ],
)
def test_a_container_that_would_let_everything_out_is_an_error(source, says):
    with pytest.raises(BadIssue, match=says):
        blocks(source)


def test_a_container_can_be_commented_out_as_a_whole():
    assert blocks("<!--\n::: plan pro\n草稿\n:::\n-->\n\n一段。") == (Paragraph((Text("一段。"),), 9),)


def test_a_fence_in_code_is_code():
    assert blocks("```\n::: plan pro\n```") == (Code("::: plan pro", "", 3),)
    assert line("写 `::: plan pro` 即可") == (Text("写 "), CodeSpan("::: plan pro"), Text(" 即可"))


def test_footnotes_go_with_their_marks():
    first, second = blocks("甲[^a]与乙[^a]和丙^[行内注]\n\n丁[^b]\n\n[^a]: 注甲\n\n    第二段\n\n[^b]: 注乙 [链](/x)")
    assert isinstance(first, Paragraph)
    marks = [one for one in first.inlines if isinstance(one, Footnote)]
    assert [mark.label for mark in marks] == ["a", "a", "^1"]
    assert marks[0].blocks == marks[1].blocks
    assert len(marks[0].blocks) == 2
    assert isinstance(second, Paragraph)
    assert plain(second.inlines) == "丁"


def test_a_note_that_holds_its_own_mark_ends():
    (paragraph,) = blocks("甲[^a]\n\n[^a]: 注[^a]")
    assert isinstance(paragraph, Paragraph)


def test_a_note_inside_a_note_is_an_error_and_no_crash():
    with pytest.raises(BadIssue, match="inside another one"):
        blocks("- [^1]: 2) [^1]: 甲\n\n乙[^1]")


def test_a_note_written_in_a_container_stays_in_it():
    """Its mark may stand outside, and then it must not carry the note out."""
    source = "::: plan pro\n甲[^a]\n\n[^a]: 秘密注\n:::\n\n公开[^a]"
    *_, outside = blocks(source)
    assert isinstance(outside, Paragraph)
    (note,) = [one for one in outside.inlines if isinstance(one, Footnote)]
    assert [type(block) for block in note.blocks] == [Restricted]


def test_tasks_know_whether_they_are_done():
    (listing,) = blocks("- [x] 完成\n- [ ] 未完 **粗**\n- [待定] 不是任务\n- [X]\t制表符")
    assert isinstance(listing, Listing)
    assert [item.done for item in listing.items] == [True, False, None, True]
    assert [plain(one.inlines) for item in listing.items for one in item.blocks if isinstance(one, Paragraph)] == [
        "完成",
        "未完 粗",
        "[待定] 不是任务",
        "制表符",
    ]


def test_github_alerts_are_callouts_and_other_quotes_are_not():
    assert [type(block) for block in blocks("> [!WARNING]\n> 小心。\n\n一\n\n> [脚注] 普通")] == [
        Callout,
        Paragraph,
        Quote,
    ]


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ("{{ name }}", Field("name")),
        ("{{name}}", Field("name")),
        ('{{ name | default("读*_*者") }}', Field("name", "读*_*者")),
        ("{{ name|default('朋友') }}", Field("name", "朋友")),
        ("{{ name | default（“朋友”） }}", Field("name", "朋友")),
        ("{{ number }}", Field("number")),
    ],
)
def test_a_field_is_read_as_people_write_it(source, field):
    assert line(f"你好，{source}！") == (Text("你好，"), field, Text("！"))


def test_what_only_looks_like_a_field_is_text():
    assert line("{{ name | upper }}") == (Text("{{ name | upper }}"),)
    assert line("`{{ name }}`") == (CodeSpan("{{ name }}"),)


@pytest.mark.parametrize("target", ["{{ unsubscribe_url }}", "<{{ unsubscribe_url }}>", "{{unsubscribe_url}}"])
def test_a_link_can_lead_to_a_field(target):
    (link,) = line(f"[**退订**]({target})")
    assert isinstance(link, Link)
    assert link.children == (Strong((Text("退订"),)),)


def test_attributes_make_buttons_and_widths():
    (link,) = line("[加入](/join){.button}")
    assert isinstance(link, Link)
    assert link.button
    assert blocks("![图](/a.png){width=120}") == (Image(Picture("/a.png", "图", 120), "", 3),)
    assert blocks("[![图](/a.png)](/b)") == (Image(Picture("/a.png", "图"), "/b", 3),)


def test_raw_html_becomes_what_it_means():
    assert line('H<sub>2</sub>O <b>粗 *斜*</b><br><img src="/a.png" alt="图" width="80px"> <a href="/x">链</a>') == (
        Text("H"),
        Styled("sub", (Text("2"),)),
        Text("O "),
        Strong((Text("粗 "), Emphasis((Text("斜"),)))),
        Break(hard=True),
        Picture("/a.png", "图", 80),
        Text(" "),
        Link("/x", (Text("链"),)),
    )
    found = blocks(
        "<div align=center><h3>题</h3><p>段 <code>a</code></p><ul><li>一</li></ul>"
        "<table><tr><th>甲</th></tr><tr><td>1</td></tr></table></div>"
    )
    assert [type(block) for block in found] == [Heading, Paragraph, Listing, Table]


def test_a_details_element_shows_all_it_holds():
    found = blocks("<details>\n<summary>更多</summary>\n\n内容**粗**\n\n</details>")
    assert [plain(block.inlines) for block in found if isinstance(block, Paragraph)] == ["更多", "内容粗"]


@pytest.mark.parametrize(
    ("source", "dropped"),
    [
        ("<script>alert(1)</script>", {"<script>"}),
        ("一 <iframe src=x></iframe> 二", {"<iframe>"}),
        ("<style>p{}</style>", {"<style>"}),
        ("<b onclick=x()>粗</b>", {"onclick of <b>"}),
        ("<a href='javascript:x()'>链</a>", {"the address 'javascript:x()' of <a>"}),
        ("<img src='data:image/png;base64,AA' alt='图'>", {"the address 'data:image/png;base64,AA' of <img>"}),
        ("<mj-text>字</mj-text>", {"<mj-text>"}),
        ("<p align=center style='color:red'>字</p>", set()),
        ("<!-- 注释 -->", set()),
        ("</td></table>字", set()),
    ],
)
def test_what_no_mail_can_hold_is_dropped_and_told(source, dropped):
    document = parse(f"# 标题\n\n{source}\n\n后面。")
    assert {one.what for one in document.dropped} == dropped
    shown = repr(document.blocks)
    assert not any(word in shown for word in ("alert(1)", "javascript:", "onclick", "data:image"))
    assert "后面。" in shown


@given(st.text(alphabet="<>/ab='\" !-中scriptonimg", max_size=80))
def test_no_raw_html_breaks_reading(html):
    try:
        parse(f"# 标题\n\n{html}")
    except BadIssue:
        return


def test_headings_find_their_level_below_the_title():
    levels = [block.level for block in blocks("### 甲\n\n#### 乙\n\n> ##### 丙") if isinstance(block, Heading)]
    assert levels == [2, 3]
    assert [one.level for one in walk_blocks(blocks("### 甲\n\n> ##### 丙")) if isinstance(one, Heading)] == [2, 4]


def test_every_inline_is_walked():
    nodes = [type(one) for one in walk(line("**粗 [链 *斜*](/a)**"))]
    assert nodes == [Strong, Text, Link, Text, Emphasis, Text]


@pytest.mark.parametrize("unfit", ["\x01", "\x1b", "\x7f", "\ud800", "\ufffe", "\x0b", "\x0c"])
def test_characters_that_no_mail_can_hold_are_left_out(unfit):
    document = parse(f"# 标{unfit}题\n\n前{unfit}后")
    assert unfit not in repr(document.blocks)
    assert document.title in {"标题", "标 题"}
    rendering = mail(f'---\ntitle: "a\\x07b"\n---\n前{unfit}后')
    assert rendering.subject == "ab"


@pytest.mark.parametrize(
    "source",
    ["<b>" * 3000, "<div>" * 3000, "> " * 5000 + "x", "- " * 3000 + "x", "::: tip\n" * 300 + "x\n" + ":::\n" * 300],
)
def test_what_is_nested_too_deeply_is_refused_or_read(source):
    try:
        mail(f"# 标题\n\n{source}")
    except BadIssue:
        return


def test_nothing_is_left_out_without_a_word():
    with pytest.raises(BadIssue, match="line 3: it is nested more than 100 levels deep"):
        blocks("> " * 500 + "很深")
    assert "很深" in mail(f"# 标题\n\n{'> ' * 40}很深").text


def test_nine_lists_in_one_another_are_read():
    source = "\n".join(f"{'  ' * depth}- 第{depth}层" for depth in range(9))
    assert "第8层" in mail(f"# 标题\n\n{source}").text


def test_marks_that_hold_a_place_cannot_be_written_by_an_author():
    source = "<p>\ue0000\ue001 \ue00099\ue001</p>\n\n甲 <b>乙</b> \ue0000\ue001"
    assert mail(f"# 标题\n\n{source}").text.count("甲") == 1
