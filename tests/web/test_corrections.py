"""A mistake found too late: archive, feeds and read pages say a dated note; what was sent stays what it was."""

import json

import pytest

from newsletter.delivery.corrections import correct
from newsletter.delivery.life import unschedule, unwind_next
from newsletter.delivery.scheduling import Order, schedule
from newsletter.errors import Refused
from newsletter.providers.memory import MemoryProvider
from newsletter.rendering.personalisation import fill
from newsletter.signing import Purpose
from subscribers.actors import COMMAND_LINE
from subscribers.roster import find_by_address
from tests.world import SIGNER, World, addresses, make_world


WRONG = "# 第一期\n\n## 收入\n\n收入是 12 亿美元。\n\n::: plan pro\n专享的一段。\n:::\n"
RIGHT = WRONG.replace("12 亿", "21 亿")
NOTE = "收入应为 21 亿 <美元>，原文误作 12 亿。"


@pytest.fixture
def world(store) -> World:
    world = make_world(store, MemoryProvider())
    world.readers(addresses(1))
    world.readers(addresses(1, start=1), plan="pro")
    world.schedule(world.issue(WRONG))
    world.begin()
    world.dispatch()
    return world


@pytest.fixture
def browser(world, open_pages):
    return open_pages(world)


def corrected(world: World, note: str = NOTE) -> None:
    with world.database.writing() as session:
        correct(session, 1, note, world.workshop, live=False, by=COMMAND_LINE, now=world.clock())


def read_path(world: World, address: str) -> str:
    with world.database.reading() as session:
        reader = find_by_address(session, world.publication.id, address)
    return f"/read/{SIGNER.sign(Purpose.read, reader.id, 1, at=world.clock())}"


def test_archive_and_feeds_show_the_mended_text_with_a_dated_note(world, browser):
    world.clock.forward(3600 * 30)
    world.issue(RIGHT, revises=1)
    before = browser.get("/issues/weekly/1").text
    assert "12 亿" in before
    corrected(world)
    page = browser.get("/issues/weekly/1").text
    assert "更正（2026-11-24）：收入应为 21 亿 &lt;美元&gt;" in page
    assert "收入是 21 亿" in page
    assert "专享的一段" not in page
    (item,) = json.loads(browser.get("/feed.json").text)["items"]
    assert "更正（2026-11-24）" in item["content_html"]
    assert "收入是 21 亿" in item["content_html"]
    assert item["date_modified"].startswith("2026-11-24T07:00:00")
    assert item["date_published"].startswith("2026-11-23T01:00:00")
    assert "21 亿" in browser.get("/feed.xml").text


def test_a_mail_that_was_sent_stays_what_it_was_under_the_note(world, browser):
    path = read_path(world, addresses(1)[0])
    before = browser.get(path).text
    (sent,) = [one for one in world.provider.accepted if one.recipients[0].address == addresses(1)[0]]
    assert before == fill(sent.html, sent.recipients[0].substitutions)
    world.issue(RIGHT, revises=1)
    corrected(world)
    after = browser.get(path).text
    assert "更正（2026-11-23）：收入应为 21 亿 &lt;美元&gt;" in after
    start = after.index('<p role="note"')
    end = after.index("</p>", start) + len("</p>")
    assert after[:start] + after[end:] == before


def test_who_gets_the_mended_revision_by_mail_needs_no_note(world, browser):
    world.issue(RIGHT, revises=1)
    corrected(world)
    world.readers(addresses(1, start=2))
    second = world.schedule(1)
    world.begin()
    world.dispatch()
    with world.database.reading() as session:
        reader = find_by_address(session, world.publication.id, addresses(1, start=2)[0])
    page = browser.get(f"/read/{SIGNER.sign(Purpose.read, reader.id, second, at=world.clock())}").text
    assert "21 亿" in page
    assert "更正（" not in page


def test_a_correction_that_corrects_nothing_is_refused(world):
    with pytest.raises(Refused, match="no revision after"):
        corrected(world)
    world.issue(RIGHT, revises=1)
    with pytest.raises(Refused, match="--note"):
        corrected(world, "  ")
    other = world.issue("# 第二期\n\n还没有发出。\n")
    with pytest.raises(Refused, match="not in the archive"), world.database.writing() as session:
        correct(session, other, NOTE, world.workshop, live=False, by=COMMAND_LINE, now=world.clock())


def test_what_can_still_be_undone_is_not_in_the_archive(world, browser):
    other = world.issue("# 第二期\n\n还没有发出。\n")
    order = Order(other, world.clock(), undo_minutes=10)
    with world.database.writing() as session:
        mailing_id = schedule(session, order, world.workshop, by=COMMAND_LINE, now=world.clock()).id
    world.begin()
    assert browser.get(f"/issues/weekly/{other}").status_code == 404
    with world.database.writing() as session:
        unschedule(session, mailing_id, by=COMMAND_LINE, now=world.clock())
    more = True
    while more:
        with world.database.writing() as session:
            more = unwind_next(session, mailing_id, now=world.clock())
    world.clock.forward(3600)
    assert browser.get(f"/issues/weekly/{other}").status_code == 404
    world.schedule(other)
    world.begin()
    assert browser.get(f"/issues/weekly/{other}").status_code == 200
