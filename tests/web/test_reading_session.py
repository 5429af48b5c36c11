"""Reading with a plan on the web: a mailed link, a button, a cookie that is looked up anew each time."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.notices.letters import Stationery, link_of
from newsletter.outbox import NoticeKind, list_notices
from newsletter.providers.memory import MemoryProvider
from newsletter.publications import PublicationForm, add_publication
from newsletter.rendering.themes import load_notice_theme
from newsletter.signing import LinkSigner, Purpose
from subscribers.actors import COMMAND_LINE
from subscribers.forgetting import forget
from subscribers.leaving import LeavingChannel, leave
from subscribers.models import Subscription, SuppressionReason
from subscribers.plan_changes import PlanChange, change_plan
from subscribers.plans import NewPlan, add_plan
from subscribers.roster import find_by_address
from subscribers.suppression import SuppressionOrder, add
from tests.world import SIGNER, TEMPLATES, World, addresses, make_world


PAID = "# 标题\n\n公开的一段。\n\n::: plan pro\n只有专业版读者能读到的一段。\n:::"
SECRET = "只有专业版读者"


@pytest.fixture
def world(store) -> World:
    world = make_world(store, MemoryProvider())
    world.readers(addresses(1))
    world.readers(addresses(1, start=1), plan="pro")
    world.schedule(world.issue(PAID))
    world.begin()
    return world


@pytest.fixture
def browser(world, open_pages):
    return open_pages(world)


def reader(world, number=1):
    with world.database.reading() as session:
        return find_by_address(session, world.publication.id, addresses(1, start=number)[0])


def link(world, number=1):
    token = SIGNER.sign(Purpose.sign_in, reader(world, number).id, at=world.clock())
    return f"/issues/weekly/sign-in/{token}"


def page(browser):
    return browser.get("/issues/weekly/1", headers={"accept-language": "en"})


def test_a_link_shows_a_button_and_the_button_signs_in(browser, world):
    way = link(world)
    shown = browser.get(way)
    assert shown.status_code == 200
    assert shown.text.count("<button") == 1
    assert "set-cookie" not in shown.headers
    assert SECRET not in page(browser).text
    answer = browser.post(way)
    assert (answer.status_code, answer.headers["location"]) == (303, "/issues/weekly/")
    cookie = answer.headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=lax", "Path=/issues", "Secure", "Max-Age=2592000"):
        assert word in cookie
    assert SECRET in page(browser).text


def test_a_page_with_a_plan_is_kept_nowhere_and_says_whose_it_is(browser, world):
    browser.post(link(world))
    for path in ("/issues/weekly/1", "/issues/", "/issues/?q=公开"):
        answer = browser.get(path, headers={"accept-language": "en"})
        assert answer.headers["cache-control"] == "private, no-store"
        assert "Cookie" in answer.headers["vary"]
        assert "etag" not in answer.headers
        assert "Reading as r***@e**.com" in answer.text
        assert addresses(1, start=1)[0] not in answer.text
    # The search reads what anybody may, whoever asks.
    assert "找到 0 期" in browser.get("/issues/?q=只有专业版").text
    assert SECRET not in browser.get("/feed.xml").text


def test_signing_out_takes_the_cookie_away(browser, world):
    browser.post(link(world))
    assert browser.get("/issues/weekly/sign-out").status_code == 404
    answer = browser.post("/issues/weekly/sign-out")
    assert answer.status_code == 303
    assert not browser.cookies
    assert SECRET not in page(browser).text


def test_a_cookie_reads_what_the_plan_holds_now(browser, world):
    browser.post(link(world, 0))
    answer = page(browser)
    assert SECRET not in answer.text
    assert "Reading as" in answer.text
    assert "sign-in" not in answer.text
    with world.database.writing() as session:
        change_plan(session, reader(world, 0).id, PlanChange("pro"), by=COMMAND_LINE, now=world.clock())
    assert SECRET in page(browser).text


def leaves(session, world, view):
    leave(session, view.unsubscribe_id, channel=LeavingChannel.page, by=COMMAND_LINE, now=world.clock())


def complains(session, world, view):
    order = SuppressionOrder(view.email, SuppressionReason.complaint, origin="test")
    add(session, order, hasher=world.hasher, by=COMMAND_LINE, now=world.clock())


def is_erased(session, world, view):
    forget(session, [view.subscriber_id], now=world.clock())


@pytest.mark.parametrize("ends", [leaves, complains, is_erased])
def test_who_may_not_be_mailed_any_more_reads_what_anybody_may(browser, world, ends):
    way = link(world)
    browser.post(way)
    assert SECRET in page(browser).text
    with world.database.writing() as session:
        ends(session, world, reader(world))
    answer = page(browser)
    assert SECRET not in answer.text
    assert "Reading as" not in answer.text
    assert answer.headers["cache-control"].startswith("public")
    assert browser.get(way).status_code == browser.post(way).status_code == 410


def test_a_pause_of_the_mails_is_none_of_the_reading(browser, world):
    browser.post(link(world))
    with world.database.writing() as session:
        subscription = session.get_one(Subscription, reader(world).id)
        subscription.paused_until = world.clock() + timedelta(days=7)
        session.add(subscription)
    assert SECRET in page(browser).text


def test_link_and_cookie_end_with_their_time(browser, world):
    way = link(world)
    world.clock.forward(23 * 3600)
    assert browser.post(way).status_code == 303
    world.clock.forward(2 * 3600)
    expired = browser.get(way, headers={"accept-language": "en"})
    assert expired.status_code == 410
    assert "does not work any more" in expired.text
    assert SECRET in page(browser).text
    world.clock.forward(31 * 86400)
    assert SECRET not in page(browser).text


def test_a_token_of_one_publication_opens_no_other(browser, world):
    with world.database.writing() as session:
        form = PublicationForm(name="另一刊", sender="b@news.example.com")
        other = add_publication(session, "other", form, now=world.clock())
        add_plan(session, NewPlan(other.id, "free"))
    way = link(world).replace("/weekly/", "/other/")
    assert browser.get(way).status_code == browser.post(way).status_code == 410
    cookie = SIGNER.sign(Purpose.reading_session, reader(world).id, at=world.clock())
    browser.cookies.set(f"reading-{other.id}", cookie, domain="n.example.com", path="/issues")
    assert "Reading as" not in browser.get("/issues/other/", headers={"accept-language": "en"}).text


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_cookie_with_any_bit_flipped_or_made_for_something_else_is_none(browser, world, data):
    token = SIGNER.sign(Purpose.reading_session, reader(world).id, at=world.clock())
    place = data.draw(st.integers(0, len(token) - 1))
    flipped = token[:place] + chr(ord(token[place]) ^ (1 << data.draw(st.integers(0, 6)))) + token[place + 1 :]
    others = [SIGNER.sign(purpose, reader(world).id, at=world.clock()) for purpose in (Purpose.sign_in, Purpose.read)]
    strange = LinkSigner((b"a key of somebody else",)).sign(Purpose.reading_session, 2, at=world.clock())
    for wrong in (flipped, *others, strange, ""):
        header = f"reading-{world.publication.id}={wrong}".encode("latin-1", "ignore")
        answer = browser.get("/issues/weekly/1", headers={"cookie": header})
        assert SECRET not in answer.text, wrong


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_form_answers_alike_whether_an_address_is_known(browser, world, language):
    headers = {"accept-language": language}
    known, unknown = (
        browser.post("/issues/weekly/sign-in", data={"address": address}, headers=headers)
        for address in (addresses(1, start=1)[0], "nobody@example.org")
    )
    assert known.status_code == unknown.status_code == 200
    assert known.text == unknown.text
    assert known.headers == unknown.headers


def waiting(world):
    with world.database.reading() as session:
        return list_notices(session, limit=100)


def ask(browser, address):
    assert browser.post("/issues/weekly/sign-in", data={"address": address}).status_code == 200


def test_only_a_reader_who_may_be_mailed_gets_a_link(browser, world):
    for address in ("nobody@example.org", addresses(1, start=1)[0].upper()):
        ask(browser, address)
    (notice,) = waiting(world)
    assert (notice.kind, notice.subscription_id) == (NoticeKind.sign_in, reader(world).id)
    with world.database.writing() as session:
        leaves(session, world, reader(world, 0))
    ask(browser, addresses(1)[0])
    assert len(waiting(world)) == 1


def test_nobody_is_mailed_more_links_than_the_limit(browser, world):
    for _ in range(6):
        ask(browser, addresses(1)[0])
    assert len(waiting(world)) == 3


def test_the_link_of_the_notice_opens_the_door(browser, world):
    """What the outbox mails is what the pages take."""
    ask(browser, addresses(1, start=1)[0])
    (notice,) = waiting(world)
    stationery = Stationery(load_notice_theme(TEMPLATES), SIGNER, "")
    way = link_of(notice, reader(world), world.publication, stationery)
    assert browser.post(way).status_code == 303
    assert SECRET in page(browser).text


@pytest.mark.parametrize("address", ["", "no address", "a@b", "x" * 5000, "\x00@example.com"])
def test_what_is_no_address_is_said_and_asked_again(browser, world, address):
    answer = browser.post("/issues/weekly/sign-in", data={"address": address}, headers={"accept-language": "en"})
    assert answer.status_code == 422
    assert "No mail can reach this address" in answer.text
    assert 'type="email"' in answer.text


def test_there_is_nothing_to_sign_in_to_where_there_is_no_publication(browser, world):
    for method, path in (("GET", "sign-in"), ("POST", "sign-in"), ("GET", "sign-in/x"), ("POST", "sign-out")):
        assert browser.request(method, f"/issues/none/{path}").status_code == 404
