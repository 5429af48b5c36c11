"""`/feed.xml` and `/feed.json`: what anybody may read, in forms that feed readers take."""

import json

import pytest
from lxml import etree
from lxml import html as lxml_html

from newsletter.providers.memory import MemoryProvider
from newsletter.publications import Publication, PublicationForm, add_publication, set_publication
from tests.tables import empty
from tests.world import World, make_world


ATOM = "{http://www.w3.org/2005/Atom}"
SOURCE = """---
title: 电池 & <电网>
byline: 甲与乙
preheader: 三件事 < 四件事
---

公开的一段，写给{{ name }}。[自家](/Stories/1)

| 事件 | 要点 | 影响 |
|---|---|---|
| [甲事](/News/1) | 一句话说明甲事的来龙去脉，足够长以至于要用卡片 | 影响说明 |

::: plan pro teaser="三张表"
只有专业版读者能读到的一段。
:::
"""


@pytest.fixture
def world(sqlite_store) -> World:
    return make_world(sqlite_store, MemoryProvider())


@pytest.fixture
def browser(world, open_pages):
    return open_pages(world)


def mail(world, source, **revising):
    world.clock.forward(3600)
    issue_id = world.issue(source, **revising)
    world.schedule(issue_id)
    assert world.begin()
    return issue_id


def atom(browser, path="/feed.xml"):
    answer = browser.get(path)
    assert answer.headers["content-type"] == "application/atom+xml; charset=utf-8"
    return etree.fromstring(answer.content)


def feed(browser, path="/feed.json"):
    answer = browser.get(path)
    assert answer.headers["content-type"] == "application/feed+json; charset=utf-8"
    return json.loads(answer.content)


def test_the_atom_feed_has_what_rfc_4287_asks_for(browser, world):
    issue_id = mail(world, SOURCE)
    root = atom(browser)
    assert root.tag == f"{ATOM}feed"
    assert root.findtext(f"{ATOM}title") == "测试刊"
    assert root.findtext(f"{ATOM}id") == "https://n.example.com/issues/weekly/"
    assert root.findtext(f"{ATOM}updated") == "2026-11-23T02:00:00+00:00"
    assert root.findtext(f"{ATOM}author/{ATOM}name") == "测试刊"
    links = {link.get("rel"): link.get("href") for link in root.findall(f"{ATOM}link")}
    assert links["self"] == "https://n.example.com/feed.xml?publication=weekly"
    (entry,) = root.findall(f"{ATOM}entry")
    assert entry.findtext(f"{ATOM}id") == f"https://n.example.com/issues/weekly/{issue_id}"
    assert entry.findtext(f"{ATOM}title") == "电池 & <电网>"
    assert entry.findtext(f"{ATOM}published") == entry.findtext(f"{ATOM}updated") == "2026-11-23T02:00:00+00:00"
    assert entry.findtext(f"{ATOM}author/{ATOM}name") == "甲与乙"
    assert entry.findtext(f"{ATOM}summary") == "三件事 &lt; 四件事"
    assert entry.find(f"{ATOM}link").get("href").startswith("https://n.example.com/issues/weekly/")


def test_the_json_feed_is_of_version_1_1_and_says_the_same(browser, world):
    issue_id = mail(world, SOURCE)
    said = feed(browser)
    assert said["version"] == "https://jsonfeed.org/version/1.1"
    assert said["title"] == "测试刊"
    assert said["home_page_url"] == "https://n.example.com/issues/weekly/"
    assert said["feed_url"] == "https://n.example.com/feed.json?publication=weekly"
    (item,) = said["items"]
    (entry,) = atom(browser).findall(f"{ATOM}entry")
    assert item["id"] == entry.findtext(f"{ATOM}id") == f"https://n.example.com/issues/weekly/{issue_id}"
    assert item["content_html"] == entry.findtext(f"{ATOM}content")
    assert item["summary"] == "三件事 < 四件事"
    assert item["date_published"] == "2026-11-23T02:00:00+00:00"


def test_the_text_of_an_entry_is_plain_html_with_whole_addresses(browser, world):
    mail(world, SOURCE)
    content = lxml_html.fromstring(feed(browser)["items"][0]["content_html"])
    assert "写给读者。" in content.text_content()
    assert "三张表" in content.text_content()
    assert "只有专业版读者" not in content.text_content()
    hrefs = [link.get("href") for link in content.iter("a")]
    assert "https://news.example.com/Stories/1" in hrefs
    assert all(href.startswith("https://") for href in hrefs)
    assert not content.cssselect("table, style, script, [style]")


def test_a_mended_issue_stays_the_same_entry(browser, world):
    issue_id = mail(world, SOURCE)
    before = feed(browser)["items"][0]
    mail(world, SOURCE.replace("电池", "Batteries and storage"), revises=issue_id)
    (after,) = feed(browser)["items"]
    assert after["id"] == before["id"]
    assert after["url"] != before["url"]
    assert after["date_published"] == before["date_published"]
    assert after["date_modified"] > before["date_modified"]


def test_the_newest_twenty_are_in_it(browser, world):
    for number in range(22):
        mail(world, f"# 第 {number} 封信\n\n一段。")
    titles = [item["title"] for item in feed(browser)["items"]]
    assert titles == [f"第 {number} 封信" for number in range(21, 1, -1)]


def test_a_feed_without_issues_stands_still(browser, world):
    first, second = browser.get("/feed.xml"), browser.get("/feed.xml")
    assert first.content == second.content
    assert etree.fromstring(first.content).findtext(f"{ATOM}updated") == "2026-11-23T01:00:00+00:00"
    assert feed(browser)["items"] == []


def test_each_of_several_publications_has_its_own(browser, world):
    mail(world, SOURCE)
    with world.database.writing() as session:
        form = PublicationForm(name="另一刊", sender="b@news.example.com", locale="en")
        add_publication(session, "other", form, now=world.clock())
    for path in ("/feed.xml", "/feed.json", "/feed.xml?publication=none"):
        assert browser.get(path).status_code == 404
    assert len(atom(browser, "/feed.xml?publication=weekly").findall(f"{ATOM}entry")) == 1
    assert feed(browser, "/feed.json?publication=other")["title"] == "另一刊"


def test_there_is_no_feed_where_there_is_no_publication(browser, world):
    with world.database.writing() as session:
        empty(session, Publication)
    assert browser.get("/feed.xml").status_code == 404
    assert browser.get("/issues/").status_code == 200


def test_a_standing_footer_is_in_each_entry_and_found_by_no_search(browser, world):
    with world.database.writing() as session:
        set_publication(session, "weekly", PublicationForm(standing_footer="每期都有的声明"))
    mail(world, SOURCE)
    assert "每期都有的声明" in feed(browser)["items"][0]["content_html"]
    assert "找到 0 期" in browser.get("/issues/?q=每期都有").text
