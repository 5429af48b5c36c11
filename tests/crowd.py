"""A crowd: readers by the hundred thousand, laid into a store in bulk, and some who leave or change plan meanwhile.

For `make bench`, and in small for the suite. What must hold is in ``Verdict``: nobody who had left when their request
was committed is mailed, who has another plan by then gets that plan's variant, and nobody gets it twice.
"""

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from newsletter.database import Database
from newsletter.delivery.models import Attempt, Batch, Delivery, Variant
from newsletter.departures import depart
from newsletter.providers.base import CallEnd, Ending, Message
from subscribers.actors import COMMAND_LINE
from subscribers.bulk import insert_all
from subscribers.hashing import begin_with_pepper
from subscribers.leaving import LeavingChannel
from subscribers.models import AddressHash, Plan, Subscriber, Subscription, SubscriptionState
from subscribers.plan_changes import PlanChange, change_plan
from tests.world import World


ONLY_FOR_PRO = "只给专业版的一句"
SOURCE = f"测试周报：人群--由测试生成\n\n## 一节\n\n本周平稳。\n\n::: plan pro\n{ONLY_FOR_PRO}\n:::\n"
CHUNK = 10_000
DOMAINS = ("qq.com", "163.com", "gmail.com", "outlook.com", "example.com")
#: Of so many who do something, one changes plan.
CHANGES_ONE_IN = 5
#: Threads for readers, as many as the pages have (Starlette's own number).
MOST_AT_ONCE = 40


def utc_now() -> datetime:
    return datetime.now(UTC)


def way_out(number: int) -> str:
    """Give a reader's unsubscribe id."""
    return f"{number:022}"


def lay_readers(world: World, count: int) -> None:
    """Write confirmed readers of the free plan; their ids count from 1."""
    with world.database.writing() as session:
        begin_with_pepper(session, world.hasher, now=world.clock())
        free = session.exec(select(Plan.id).where(Plan.code == "free")).one()
    for start in range(1, count + 1, CHUNK):
        with world.database.writing() as session:
            _lay(session, world, range(start, min(start + CHUNK, count + 1)), free)


def _lay(session: Session, world: World, numbers: range, plan_id: int) -> None:
    now, key_id = world.clock(), world.hasher.key_id
    addresses = {one: f"r{one}@{DOMAINS[one % len(DOMAINS)]}" for one in numbers}
    people = [
        {
            "id": one,
            "address_typed": address,
            "email": address,
            "address_key": address,
            "domain": address.partition("@")[2],
            "name": "",
            "locale": "",
            "created_at": now,
        }
        for one, address in addresses.items()
    ]
    hashes = [{"subscriber_id": one, "key_id": key_id, "hash": f"{one:064x}"} for one in numbers]
    subscriptions = [
        {
            "id": one,
            "publication_id": world.publication.id,
            "subscriber_id": one,
            "plan_id": plan_id,
            "state": SubscriptionState.confirmed,
            "unsubscribe_id": way_out(one),
            "created_at": now,
            "confirmed_at": now,
        }
        for one in numbers
    ]
    insert_all(session, Subscriber, people)
    insert_all(session, AddressHash, hashes)
    insert_all(session, Subscription, subscriptions)


@dataclass
class Tally:
    """A provider that accepts everything, and keeps of each delivery only how often, and which variant."""

    name: str = "a tally"
    times: dict[int, int] = field(default_factory=dict)
    pro: set[int] = field(default_factory=set)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def submit(self, message: Message) -> CallEnd:
        ids = [int(one.custom_args["delivery"]) for one in message.recipients]
        with self._guard:
            for one in ids:
                self.times[one] = self.times.get(one, 0) + 1
            if ONLY_FOR_PRO in message.html:
                self.pro.update(ids)
        return CallEnd(Ending.accepted, status=202, message_id="m")


@dataclass(frozen=True)
class Deed:
    """What a reader did, between which moments it was committed, and how long the reader waited."""

    subscription_id: int
    left: bool
    begun: datetime
    done: datetime
    seconds: float


@dataclass
class Restless:
    """Readers who leave or change plan, through the use cases that the pages call."""

    database: Database
    waiting: list[int]
    #: A second, each at its time however long others wait; without it one after the other.
    rate: float | None = None
    deeds: list[Deed] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def meanwhile(self) -> Iterator[None]:
        """Let them act while the block lasts; who has begun finishes."""
        self._over.clear()
        with ThreadPoolExecutor(MOST_AT_ONCE) as pages:
            running = pages.submit(self._at_their_times if self.rate else self._in_turn, pages)
            try:
                yield
            finally:
                self._over.set()
                running.result()

    def _in_turn(self, _: Executor) -> None:
        while self.waiting and not self._over.is_set():
            self._act(self.waiting.pop(), time.perf_counter())

    def _at_their_times(self, pages: Executor) -> None:
        due, acting = time.perf_counter(), []
        while self.waiting and not self._over.wait(max(0.0, due - time.perf_counter())):
            acting.append(pages.submit(self._act, self.waiting.pop(), due))
            due += 1 / (self.rate or 1)
        for one in acting:
            one.result()

    def _act(self, one: int, due: float) -> None:
        left, begun = one % CHANGES_ONE_IN != 0, utc_now()
        with self.database.writing() as session:
            if left:
                assert depart(session, way_out(one), LeavingChannel.one_click, live=False, now=begun)
            else:
                change_plan(session, one, PlanChange("pro", source="test"), by=COMMAND_LINE, now=begun)
        self.deeds.append(Deed(one, left, begun, utc_now(), time.perf_counter() - due))


def picked(count: int, out_of: int) -> list[int]:
    """Choose readers, the same ones each time."""
    return random.Random(7).sample(range(1, out_of + 1), count)  # noqa: S311 - no secret


def dispatch_all(world: World, threads: int = 4) -> None:
    """Dispatch with several threads, as the service does, until nothing is left."""
    for together in (threads, 1):
        # One alone afterwards: what a late thread moved to another variant stands in a batch of its own.
        workers = [threading.Thread(target=world.dispatch, name="dispatch") for _ in range(together)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


@dataclass(frozen=True)
class Verdict:
    """What must not be; each is a list of subscriptions, or of deliveries."""

    mailed_though_left: list[int]
    wrong_variant: list[int]
    twice: list[int]
    missing: list[int]

    @property
    def is_clean(self) -> bool:
        return not any(vars(self).values())


def verdict(world: World, mailing_id: int, tally: Tally, deeds: list[Deed]) -> Verdict:
    """Hold what was mailed against what readers had done when their request was committed."""
    with world.database.reading() as session:
        rows = _submissions(session, mailing_id)
    where = {subscription: (delivery, at, pro) for subscription, delivery, at, pro in rows}
    mailed = {subscription: one for subscription, one in where.items() if tally.times.get(one[0])}
    accepted = {delivery for _, delivery, at, _ in rows if at is not None}
    return Verdict(
        [
            deed.subscription_id
            for deed in deeds
            if deed.left and (one := mailed.get(deed.subscription_id)) and one[1] and deed.done < one[1]
        ],
        [deed.subscription_id for deed in deeds if not deed.left and _is_wrong(deed, mailed, tally)],
        [one for one, times in tally.times.items() if times > 1],
        sorted(accepted ^ tally.times.keys()),
    )


def _is_wrong(deed: Deed, mailed: dict[int, tuple[int, datetime | None, bool]], tally: Tally) -> bool:
    if (one := mailed.get(deed.subscription_id)) is None:
        return True
    delivery, at, pro = one
    if at is None or pro != (delivery in tally.pro):
        return True
    return (deed.done < at and not pro) or (deed.begun > at and pro)


def _submissions(session: Session, mailing_id: int) -> list[tuple[int, int, datetime | None, bool]]:
    """Give each delivery with the moment its request was committed (nothing where it was skipped), and its variant."""
    at = select_columns(col(Attempt.submitting_at)).where(col(Attempt.batch_id) == col(Delivery.batch_id))
    columns: list[Any] = [
        col(Delivery.subscription_id),
        col(Delivery.id),
        col(Delivery.may_have_reached),
        at.scalar_subquery(),
        col(Plan.code),
    ]
    found = (
        select_columns(*columns)
        .join(Batch, col(Batch.id) == col(Delivery.batch_id))
        .join(Variant, col(Variant.id) == col(Batch.variant_id))
        .join(Plan, col(Plan.id) == col(Variant.plan_id))
        .where(col(Delivery.mailing_id) == mailing_id)
    )
    return [
        (subscription, delivery, moment if reached else None, code == "pro")
        for subscription, delivery, reached, moment, code in session.execute(found)
    ]
