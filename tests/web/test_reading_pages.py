"""`/read/…` shows what a reader was sent, for a time; then it offers another link."""

from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.issues.shelf import retract
from newsletter.notices.letters import Stationery, link_of
from newsletter.outbox import NoticeKind, list_notices
from newsletter.providers.memory import MemoryProvider
from newsletter.rendering.personalisation import fill
from newsletter.rendering.themes import load_notice_theme
from newsletter.signing import Purpose
from subscribers.actors import COMMAND_LINE
from subscribers.forgetting import forget
from subscribers.leaving import LeavingChannel, leave
from subscribers.plan_changes import PlanChange, change_plan
from subscribers.roster import find_by_address
from tests.tables import everything
from tests.world import SIGNER, TEMPLATES, World, addresses, make_world


PAID = "# 标题\n\n公开的一段。\n\n::: plan pro\n只有专业版读者能读到的一段。\n:::"


@pytest.fixture
def world(store) -> World:
    world = make_world(store, MemoryProvider())
    world.readers(addresses(1))
    world.readers(addresses(1, start=1), plan="pro")
    world.schedule(world.issue(PAID))
    world.begin()
    world.dispatch()
    return world


@pytest.fixture
def browser(world, open_pages):
    return open_pages(world)


def unsubscribe_id(world, number=0):
    with world.database.reading() as session:
        return find_by_address(session, world.publication.id, addresses(1, start=number)[0]).unsubscribe_id


def link(world, number=0, mailing=1):
    """The link that the mail holds."""
    with world.database.reading() as session:
        reader = find_by_address(session, world.publication.id, addresses(1, start=number)[0])
    begun = world.mailing(1).begun_at
    return f"/read/{SIGNER.sign(Purpose.read, reader.id, mailing, at=begun)}"


def sent(world, number):
    """The mail as it was handed to the provider."""
    recipients = [(message, one) for message in world.provider.accepted for one in message.recipients]
    message, reader = next(pair for pair in recipients if pair[1].address == addresses(1, start=number)[0])
    return fill(message.html, reader.substitutions)


@pytest.mark.parametrize("number", [0, 1])
def test_a_reader_reads_again_what_was_sent_byte_by_byte(browser, world, number):
    answer = browser.get(link(world, number))
    assert answer.status_code == 200
    assert answer.text == sent(world, number)
    assert ("只有专业版读者" in answer.text) is (number == 1)


def test_the_link_in_the_mail_leads_there(browser, world):
    assert f'href="https://n.example.com{link(world)}"' in sent(world, 0)


def test_a_change_of_plan_changes_nothing_of_what_was_sent(browser, world):
    before = browser.get(link(world)).text
    with world.database.writing() as session:
        reader = find_by_address(session, world.publication.id, addresses(1)[0])
        change_plan(session, reader.id, PlanChange("pro"), by=COMMAND_LINE, now=world.clock())
    assert browser.get(link(world)).text == before


def test_who_was_skipped_has_nothing_to_read(store, open_pages):
    world = make_world(store, MemoryProvider())
    world.readers(addresses(2))
    world.running()
    with world.database.writing() as session:
        leave(session, unsubscribe_id(world), channel=LeavingChannel.page, by=COMMAND_LINE, now=world.clock())
    world.dispatch()
    pages = open_pages(world)
    assert pages.get(link(world)).status_code == 404
    assert pages.get(link(world, 1)).status_code == 200


@pytest.mark.parametrize("path", ["/read/nobody", "/read/1-1", "/read/%00", "/read/{id}/1", "/read/" + "é" * 40])
def test_a_link_that_leads_to_no_mail_is_said_kindly(browser, world, path):
    answer = browser.get(path.format(id=unsubscribe_id(world)), headers={"accept-language": "en"})
    assert answer.status_code == 404
    if "/1" not in path.removeprefix("/read/1"):
        assert "This mail is not here any more" in answer.text


def test_a_mailing_that_sent_a_reader_nothing_has_nothing_to_read(browser, world):
    assert browser.get(link(world, mailing=2)).status_code == 404


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_link_with_any_bit_flipped_or_made_for_something_else_leads_nowhere(browser, world, data):
    token = link(world).removeprefix("/read/")
    place = data.draw(st.integers(0, len(token) - 1))
    flipped = token[:place] + chr(ord(token[place]) ^ (1 << data.draw(st.integers(0, 6)))) + token[place + 1 :]
    other = SIGNER.sign(data.draw(st.sampled_from([Purpose.sign_in, Purpose.confirm])), 1, 1, at=world.clock())
    for wrong in (quote(flipped, safe=""), other):
        for method in ("GET", "POST"):
            answer = browser.request(method, f"/read/{wrong}")
            assert answer.status_code in {404, 405}
            assert "公开的一段" not in answer.text


def test_a_link_ends_with_its_time_and_offers_another(browser, world):
    way = link(world)
    world.clock.forward(89 * 86400)
    assert browser.get(way).status_code == 200
    world.clock.forward(2 * 86400)
    expired = browser.get(way, headers={"accept-language": "en"})
    assert expired.status_code == 410
    assert "This link has expired" in expired.text
    assert expired.text.count("<button") == 1
    assert 'href="/issues/weekly/1"' in expired.text
    assert "公开的一段" not in expired.text
    mailed = browser.post(way, headers={"accept-language": "en"})
    assert mailed.status_code == 200
    assert "Look into your mailbox" in mailed.text
    (notice,) = waiting(world)
    assert (notice.kind, notice.detail) == (NoticeKind.read_again, {"mailing_id": "1", "title": "标题"})
    stationery = Stationery(load_notice_theme(TEMPLATES), SIGNER, "")
    with world.database.reading() as session:
        reader = find_by_address(session, world.publication.id, addresses(1)[0])
    fresh = link_of(notice, reader, world.publication, stationery)
    assert fresh != way
    assert "公开的一段" in browser.get(fresh).text


def waiting(world):
    with world.database.reading() as session:
        return list_notices(session, limit=100)


def test_a_subject_with_a_name_or_an_address_in_it_can_be_asked_for_again(store, open_pages):
    """The outbox keeps neither."""
    world = make_world(store, MemoryProvider())
    world.readers(addresses(1))
    world.schedule(world.issue("---\ntitle: '{{ name }}，写信到 tips@example.org'\n---\n\n一段。"))
    world.begin()
    world.dispatch()
    assert open_pages(world).post(link(world)).status_code == 200
    (notice,) = waiting(world)
    assert notice.detail["title"] == "读者，写信到 tips＠example.org"


def test_the_answer_to_an_expired_link_is_the_same_for_who_has_left(browser, world):
    world.clock.forward(91 * 86400)
    before = browser.post(link(world)).text
    with world.database.writing() as session:
        leave(session, unsubscribe_id(world), channel=LeavingChannel.page, by=COMMAND_LINE, now=world.clock())
    assert browser.post(link(world)).text == before
    assert len(waiting(world)) == 1


@pytest.mark.parametrize("days", [0, 91])
def test_a_retracted_issue_is_gone_for_who_was_sent_it_too(browser, world, days):
    world.clock.forward(days * 86400)
    with world.database.writing() as session:
        retract(session, 1, by=COMMAND_LINE, now=world.clock())
    for method in ("GET", "HEAD", "POST"):
        answer = browser.request(method, link(world), headers={"accept-language": "en"})
        assert answer.status_code == 410
        assert "公开的一段" not in answer.text
    assert "This issue was retracted" in answer.text


@pytest.mark.parametrize("days", [0, 91])
def test_after_erasure_nothing_is_shown(browser, world, days):
    way = link(world)
    world.clock.forward(days * 86400)
    with world.database.writing() as session:
        reader = find_by_address(session, world.publication.id, addresses(1)[0])
        forget(session, [reader.subscriber_id], now=world.clock())
    assert browser.get(way).status_code == browser.post(way).status_code == 404


def test_the_mail_may_run_nothing_and_is_indexed_by_nobody(browser, world):
    headers = browser.get(link(world)).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "script" not in headers["content-security-policy"]
    assert (headers["referrer-policy"], headers["cache-control"]) == ("no-referrer", "no-store")
    assert "noindex" in headers["x-robots-tag"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_nothing_changes_by_reading(browser, world, method):
    before = everything(world.database)
    answer = browser.request(method, link(world))
    assert answer.status_code == (200 if method in {"GET", "HEAD"} else 405)
    assert everything(world.database) == before
