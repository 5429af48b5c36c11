"""The feed by a hand-moved clock: what is posted when, who stands on a list from when on, and what happens later."""

import json
import random
from contextlib import closing
from dataclasses import dataclass

import pytest

from newsletter.emulator.batches import Batch, DueEvent, batches_of, collected
from newsletter.emulator.errors import EmulatorError
from newsletter.emulator.events import as_body
from newsletter.emulator.feed import Feed
from newsletter.emulator.lists import Span
from newsletter.emulator.oddities import Oddities
from newsletter.emulator.posting import Clock, Poster, SigningKey
from newsletter.emulator.reactions import Reactions
from newsletter.emulator.record import Record


DAY = 86400.0
CHANCE = random.Random(0)  # noqa: S311 - repeatable by design


@dataclass
class HandClock(Clock):
    """A clock that goes when it is moved."""

    moment: float = 1_790_000_000.0

    def __call__(self) -> float:
        return self.moment


class Stage:
    """A feed with its poster, whose calls are looked at instead of made."""

    def __init__(self, folder, record):
        self.clock, self.record, self.reactions = HandClock(), record, Reactions()
        self.feed = Feed(record, self.reactions, self.clock, Oddities(batch_seconds=0))
        self.feed.keep_setting("webhook", {"enabled": True, "url": "http://127.0.0.1:1/"})
        self.poster = Poster(self.feed, SigningKey(folder), self.clock)

    def mail(self, *addresses):
        people = [{"to": [{"email": one}], "custom_args": {"reader": one}} for one in addresses]
        self.record.accept({"personalizations": people, "subject": "s"}, self.feed.enlist)

    def react(self, **told):
        self.reactions.add(told)

    def react_now(self, **told):
        return self.feed.react_now(Reactions().add(told))

    def odd(self, **told):
        self.feed.oddities = self.feed.oddities.changed(told)

    def events(self):
        return [json.loads(row[3]) for row in self.feed.events(0, 10_000)]

    def said(self, address):
        return [event["event"] for event in self.events() if event["email"] == address]

    def listed(self, name):
        return [one["email"] for one in self.feed.lists.page(name, Span(0, 2**40), 500, 0)]

    def post(self):
        """Take what is posted now, and tell whose events these were."""
        batches = self.poster.batches()
        self.feed.posted([one.id for batch in batches for one in batch.events])
        return [json.loads(body)["email"] for batch in batches for body in batch.bodies]


@pytest.fixture
def stage(tmp_path):
    with closing(Record(tmp_path)) as record:
        yield Stage(tmp_path, record)


def test_every_event_waits_as_long_as_was_said_however_old_the_others_are(stage):
    stage.odd(delay_seconds=3600)
    stage.mail("a@example.com")
    stage.clock.moment += 1800
    stage.mail("b@example.com")
    assert stage.post() == []
    stage.clock.moment += 1800
    assert stage.post() == ["a@example.com"] * 2
    stage.clock.moment += 1799
    assert stage.post() == []
    stage.clock.moment += 1
    assert stage.post() == ["b@example.com"] * 2


def test_thousands_of_events_wait_for_their_delay_and_are_then_collected_for_a_time_or_until_a_batch_is_whole(stage):
    stage.odd(batch_seconds=30, delay_seconds=3600)
    stage.react(reaction="click")
    stage.mail(*(f"r{number}@example.com" for number in range(1000)))
    stage.clock.moment += 3599
    assert stage.post() == []
    stage.clock.moment += 1
    whole = len(stage.post())
    assert 1500 < whole < 4000
    stage.clock.moment += 29
    assert stage.post() == []
    stage.clock.moment += 1
    assert len(stage.post()) == 4000 - whole


def due(count, size, **more):
    body = json.dumps({"pad": "x" * size, "sg_event_id": "y"}).encode()
    return [DueEvent(number, body, 0.0, 0.0, **{"tries": 0, **more}) for number in range(count)]


@pytest.mark.parametrize("shuffle", [False, True])
def test_no_batch_is_larger_than_sendgrids_however_much_is_repeated(shuffle):
    oddities = Oddities(duplicates=1.0, fresh_duplicates=1.0, shuffle=shuffle)
    batches = batches_of(due(300, 9000), oddities, CHANCE)
    assert max(len(as_body(batch.bodies)) for batch in batches) <= 768_000
    assert sum(len(batch.bodies) for batch in batches) == 900
    assert sorted(one.id for batch in batches for one in batch.events) == list(range(300))


def test_an_event_that_is_too_large_goes_alone():
    batches = batches_of(due(1, 10) + due(1, 800_000) + due(1, 10), Oddities(), CHANCE)
    assert [len(batch.bodies) for batch in batches] == [1, 1, 1]


def test_what_was_tried_before_is_not_collected_again():
    assert collected(due(3, 10), ripe=-1.0) == []
    assert len(collected(due(3, 10, tries=1), ripe=-1.0)) == 3
    assert Batch().tries == 0


def test_without_a_webhook_what_waits_is_not_touched(stage):
    stage.mail("a@example.com")
    stage.feed.keep_setting("webhook", {"enabled": False, "url": "http://127.0.0.1:1/"})
    assert stage.poster.batches() == []
    assert stage.feed.counts()["posting"]["waiting"] == 2


def test_an_address_stands_on_a_list_from_the_moment_of_its_event_on(stage):
    stage.react(reaction="complain", after=DAY, times=1)
    stage.mail("A@example.com")
    complaint = stage.clock.moment + DAY
    stage.clock.moment = complaint - 1
    assert stage.feed.lists.find("spam_reports", "a@example.com") == []
    stage.mail("a@example.com")
    stage.clock.moment = complaint
    assert [one["created"] for one in stage.feed.lists.find("spam_reports", "a@example.com")] == [int(complaint)]
    stage.mail("a@example.com")
    assert stage.said("a@example.com") == ["processed", "delivered", "dropped"]


def test_who_is_taken_off_a_list_comes_back_with_the_next_event(stage):
    stage.react(reaction="complain", after=DAY)
    stage.mail("a@example.com", "b@example.com")
    assert stage.feed.lists.take_off("spam_reports", None) == 0
    stage.clock.moment += DAY
    assert stage.feed.lists.take_off("spam_reports", ["a@example.com"]) == 1
    assert stage.listed("spam_reports") == ["b@example.com"]


def test_an_address_that_is_forgotten_is_not_listed_later(stage):
    stage.react(reaction="complain", after=DAY)
    stage.mail("a@example.com", "b@example.com")
    stage.record.forget("A@example.com")
    stage.clock.moment += DAY
    assert stage.listed("spam_reports") == ["b@example.com"]


def test_a_mail_that_is_dropped_uses_up_no_reaction(stage):
    stage.feed.lists.put_on("unsubscribes", ["a@example.com"])
    stage.react(reaction="bounce", times=1)
    stage.mail("a@example.com", "b@example.com")
    assert stage.said("a@example.com") == ["dropped"]
    assert stage.said("b@example.com") == ["processed", "bounce"]


def test_what_happens_now_hits_so_many_mails_as_said_under_their_own_ids(stage):
    stage.mail("a@example.com", "b@example.com")
    stage.mail("c@example.com", "d@example.com")
    assert stage.react_now(reaction="open", times=3) == 3
    opened = [event["email"] for event in stage.events() if event["event"] == "open"]
    assert opened == ["a@example.com", "b@example.com", "c@example.com"]
    ids = {(event["reader"], event["sg_message_id"]) for event in stage.events()}
    assert len(ids) == 4
    assert {one["msg_id"] for one in stage.feed.messages("reader", "c@example.com", limit=9)} == {
        message_id for reader, message_id in ids if reader == "c@example.com"
    }


def test_what_happens_now_may_take_its_time(stage):
    stage.mail("a@example.com")
    stage.react_now(reaction="unsubscribe", after=DAY)
    assert stage.listed("unsubscribes") == []
    stage.clock.moment += DAY
    assert stage.listed("unsubscribes") == ["a@example.com"]


def test_a_day_after_it_happened_an_event_is_given_up(stage):
    stage.mail("a@example.com")
    first, second = stage.feed.due(10)
    stage.feed.not_taken([first], DAY + 1)
    stage.feed.not_taken([second], DAY - 1)
    assert stage.feed.counts()["posting"] == {"waiting": 1, "posted": 0, "given_up": 1}


@pytest.mark.parametrize(
    "wrong", [{"duplicates": "x"}, {"fresh_duplicates": 1.1}, {"shuffle": 1}, {"delay_seconds": -1}, {"speed": 2}]
)
def test_an_oddity_that_cannot_be_read_is_refused(wrong):
    with pytest.raises(EmulatorError, match=next(iter(wrong))):
        Oddities().changed(wrong)
