"""`/u/<id>`: GET and HEAD change nothing, POST unsubscribes at once, and every answer is true."""

import pytest
from fastapi.testclient import TestClient
from sqlmodel import col, select

from newsletter.composition import Service
from newsletter.providers.memory import MemoryProvider
from newsletter.settings import Settings
from newsletter.web.app import create_app
from subscribers.consent_models import ConsentEvent
from subscribers.models import Subscription, SubscriptionState
from subscribers.roster import find_by_address
from tests.world import World, addresses, make_world


@pytest.fixture
def world(store) -> World:
    world = make_world(store, MemoryProvider())
    world.readers(addresses(2))
    return world


@pytest.fixture
def browser(world, tmp_path):
    url = world.database.url.render_as_string(hide_password=False)
    pepper = world.hasher.peppers[0].decode()
    service = Service(Settings(_env_file=None, database_url=url, data_dir=tmp_path, address_pepper=pepper), world.clock)
    with TestClient(create_app(service), follow_redirects=False, raise_server_exceptions=False) as client:
        yield client
    service.database.close()


@pytest.fixture
def link(world):
    with world.database.reading() as session:
        return f"/u/{find_by_address(session, world.publication.id, addresses(1)[0]).unsubscribe_id}"


def rows(world):
    """Everything that leaving could change."""
    with world.database.reading() as session:
        people = [row.model_dump() for row in session.exec(select(Subscription).order_by(col(Subscription.id)))]
        return people, len(session.exec(select(ConsentEvent)).all())


def states(world):
    with world.database.reading() as session:
        return [row.state for row in session.exec(select(Subscription).order_by(col(Subscription.id)))]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_nothing_but_post_changes_a_row(browser, world, link, method):
    before = rows(world)
    browser.request(method, link)
    browser.request(method, f"{link}?from=page&List-Unsubscribe=One-Click")
    assert rows(world) == before


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"List-Unsubscribe": "One-Click"}},
        {"files": {"List-Unsubscribe": (None, "One-Click")}},
        {"content": b""},
        {"content": b"\xff\xfe not a form", "headers": {"content-type": "multipart/form-data"}},
        {"content": b"x" * 100_000, "headers": {"content-type": "application/octet-stream"}},
        {"data": {"from": "page"}},
        {
            "data": {"List-Unsubscribe": "One-Click"},
            "headers": {"cookie": "session=x", "origin": "https://evil.example"},
        },
    ],
)
def test_a_post_of_any_form_unsubscribes_at_once(browser, world, link, body):
    answer = browser.post(link, **body)
    assert answer.status_code == 200
    assert "location" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert states(world) == [SubscriptionState.left, SubscriptionState.confirmed]


def test_twice_is_fine_and_recorded_once(browser, world, link):
    assert browser.post(link).text == "unsubscribed\n"
    after = rows(world)
    assert browser.post(link).status_code == 200
    assert rows(world) == after


@pytest.mark.parametrize("unknown", ["/u/nobody", "/u/" + "a" * 22, "/u/%00", "/u/" + "é" * 22])
def test_an_unknown_link_gets_a_neutral_answer(browser, world, unknown):
    before = rows(world)
    assert browser.get(unknown).status_code == 404
    assert browser.post(unknown).status_code == 200
    assert rows(world) == before


def test_the_page_says_what_is_true_before_and_after(browser, link):
    assert "要退订《测试刊》吗" in browser.get(link).text
    assert "已退订《测试刊》" in browser.post(link, data={"from": "page"}).text
    assert "你已经退订了《测试刊》" in browser.get(link).text
    assert "你已经退订了《测试刊》" in browser.post(link, data={"from": "page"}).text


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ("en-GB,en;q=0.9,zh;q=0.8", "Leave"),
        ("zh-TW", "要退订"),
        ("fr, en;q=0.5", "Leave"),
        ("", "要退订"),
        (";;,q=", "要退订"),
    ],
)
def test_the_page_speaks_chinese_or_english(browser, link, asked, word):
    assert word in browser.get(link, headers={"accept-language": asked}).text


def test_a_link_that_was_cut_off_leads_to_a_page_for_people(browser):
    answer = browser.get("/u/", headers={"accept": "text/html", "accept-language": "en"})
    assert (answer.status_code, "There is no page here" in answer.text) == (404, True)
    assert browser.get("/u/", headers={"accept": "*/*"}).json() == {"detail": "Not Found"}


def test_the_page_holds_no_address_no_script_and_keeps_to_itself(browser, link):
    page = browser.get(link)
    assert addresses(1)[0] not in page.text
    assert "<script" not in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert "noindex" in page.headers["x-robots-tag"]
    assert page.text.count("<button") == 1
    assert "autofocus" not in page.text


def test_it_says_that_it_is_not_live(browser, link):
    assert "NOT LIVE" in browser.get(link, headers={"accept-language": "en"}).text
    assert browser.get("/healthz").json() == {"status": "ok", "live": False}


def test_a_database_that_does_not_answer_is_tried_again_later(world, tmp_path, link):
    """A provider repeats an unsubscribe that met 503; it must not be told that it worked."""
    url = world.database.url.render_as_string(hide_password=False)
    service = Service(Settings(_env_file=None, database_url=url, data_dir=tmp_path))
    with TestClient(create_app(service), raise_server_exceptions=False) as client:
        with world.database.writing() as session:
            session.connection().exec_driver_sql("ALTER TABLE subscription RENAME TO gone")
        assert client.post(link).status_code == 503
        assert client.get("/readyz").status_code == 200
    service.database.close()
