"""Any order, repetition (also with fresh ids) and loss with a later retry of a day's events ends in the same rows."""

import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import col, select

from newsletter.database import Database
from newsletter.delivery.models import Delivery
from newsletter.feedback.consequences import Limits
from newsletter.feedback.ingest import keep_call
from newsletter.feedback.models import Consequence, DeliveryOutcome, FeedbackEventRow, FeedbackPolicy, LinkClick, Surge
from newsletter.providers.memory import MemoryProvider
from subscribers.models import Subscription, Suppression
from tests.feedback.said import Event, Feedback, as_body
from tests.world import World, make_world


@dataclass(frozen=True)
class Day:
    """A store in which four issues were mailed, and all that is said of them."""

    file: Path
    world: World
    events: list[Event]

    def told(self, calls: list[list[Event]], folder: Path) -> dict[str, list[Any]]:
        """Tell a fresh copy of the store, and give every row that feedback writes."""
        database = Database(f"sqlite:///{shutil.copy(self.file, folder / 'copy.db')}")
        feedback = Feedback(self.world.having(database=database))
        for call in calls:
            with database.writing() as session:
                keep_call(session, as_body(call), now=self.world.clock())
        feedback.apply()
        rows = everything(database)
        database.close()
        return rows


@pytest.fixture(scope="module")
def day(blank_sqlite, tmp_path_factory) -> Day:
    file = Path(shutil.copy(blank_sqlite, tmp_path_factory.mktemp("day") / "day.db"))
    database = Database(f"sqlite:///{file}")
    world = make_world(database, MemoryProvider())
    feedback = Feedback(world)
    people = [f"r{number}@163.com" for number in range(4)] + ["soft@qq.com", "gone@example.com", "angry@gmail.com"]
    world.readers([*people, "shut@example.com", "fine@example.com", "out@example.com", "late@example.com"])
    limits = vars(Limits(surge_bounces=4, surge_share=0.5))
    with database.writing() as session:
        session.add(FeedbackPolicy(publication_id=world.publication.id, **limits))
    mails = [feedback.of(feedback.mail()) for _ in range(4)]
    events = list(_story(feedback, mails))
    database.close()
    return Day(file, world, events)


@pytest.fixture(scope="module")
def plain(day: Day, tmp_path_factory) -> dict[str, list[Any]]:
    """What the day ends in when all is told once, in its order."""
    return day.told([day.events], tmp_path_factory.mktemp("plain"))


def _story(feedback: Feedback, mails: list[dict[str, Event]]) -> Any:
    """Say of four issues what a real day says: every kind, every reader differently."""
    at = feedback.world.clock()
    soft = {"status": "4.2.2", "type": "blocked", "reason": "452 over quota"}
    hard = {"status": "5.1.1", "type": "bounce", "reason": "550 5.1.1 no such mailbox"}
    shut = {"type": "bounce", "bounce_classification": "Mailbox Unavailable", "reason": "550 not here"}
    for number, mail in enumerate(mails):
        at += timedelta(minutes=1)
        for address, whose in mail.items():
            yield feedback.event(whose, "processed", at)
            if address == "soft@qq.com":
                yield feedback.event(whose, "bounce", at, **soft)
            elif address == "shut@example.com" and number != 1:
                yield feedback.event(whose, "bounce", at, **shut)
            elif (address == "gone@example.com" and number == 3) or (address.endswith("@163.com") and number == 2):
                yield feedback.event(whose, "bounce", at, **hard)
            else:
                yield feedback.event(whose, "deferred", at, response="451 later", attempt="1")
                yield feedback.event(whose, "delivered", at + timedelta(seconds=5), response="250 OK")
    yield feedback.event(mails[1]["angry@gmail.com"], "spamreport", at)
    yield feedback.event(mails[2]["out@example.com"], "unsubscribe", at)
    yield feedback.event(mails[0]["fine@example.com"], "click", at, url="https://news.example.com/a?who=1")
    yield feedback.event(mails[0]["fine@example.com"], "open", at, sg_machine_open=True)
    yield feedback.event(mails[3]["gone@example.com"], "dropped", at, reason="Bounced Address")
    yield feedback.event({"email": "late@example.com", "sg_message_id": ""}, "bounce", at + timedelta(hours=2), **hard)
    # What SendGrid makes of a bounce at once: for one that was given up, and for one that is paused.
    yield feedback.event(mails[3]["shut@example.com"], "dropped", at + timedelta(hours=2), reason="Bounced Address")
    yield feedback.event(mails[1]["soft@qq.com"], "dropped", at, reason="Bounced Address")
    yield feedback.event(mails[2]["out@example.com"], "dropped", at, reason="Unsubscribed Address")
    # Both of one second; and what SendGrid drops since a provider's bounces surge.
    yield feedback.event(mails[3]["r2@163.com"], "bounce", at + timedelta(hours=1), **soft)
    yield feedback.event(mails[3]["r2@163.com"], "bounce", at + timedelta(hours=1), **hard)
    yield feedback.event(mails[3]["r1@163.com"], "dropped", at + timedelta(hours=1), reason="Bounced Address")
    yield {"event": "brand_new", "email": "fine@example.com", "timestamp": int(at.timestamp()), "sg_event_id": "n"}


def everything(database: Database) -> dict[str, list[Any]]:
    """Give the rows that feedback wrote, but for numbers of rows and the id that a repeat came under first."""
    with database.reading() as session:
        events = {one.id: one for one in session.exec(select(FeedbackEventRow))}
        aside = {"id", "event_id", "received_at"}
        consequences = [
            (events[one.event_id].fingerprint, one.deed, one.reason, one.publication_id, one.state, one.address_hash)
            for one in session.exec(select(Consequence))
        ]
        standing = select(Suppression.address_hash, Suppression.reason, Suppression.publication_id)
        return {
            "events": sorted(str(one.model_dump(exclude=aside)) for one in events.values()),
            "outcomes": sorted(str(one.model_dump()) for one in session.exec(select(DeliveryOutcome))),
            "clicks": sorted(one.delivery_id for one in session.exec(select(LinkClick))),
            "consequences": sorted(map(str, consequences)),
            "suppressed": sorted(map(str, session.exec(standing.where(col(Suppression.lifted_at).is_(None))))),
            "surges": sorted((one.mailing_id, one.provider) for one in session.exec(select(Surge))),
            "reached": sorted(session.exec(select(Delivery.id, Delivery.may_have_reached))),
            "states": sorted((one.id, str(one.state)) for one in session.exec(select(Subscription))),
        }


def telling(events: list[Event], chance: Random) -> list[list[Event]]:
    """Cut the events into calls in any order; some come again, some under fresh ids or none, some calls once more."""
    again = chance.choices(events, k=chance.randint(0, 15))
    fresh = [one | {"sg_event_id": f"fresh-{number}"} for number, one in enumerate(again)]
    nameless = [{name: value for name, value in one.items() if name != "sg_event_id"} for one in again[:3]]
    rest = [*events, *again, *fresh, *nameless]
    chance.shuffle(rest)
    calls = []
    while rest:
        size = chance.randint(1, 40)
        calls.append(rest[:size])
        rest = rest[size:]
    return [*calls, *chance.choices(calls, k=2)]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(chance=st.randoms(use_true_random=False))
def test_however_a_day_is_told_it_ends_the_same(day, plain, tmp_path_factory, chance):
    assert day.told(telling(day.events, chance), tmp_path_factory.mktemp("told")) == plain


def test_the_day_holds_what_it_should(plain):
    assert len(plain["consequences"]) >= 9
    assert plain["surges"] == [(3, "netease")]
