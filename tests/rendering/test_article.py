"""The article: an issue for the web, of the same blocks as its mail, and nobody's own."""

import re
from dataclasses import replace
from typing import Any

import pytest
from lxml import html as lxml_html

from newsletter.issues.access import ANONYMOUS, ReaderPlan, cut
from newsletter.issues.document import decode, parse
from newsletter.rendering.article import Article, article
from newsletter.rendering.export import files
from tests.mails import CORPUS, FACE, PRO, THEME
from tests.mails import mail as mail_of


def made(source: str, plan: ReaderPlan = ANONYMOUS, **face: Any) -> Article:
    return article(
        cut(parse(source), plan), replace(FACE, **face), plan, THEME, sign_in_url="https://n.example.com/sign-in"
    )


def words(markup: str) -> str:
    return "".join(lxml_html.fromstring(f"<div>{markup}</div>").text_content().split())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_it_says_what_the_mail_says_without_anything_for_mail_programs(path):
    source = decode(path.read_bytes())
    page, mail = made(source, PRO), files(mail_of(source, plan=PRO))["issue.html"]
    assert "[if mso]" not in page.body
    assert 'role="presentation"' not in page.body
    assert "clicktracking" not in page.body
    assert not re.search(r"-[0-9a-f]{12}\.\d+-", page.title + page.body + page.text + page.summary)
    (body,) = lxml_html.fromstring(mail).cssselect("body")
    shown = "".join(body.text_content().split())
    for section in lxml_html.fromstring(f"<div>{page.body}</div>").cssselect("section > *"):
        # The reader's own addresses stand in a mail alone.
        if not section.cssselect("a") or section.cssselect("a[href]"):
            assert "".join(section.text_content().split()) in shown or "{{" in source


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_its_text_is_what_its_body_says(path):
    page = made(decode(path.read_bytes()))
    assert "".join(page.text.split()) == words(page.body)


def test_fields_fall_to_what_the_author_says_where_there_is_no_reader():
    source = (
        "# {{ name }}，你好\n\n{{ name | default('朋友') }}，方案{{ plan | default('免费') }}，{{ publication }}。"
        "[退订]({{ unsubscribe_url }}) {{ read_url }}"
    )
    page = made(source)
    assert page.title == "读者，你好"
    assert page.text == "朋友，方案免费，测试刊。退订"
    assert "href" not in page.body


def test_a_teaser_leads_to_the_plan_and_to_a_link_for_who_has_it():
    source = "# 标题\n\n::: plan pro teaser='三张表'\n一段。\n:::"
    page = made(source)
    assert 'href="https://news.example.com/pro"' in page.body
    assert 'href="https://n.example.com/sign-in"' in page.body
    assert "一段" not in page.body
    assert "三张表" in page.text
    assert "sign-in" not in made(source, upgrade_url="").body.replace("https://n.example.com/sign-in", "")


def test_the_standing_footer_is_cut_too_and_is_no_part_of_the_text():
    page = made("# 标题\n\n一段。", standing_footer="声明。\n\n::: plan pro\n只给专业读者。\n:::")
    assert "声明" in page.footer
    assert "只给专业读者" not in page.footer
    assert page.text == "一段。"


@pytest.mark.parametrize("hostile", ["<script>x</script>", '"><img src=x onerror=y>', "]]>", "&lt;b&gt;"])
def test_what_an_author_writes_stays_text(hostile):
    page = made(f"---\ntitle: '{hostile}'\n---\n\n`{hostile}` {hostile}")
    found = lxml_html.fromstring(f"<div>{page.body}</div>")
    assert not found.cssselect("script, [onerror]")
    assert page.title == hostile
    assert hostile in page.text
