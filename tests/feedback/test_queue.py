"""The queue of kept calls goes on, whatever one of them holds, and whoever else applies feedback meanwhile."""

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import select

from newsletter.feedback.alone import alone
from newsletter.feedback.applying import PROVIDER, Scene
from newsletter.feedback.ingest import apply_again, apply_next, keep_call
from newsletter.feedback.models import EventCall, LinkClick, ListPull
from newsletter.feedback.pulling import pull
from newsletter.feedback.undoing import Choice, undo
from tests.feedback.said import as_body
from tests.feedback.test_feedback import HARD, Stumbling, mailed, reasons, rows


def test_one_event_that_cannot_be_applied_does_not_keep_the_others_of_its_call_from_being_heard(feedback):
    people = [f"r{number}@example.com" for number in range(5)]
    whose = mailed(feedback, *people[:2], "trip@example.com", *people[2:])
    world, now = feedback.world, feedback.world.clock()
    with world.database.writing() as session:
        keep_call(session, as_body([feedback.event(one, "bounce", now, **HARD) for one in whose.values()]), now=now)
    faulty = Scene(Stumbling(*world.hasher.peppers), PROVIDER, now)
    while apply_next(world.database, faulty):
        pass
    assert [reasons(feedback, one) for one in people] == [["hard_bounce"]] * 5
    (call,) = rows(feedback, EventCall)
    assert (call.cursor, call.problems) == (6, 1)
    assert f"feedback again {call.id}" in call.problem
    with world.database.writing() as session:
        apply_again(session, call.id)
    feedback.apply()
    assert reasons(feedback, "trip@example.com") == ["hard_bounce"]
    assert rows(feedback, EventCall)[0].problem == ""


def test_a_thousand_links_clicked_at_once_and_a_very_long_one_are_counted(feedback):
    whose = mailed(feedback, "a@example.com")["a@example.com"]
    now = feedback.world.clock()
    long = "https://example.com/" + "".join(chr(0x4E00 + number * 7919 % 20000) for number in range(1900))
    urls = [f"https://example.com/{number}" for number in range(1200)]
    feedback.say(*(feedback.event(whose, "click", now, url=url) for url in [long, *urls]))
    assert len(rows(feedback, LinkClick)) == 1201


class Lists:
    """SendGrid's lists as one thread reads them: of bounces alone there is something."""

    def __init__(self, *pages):
        self.pages = pages
        self.asked = []

    def get(self, *path, offset=0, **_):
        """Give a page."""
        if path[1] != "bounces":
            return []
        self.asked.append(offset)
        return [one for page in self.pages for one in page][offset : offset + 500]


def entry(number, **more):
    said = {"email": f"gone{number}@example.org", "reason": "550 5.1.1 no", "status": "5.1.1", "created": 1763000000}
    return said | more


def pulled(feedback, lists):
    return {one.list_name: one for one in pull(feedback.world.database, lists, feedback.scene, on_page=int)}


def test_odd_entries_of_a_list_neither_end_the_reading_nor_stop_it(feedback):
    first = [entry(number) for number in range(497)]
    odd = [7, entry(498, reason="a nul \0 byte", status="5\0", email="nul\0@example.org"), {}]
    lists = Lists([*odd, *first], [entry(600)])
    assert pulled(feedback, lists)["bounces"].entries == 501
    assert reasons(feedback, "gone600@example.org") == ["hard_bounce"]


def test_two_pulls_at_once_skip_no_page(feedback):
    pages = [[entry(page * 500 + number) for number in range(500)] for page in range(3)]
    lists: Any = Lists(*pages, [])
    other = pull(feedback.world.database, lists, feedback.scene, on_page=int)

    class Meanwhile(Lists):
        def get(self, *path, **query):
            page = super().get(*path, **query)
            if path[1] == "bounces" and len(self.asked) == 1:
                next(other)
            return page

    pulled(feedback, Meanwhile(*pages, []))
    assert reasons(feedback, "gone777@example.org") == ["hard_bounce"]
    assert reasons(feedback, "gone1499@example.org") == ["hard_bounce"]
    with feedback.world.database.reading() as session:
        assert session.get_one(ListPull, "bounces").is_done


def test_a_clock_that_was_ahead_leaves_no_hole_between_two_windows(feedback):
    clock = feedback.world.clock
    before = clock()
    clock.forward(30 * 86400)
    pulled(feedback, Lists())
    clock.now = before
    pulled(feedback, Lists())
    with feedback.world.database.reading() as session:
        window = session.get_one(ListPull, "bounces")
    assert window.since <= before.timestamp() - 86400
    assert datetime.fromtimestamp(window.until, UTC) == before.replace(microsecond=0)


def test_who_takes_back_waits_for_who_applies(feedback):
    world = feedback.world
    if world.database.is_sqlite:
        pytest.skip("on SQLite one writes at a time")
    whose = mailed(feedback, "a@example.com")["a@example.com"]
    feedback.say(feedback.event(whose, "bounce", world.clock(), **HARD))
    done = threading.Event()

    def take_back():
        with world.database.writing() as session:
            undo(session, Choice(), feedback.scene)
        done.set()

    thread = threading.Thread(target=take_back)
    with world.database.writing() as session:
        alone(session)
        thread.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while not session.connection().exec_driver_sql(waiting).scalar():
            assert not done.is_set()
    thread.join(30)
    assert done.is_set()
    assert reasons(feedback, "a@example.com") == []
    with world.database.reading() as session:
        assert len(session.exec(select(EventCall)).all()) == 1
