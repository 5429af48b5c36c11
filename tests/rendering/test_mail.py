"""A document becomes a mail: both parts whole, with the same links, and nothing an author writes breaks out of it."""

import html as html_module
import json
import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.errors import BadIssue
from newsletter.issues.blocks import Table
from newsletter.issues.document import decode, parse
from newsletter.issues.inline import Field, plain
from newsletter.issues.table_forms import is_cards
from newsletter.rendering.export import files
from newsletter.rendering.links import Links
from newsletter.rendering.mail import Face, links_in
from newsletter.rendering.personalisation import Place, ReaderValues, Tags, fill, values_by_tag
from tests.mails import READER, mail


READ_AT = "https://example.com/"


def visible(html: str) -> str:
    """What a reader sees of an HTML mail, without mark-up."""
    body = re.sub(r"<style.*?</style>|<!--.*?-->", "", html, flags=re.DOTALL)
    return html_module.unescape(re.sub(r"<[^>]+>", "", body))


@pytest.fixture(scope="module")
def weekly(weekly_issue):
    source = decode(weekly_issue.read_bytes())
    return parse(source), mail(source)


def test_every_cell_and_paragraph_of_the_weekly_is_in_both_parts(weekly):
    document, rendering = weekly
    seen, text = visible(rendering.html), rendering.text
    tables = [block for section in document.sections for block in section.blocks if isinstance(block, Table)]
    cells = [plain(cell) for table in tables for row in table.rows for cell in row]
    assert len(cells) >= 3 * 9
    for cell in cells:
        assert cell in seen
        assert cell in text
    for line in text.splitlines():
        if line.startswith(("1. ", "2. ", "3. ", "- ")):
            assert re.sub(r" \[\d+\]", "", line.lstrip("123.- ")) in seen


def test_the_weekly_has_absolute_links_the_same_in_both_parts(weekly):
    _, rendering = weekly
    filled = values_by_tag(rendering.substitutions, READER)
    html_links = set(links_in(fill(rendering.html, filled)))
    text_links = set(re.findall(r"https?://\S+", fill(rendering.text, filled)))
    assert html_links == text_links
    assert all(urlsplit(link).scheme == "https" and urlsplit(link).hostname for link in html_links)
    assert READER.unsubscribe_url in html_links


def test_the_weekly_keeps_title_byline_doctype_and_no_marks(weekly):
    document, rendering = weekly
    assert rendering.subject == document.title
    assert document.byline in visible(rendering.html)
    assert document.byline in rendering.text
    assert rendering.html.startswith("<!DOCTYPE html>")
    assert "**" not in rendering.html + rendering.text
    assert "今日关键词" in rendering.preheader or "本周关键词" in rendering.preheader
    assert len(rendering.html.encode()) < 45_000


def test_rendering_is_deterministic(weekly_issue):
    source = decode(weekly_issue.read_bytes())
    assert mail(source) == mail(source)


def test_both_parts_force_utf_8():
    """SendGrid takes Latin-1 for content that fits it, and Gmail clips such mails whatever their size."""
    english = mail("---\nlocale: en\n---\n# Hello\n\nCafé.", Face("News", "https://a.example", "1 Road", "en"))
    for part in (english.html, english.text):
        assert part.isascii() or any(ord(character) > 0xFF for character in part)


def test_the_language_is_said_on_the_page_and_on_its_wrapper():
    rendering = mail("---\nlocale: en\n---\n# Hello\n\nText.")
    assert rendering.html.count('lang="en"') == 2
    assert "Unsubscribe" in rendering.html
    assert "退订" not in rendering.html


def test_both_parts_hold_the_postal_address_the_reason_and_the_way_out():
    rendering = mail("# 标题\n\n一段。")
    filled = values_by_tag(rendering.substitutions, READER)
    for part in (fill(rendering.html, filled), fill(rendering.text, filled)):
        assert "示例路 1 号" in part
        assert "王小明，你好" in part
        assert READER.unsubscribe_url in part
        assert parse("# 标题\n\n一段。").nonce not in part


@pytest.mark.parametrize(
    ("target", "resolved"),
    [
        ("/News/abc", "https://a.example/News/abc"),
        ("News/abc", "https://a.example/base/News/abc"),
        ("//b.example/x", "https://b.example/x"),
        ("https://b.example/路?q=中 文", "https://b.example/%E8%B7%AF?q=%E4%B8%AD%20%E6%96%87"),
        ("https://b.example/%E8%B7%AF", "https://b.example/%E8%B7%AF"),
        ("mailto:a@b.example", "mailto:a@b.example"),
        ("#here", None),
        ("", None),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("file:///etc/passwd", None),
        ("http://", None),
        ("http://[::1", None),
    ],
)
def test_a_link_becomes_absolute_or_text(target, resolved):
    assert Links("https://a.example/base").resolve(target) == resolved


def test_an_anchor_and_an_attack_are_read_as_text():
    rendering = mail("# 标题\n\n[目录](#a) 与 [点我](javascript:alert(1))")
    assert "目录" in visible(rendering.html)
    assert not any("javascript" in link for link in rendering.links)
    assert rendering.links == ("https://news.example.com",)


def test_a_rule_before_a_heading_is_left_out_and_one_in_the_text_stays():
    rendering = mail("# 标题\n\n## 甲\n\n一。\n\n---\n\n二。\n\n---\n\n## 乙\n\n三。")
    assert rendering.html.count("<hr") == 1
    assert rendering.text.count("* * *") == 1


def table(head, *rows):
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    return "# 标题\n\n" + "\n".join(lines)


@pytest.mark.parametrize(
    ("source", "cards"),
    [
        (table(["年", "万元"], ["2025", "12"]), False),
        (table(["甲", "乙", "丙"], ["短", "短", "这一格很长很长很长很长很长"]), True),
        (table(["a", "b", "c", "d", "e"], ["1", "2", "3", "4", "5"]), True),
        (table(["只有一列"], ["这一格很长很长很长很长很长很长"]), False),
        (table(["甲", "乙"]), False),
    ],
)
def test_a_table_takes_its_form_by_its_content(source, cards):
    (block,) = parse(source).sections[0].blocks
    assert isinstance(block, Table)
    assert is_cards(block) is cards
    rendering = mail(source)
    assert ('scope="col"' in rendering.html) is not cards


def test_a_card_has_its_link_in_its_heading_and_each_cell_its_label():
    rendering = mail(table(["事件", "要点", "影响"], ["[甲](/a)", "要点很长很长很长很长很长很长", "影响"]))
    assert re.search(r'<h2[^>]*><a [^>]*href="https://news.example.com/a"[^>]*>甲</a></h2>', rendering.html)
    assert rendering.text.count("要点: ") == 1
    assert "■ 甲 [1]" in rendering.text
    # Outlook's table is opened once and closed once, each in a comment that is whole by itself.
    assert re.findall(r"<!--\[if mso\]>(<table class=\"ghost\"|</td></tr></table>)", rendering.html) == [
        '<table class="ghost"',
        "</td></tr></table>",
    ]


def test_nothing_an_author_writes_is_a_template_or_mark_up():
    hostile = "{{ 7*7 }} {% raw %} <mj-text>x</mj-text> </td></table> <!-- slot:0 --> -->]]> & < > \" '"
    rendering = mail(f"---\ntitle: '{hostile.replace(chr(39), '')}'\n---\n\n{hostile}")
    assert "{{ 7*7 }} {% raw %} <mj-text>x</mj-text> </td></table>" in visible(rendering.html)
    assert "{{ 7*7 }}" in rendering.text


def test_an_author_cannot_write_a_tag():
    """Also not by writing the tags of this very source's earlier rendering."""
    first = mail("# 标题\n\n一段。")
    tags = " ".join(one.tag for one in first.substitutions)
    second = mail(f"# 标题\n\n{tags}")
    filled = values_by_tag(second.substitutions, READER)
    assert tags in fill(second.html, filled)
    assert fill(second.html, filled).count("王小明") == 1


@given(name=st.text(max_size=40))
def test_a_readers_name_cannot_break_out(name):
    tags = Tags("0123456789ab", "读者", {})
    by_place = {place: tags.write(Field("name"), place) for place in Place}
    values = values_by_tag(tags.made, ReaderValues(name, "w***@q**.com", *["https://n.example.com/u/x"] * 3))
    assert not set(values[by_place[Place.html]]) & set("<>\"'\r\n")
    for place in (Place.text, Place.subject):
        assert not set(values[by_place[place]]) & set("\r\n\t\v\f\x1c\x85\u2028\u2029\u202e")
    assert all(tags.nonce not in value for value in values.values())
    assert all(values.values())


def test_who_gave_no_name_is_addressed_all_the_same():
    rendering = mail("# 标题\n\n一段。")
    nobody = ReaderValues("  ", "", *["https://n.example.com/u/x"] * 3)
    assert "读者，你好" in fill(rendering.text, values_by_tag(rendering.substitutions, nobody))


def test_both_parts_say_masked_to_which_address_the_mail_went():
    """So that who forwards it, or has several addresses, learns which one is subscribed."""
    rendering = mail("# 标题\n\n一段。")
    odd = replace(READER, masked_address="&***@q**.com")
    filled = values_by_tag(rendering.substitutions, odd)
    assert "这封邮件寄往 &***@q**.com，" in fill(rendering.text, filled)
    assert "这封邮件寄往 &amp;***@q**.com，" in fill(rendering.html, filled)
    assert fill(rendering.html, filled).count("q**.com") == 1


def test_the_four_files_are_filled_with_samples():
    written = files(mail("# 标题\n\n[甲](/a)"))
    assert set(written) == {"issue.mjml", "issue.html", "issue.txt", "issue.json"}
    facts = json.loads(written["issue.json"])
    assert facts["subject"] == "标题"
    assert facts["plan"] == "free"
    assert "https://news.example.com/a" in facts["links"]
    assert "https://example.com/u/sample" in facts["links"]
    assert facts["sizes"]["html"] == len(written["issue.html"].encode())
    assert "读者，你好" in written["issue.txt"]


words = st.text(alphabet="ab 中文。：*_`[]()|#->!<&\n\t~1.", max_size=120)


@settings(max_examples=60, deadline=None)
@given(words)
def test_any_issue_renders_with_the_same_links_in_both_parts(body):
    try:
        rendering = mail(f"# 标题\n\n{body}\n\n[甲](/a)")
    except BadIssue:
        return
    for link in rendering.links:
        assert link.removeprefix("mailto:") in rendering.text
        assert urlsplit(link).scheme in {"http", "https", "mailto"}
    assert "slot:" not in rendering.html
