"""`/issues/`: what anybody may read of what was mailed, and a search that never finds more than that."""

import re
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from lxml import html as lxml_html

from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.models import Mailing
from newsletter.issues.shelf import latest_revision, put_back, retract
from newsletter.providers.memory import MemoryProvider
from newsletter.publications import PublicationForm, add_publication, set_publication
from subscribers.actors import COMMAND_LINE
from subscribers.models import Plan
from subscribers.plans import plan_named
from tests.preflight.test_leaks import issues as random_issues
from tests.tables import everything
from tests.world import World, make_world


PAID = """# Open letters 第一封--编辑部

公开的一段，写给{{ name | default("朋友") }}。[退订]({{ unsubscribe_url }})

::: plan pro teaser="三张表"
只有专业版读者能读到的一段。
:::
"""


@pytest.fixture
def world(store) -> World:
    return make_world(store, MemoryProvider())


def mailed(world: World, source: str, **revising: int) -> int:
    """Put an issue on the shelf and begin its mailing an hour after the last."""
    world.clock.forward(3600)
    issue_id = world.issue(source, **revising)
    world.schedule(issue_id)
    assert world.begin()
    return issue_id


@pytest.fixture
def browser(world, open_pages):
    return open_pages(world)


def titles(page):
    return [link.text for link in lxml_html.fromstring(page.text).cssselect(".list h2 a")]


def publication_set(world, **said):
    with world.database.writing() as session:
        set_publication(session, "weekly", PublicationForm(**said))


def test_an_issue_stands_there_once_its_mailing_has_begun_and_not_before(browser, world):
    world.issue("# 只在架上\n\n一段。")
    scheduled = world.issue("# 已排期\n\n一段。")
    world.schedule(scheduled)
    assert titles(browser.get("/issues/")) == []
    assert browser.get(f"/issues/weekly/{scheduled}").status_code == 404
    world.begin()
    assert titles(browser.get("/issues/")) == ["已排期"]
    assert browser.get(f"/issues/weekly/{scheduled}").status_code == 200


def test_what_was_mailed_on_the_other_side_of_not_live_is_no_ones_to_read(world, open_pages):
    mailed(world, PAID)
    live = open_pages(world, live=True, sendgrid_api_key="SG.a.b")
    assert titles(live.get("/issues/")) == []
    assert live.get("/issues/weekly/1").status_code == 404


def test_the_newest_mailed_revision_is_shown_and_not_one_that_waits(browser, world):
    issue_id = mailed(world, "# 旧题\n\n旧的一段。")
    world.issue("# 新题\n\n新的一段。", revises=issue_id)
    assert titles(browser.get("/issues/")) == ["旧题"]
    assert "旧的一段" in browser.get(f"/issues/weekly/{issue_id}").text
    world.clock.forward(3600)
    world.schedule(issue_id)
    world.begin()
    assert titles(browser.get("/issues/")) == ["新题"]
    assert "旧的一段" not in browser.get(f"/issues/weekly/{issue_id}").text


def test_a_page_shows_what_anybody_may_read_the_teaser_and_nobodys_own_values(browser, world):
    publication_set(world, upgrade_url="https://news.example.com/pro")
    issue_id = mailed(world, PAID)
    page = browser.get(f"/issues/weekly/{issue_id}").text
    assert "公开的一段，写给朋友。" in page
    assert "三张表" in page
    assert 'href="https://news.example.com/pro"' in page
    assert 'href="https://n.example.com/issues/weekly/sign-in"' in page
    assert 'href="/sign-up/weekly"' in page
    assert "只有专业版读者" not in page
    assert "/u/" not in page
    assert "退订" in page
    assert not re.search(r"-[0-9a-f]{12}\.\d+-", page)


def test_a_page_is_a_page_of_the_web(browser, world):
    issue_id = mailed(world, PAID)
    page = lxml_html.fromstring(browser.get(f"/issues/weekly/{issue_id}", headers={"accept-language": "en"}).text)
    assert page.get("lang") == "en"
    assert page.cssselect("article")[0].get("lang") == "zh-CN"
    assert page.findtext(".//title") == "Open letters 第一封 · 测试刊"
    assert [heading.text for heading in page.cssselect("article h1")] == ["Open letters 第一封"]
    (canonical,) = page.cssselect("link[rel=canonical]")
    assert canonical.get("href") == f"https://n.example.com/issues/weekly/{issue_id}-open-letters"
    feeds = {link.get("type"): link.get("href") for link in page.cssselect("link[rel=alternate]")}
    assert feeds == {
        "application/atom+xml": "https://n.example.com/feed.xml?publication=weekly",
        "application/feed+json": "https://n.example.com/feed.json?publication=weekly",
    }
    og = {one.get("property"): one.get("content") for one in page.cssselect("meta[property]")}
    assert og["og:title"] == "Open letters 第一封"
    assert og["og:type"] == "article"
    assert not page.cssselect("article table, script")


@pytest.mark.parametrize("path", ["{id}", "{id}-open-letters", "{id}-another-title", "{id}-"])
def test_the_number_says_which_issue_whatever_words_follow(browser, world, path):
    issue_id = mailed(world, PAID)
    answer = browser.get(f"/issues/weekly/{path.format(id=issue_id)}")
    assert answer.status_code == 200
    assert f'href="https://n.example.com/issues/weekly/{issue_id}-open-letters"' in answer.text


@pytest.mark.parametrize(
    "path",
    [
        *("/issues/weekly/99", "/issues/weekly/x", "/issues/weekly/99999999999999999999", "/issues/weekly/-1"),
        *("/issues/other/", "/issues/other/1", "/issues/weekly/%00", "/issues/weekly/１"),
    ],
)
def test_what_is_not_there_is_said_kindly(browser, world, path):
    mailed(world, PAID)
    answer = browser.get(path, headers={"accept-language": "en"})
    assert answer.status_code == 404
    assert "There is no such issue here" in answer.text
    assert "noindex" in answer.headers["x-robots-tag"]


def test_an_issue_of_one_publication_is_not_another_ones(browser, world):
    issue_id = mailed(world, PAID)
    with world.database.writing() as session:
        form = PublicationForm(name="另一刊", sender="b@news.example.com")
        add_publication(session, "other", form, now=world.clock())
    assert browser.get(f"/issues/other/{issue_id}").status_code == 404
    front = browser.get("/issues/")
    assert 'href="/issues/weekly/"' in front.text
    assert 'href="/issues/other/"' in front.text
    assert titles(browser.get("/issues/weekly/")) == ["Open letters 第一封"]
    assert titles(browser.get("/issues/other/")) == []


def test_the_issues_before_and_after_are_one_step_away(browser, world):
    ids = [mailed(world, f"# 第 {number} 封信\n\n一段。") for number in range(3)]
    links = [
        {link.get("rel"): link.get("href") for link in lxml_html.fromstring(page.text).cssselect(".ways a")}
        for page in (browser.get(f"/issues/weekly/{one}") for one in ids)
    ]
    first, second, third = (f"/issues/weekly/{one}" for one in ids)
    assert links == [{"next": second}, {"prev": first, "next": third}, {"prev": second}]


def test_the_list_is_paged_newest_first(browser, world):
    for number in range(23):
        mailed(world, f"# 第 {number} 封\n\n一段。")
    first, second = browser.get("/issues/"), browser.get("/issues/weekly/?page=2")
    assert titles(first) == [f"第 {number} 封" for number in range(22, 2, -1)]
    assert titles(second) == ["第 2 封", "第 1 封", "第 0 封"]
    assert 'href="/issues/weekly/?page=2"' in first.text
    assert 'href="/issues/weekly/?page=1"' in second.text
    for odd in ("0", "-1", "x", "２", "9" * 30, ""):
        assert browser.get("/issues/", params={"page": odd}).status_code == 200


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("芯片", ["甲"]),
        ("CHIPLET", ["甲"]),
        ("chiplet 芯片", ["甲"]),
        ("chiplet 电池", []),
        ("乙", ["乙"]),
        ("100%", ["乙"]),
        ("%", ["乙"]),
        ("_", []),
        ("Élan", ["乙"]),
        ("éLAN", ["乙"]),
        (".", []),
    ],
)
def test_a_search_finds_titles_and_texts_by_any_part_of_them(browser, world, question, found):
    mailed(world, "# 甲\n\n关于芯**片**与 Chiplet 的一段")
    mailed(world, "# 乙\n\n增长 100% 的 élan，与电池")
    page = browser.get("/issues/", params={"q": question})
    assert titles(page) == found
    assert f"找到 {len(found)} 期" in page.text
    assert "noindex" in page.headers["x-robots-tag"]


def test_a_question_is_shown_as_text_and_cut_where_it_is_long(browser, world):
    mailed(world, PAID)
    page = browser.get("/issues/", params={"q": '<script>"&'}).text
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    page = browser.get("/issues/", params={"q": "长" * 5000}).text
    assert "长" * 80 in page
    assert "长" * 81 not in page
    assert browser.get("/issues/?q=%00%ff%ed%a0%80").status_code == 200


def test_a_search_shows_where_it_found_something(browser, world):
    mailed(world, f"# 甲\n\n{'前' * 90}<b>芯片</b>{'后' * 90}")
    page = lxml_html.fromstring(browser.get("/issues/", params={"q": "芯片"}).text)
    assert page.cssselect(".said")[0].text_content() == f"…{'前' * 40}芯片{'后' * 40}…"
    assert page.cssselect("mark")[0].text == "芯片"


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(random_issues())
def test_nothing_that_anybody_sees_or_finds_holds_what_only_a_plan_may_read(sqlite_store, open_pages, issue):
    source, tokens = issue
    world = make_world(sqlite_store, MemoryProvider(), code=f"w{uuid.uuid4().hex[:10]}")
    pages, code = open_pages(world), world.publication.code
    feeds = (f"/feed.xml?publication={code}", f"/feed.json?publication={code}")
    paths = (f"/issues/{code}/{begun(world, source)}", f"/issues/{code}/", *feeds)
    surfaces = "\n".join(pages.get(path).text for path in paths)
    for token, demands in tokens.items():
        assert (token in surfaces) is not bool(demands), (token, source)
        if demands:
            assert titles(pages.get(f"/issues/{code}/", params={"q": token})) == [], (token, source)


def begun(world, source):
    """Mail an issue past preflight, which would refuse plans that there are not."""
    issue_id = world.issue(source)
    with world.database.writing() as session:
        mailing = Mailing(
            publication_id=world.publication.id,
            issue_id=issue_id,
            revision_id=latest_revision(session, issue_id).revision.id,
            state=MailingState.finished,
            due_at=world.clock(),
            begun_at=world.clock(),
            created_at=world.clock(),
            created_by="test",
        )
        session.add(mailing)
    return issue_id


def test_a_change_of_the_plans_names_shows_at_once(browser, world):
    issue_id = mailed(world, PAID)
    before = browser.get(f"/issues/weekly/{issue_id}")
    assert "黄金读者" not in before.text
    with world.database.writing() as session:
        plan = session.get_one(Plan, plan_named(session, world.publication.id, "pro").id)
        plan.name = "黄金读者"
        session.add(plan)
    after = browser.get(f"/issues/weekly/{issue_id}", headers={"if-none-match": before.headers["etag"]})
    assert after.status_code == 200
    assert "黄金读者" in after.text


def test_everybodys_pages_may_be_kept_and_are_not_sent_twice(browser, world):
    issue_id = mailed(world, PAID)
    for path in ("/issues/", f"/issues/weekly/{issue_id}", "/feed.xml", "/feed.json"):
        first = browser.get(path)
        assert first.headers["cache-control"] == "public, max-age=300"
        for method in ("GET", "HEAD"):
            for asked in (
                {"if-none-match": first.headers["etag"]},
                {"if-none-match": f'"other", W/{first.headers["etag"]}'},
                {"if-none-match": "*"},
            ):
                again = browser.request(method, path, headers=asked)
                assert again.status_code == 304, (path, asked)
                assert again.content == b""
                assert again.headers["etag"] == first.headers["etag"]
            for asked in (
                {"if-none-match": '"other"'},
                # What a page says changes with names and templates, which no date tells.
                {"if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT"},
            ):
                assert browser.request(method, path, headers=asked).status_code == 200, (path, asked)
    assert browser.get("/issues/").headers["vary"] == "Accept-Language, Cookie"


def test_search_engines_are_asked_to_leave_a_publication_out_where_it_says_so(browser, world):
    issue_id = mailed(world, PAID)
    paths = ("/issues/", f"/issues/weekly/{issue_id}", "/feed.xml", "/feed.json")
    for path in paths:
        answer = browser.get(path)
        assert "x-robots-tag" not in answer.headers
        assert 'name="robots"' not in answer.text
    publication_set(world, noindex=True)
    for path in paths:
        answer = browser.get(path)
        assert answer.headers["x-robots-tag"] == "noindex"
        assert ('<meta name="robots" content="noindex">' in answer.text) is path.startswith("/issues")
    publication_set(world, noindex=False)
    assert "x-robots-tag" not in browser.get("/issues/").headers


def test_a_retracted_issue_is_gone_from_everywhere_until_it_is_put_back(browser, world):
    ids = [mailed(world, f"# 第 {number} 封信\n\n一段。") for number in range(3)]
    page = browser.get(f"/issues/weekly/{ids[1]}")
    feed = browser.get("/feed.xml")
    world.clock.forward(60)
    with world.database.writing() as session:
        assert retract(session, ids[1], by=COMMAND_LINE, now=world.clock())
        assert not retract(session, ids[1], by=COMMAND_LINE, now=world.clock())
    known = {"if-none-match": page.headers["etag"]}
    gone = browser.get(f"/issues/weekly/{ids[1]}", headers={"accept-language": "en"} | known)
    assert gone.status_code == 410
    assert "This issue was retracted" in gone.text
    assert titles(browser.get("/issues/")) == ["第 2 封信", "第 0 封信"]
    assert titles(browser.get("/issues/?q=第 1 封信")) == []
    for path in ("/feed.xml", "/feed.json"):
        answer = browser.get(path, headers={"if-none-match": feed.headers["etag"]})
        assert answer.status_code == 200
        assert "第 1 封信" not in answer.text
    assert f"/issues/weekly/{ids[1]}" not in browser.get(f"/issues/weekly/{ids[0]}").text
    with world.database.writing() as session:
        assert put_back(session, ids[1])
        assert not put_back(session, ids[1])
    assert browser.get(f"/issues/weekly/{ids[1]}").status_code == 200
    assert len(titles(browser.get("/issues/"))) == 3


def test_what_the_parser_would_refuse_today_is_left_out_and_breaks_nothing(browser, world):
    """A stricter reader of containers may refuse what an older version mailed: it cannot be cut, so it is not shown."""
    mailed(world, "# 好\n\n一段。")
    issue_id = mailed(world, "# 坏\n\n一段。")
    with world.database.writing() as session:
        statement = "UPDATE revision SET source = '# 坏\n\n::: plan pro\n没有关上的一段。' WHERE issue_id = "
        session.connection().exec_driver_sql(statement + str(issue_id))
    assert titles(browser.get("/issues/")) == ["好"]
    assert browser.get(f"/issues/weekly/{issue_id}").status_code == 404
    assert "没有关上" not in browser.get("/feed.xml").text


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reading_changes_no_row(browser, world, method):
    issue_id = mailed(world, PAID)

    before = everything(world.database)
    for path in ("/issues/", f"/issues/weekly/{issue_id}", "/issues/weekly/sign-in", "/feed.xml", "/feed.json"):
        assert browser.request(method, path).status_code == 200
    assert everything(world.database) == before
