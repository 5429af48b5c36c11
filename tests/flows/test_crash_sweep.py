"""The crash sweep: a mailing dies at every commit and every call of its way, and comes to the same end each time."""

import json
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from newsletter.database import Database
from newsletter.delivery.claims import sweep
from newsletter.delivery.doubt_models import Decision
from newsletter.delivery.evidence import evidence_in
from newsletter.delivery.lifecycle import BatchState, MailingState
from newsletter.delivery.policies import set_policy
from newsletter.delivery.settlement import settle
from newsletter.feedback.applying import PROVIDER, Scene
from newsletter.feedback.ingest import apply_next, keep_call
from newsletter.mortal import Death, MortalDatabase, MortalProvider, Points, Side
from newsletter.providers.base import CallEnd, Ending
from newsletter.providers.memory import MemoryProvider
from newsletter.worker.clock import Clock
from subscribers.actors import COMMAND_LINE
from tests.world import HandClock, World, addresses, make_world


READERS = addresses(12)
#: Hours in which a mailing must be over, however it died.
LONGEST = 12
#: Every step of DESIGN §5 is among the points, or the sweep would say nothing of it.
STEPS = {
    "worker.clock.tick",
    "worker.clock.settle",
    "delivery.audience._store_variants",
    "delivery.audience._freeze_chunk",
    "delivery.audience._partition_page",
    "delivery.audience.freeze",
    "delivery.dispatch.dispatch_next",
    "delivery.dispatch.begin_call",
    "delivery.dispatch.end_call",
    "feedback.ingest.apply_next",
}


@dataclass
class Story:
    """One mailing on one store, whose provider and whose readers' events outlive every process."""

    seed: World
    policy: str
    provider: MemoryProvider = field(default_factory=MemoryProvider)
    clock: HandClock = field(default_factory=HandClock)
    _told: int = 0
    _ids: int = 0

    def __post_init__(self) -> None:
        # Of the first request nothing is accepted and nothing comes back; the second is accepted all the same.
        self.provider.ends_next(CallEnd(Ending.ambiguous, detail="no certain answer: TimeoutError"))
        self.provider.loses_next()
        self.clock.now = self.seed.clock.now

    def live(self, url: str, points: Points) -> None:
        """Be a process from its start: go on until the mailing is over, or death comes."""
        database = MortalDatabase(url, points)
        provider = MortalProvider(self.provider, points)
        world = self.seed.having(database=database, provider=provider, clock=self.clock, batch_size=4)
        try:
            self._work(world)
        finally:
            database.close()

    def _work(self, world: World) -> None:
        machine = Clock(world.desk, world.terms, 1.0, wake=lambda: None)
        if world.database.is_sqlite:
            with world.database.writing() as session:
                sweep(session, now=self.clock(), all_of_them=True)
        for _ in range(LONGEST):
            machine.tick()
            machine.freeze_begun()
            world.dispatch()
            self._say_events(world)
            while apply_next(world.database, Scene(world.hasher, PROVIDER, self.clock())):
                pass
            machine.settle()
            self._decide(world)
            world.account(1)
            if world.mailing(1).state is MailingState.finished:
                return
            self.clock.forward(3600)
        pytest.fail(f"not over: {world.mailing(1).state}, {world.account(1).standing.line()}")

    def _say_events(self, world: World) -> None:
        """Say of each request that was accepted that it was, once; and each hour that somebody opens one of them."""
        new = [message.recipients[0] for message in self.provider.accepted[self._told :]]
        self._told = len(self.provider.accepted)
        opened = [message.recipients[-1] for message in self.provider.accepted]
        events = [self._event("processed", one) for one in new] + [self._event("open", one) for one in opened]
        if events:
            with world.database.writing() as session:
                keep_call(session, json.dumps(events).encode(), now=self.clock())

    def _event(self, kind: str, recipient: Any) -> dict[str, object]:
        self._ids += 1
        named = {"event": kind, "email": recipient.address, "sg_event_id": f"e{self._ids}"}
        return {**named, "timestamp": int(self.clock().timestamp()), **recipient.custom_args}

    def _decide(self, world: World) -> None:
        """Under `hold`, be the operator who is asked: what stands before them is what was never accepted."""
        with world.database.reading() as session:
            asked = [one for one in evidence_in(session, 1) if one.asked_at]
        if asked:
            accepted = {one.custom_args["attempt_id"] for one in self.provider.recipients()}
            assert not accepted & {one.attempt_id for one in asked}
            with world.database.writing() as session:
                settle(session, 1, Decision.resend, by=COMMAND_LINE, now=self.clock())


def seeded(database: Database, policy: str) -> World:
    """A store with readers and a mailing that is due."""
    world = make_world(database, MemoryProvider())
    with database.writing() as session:
        said = {"unknown": policy, "quiet_minutes": 60}
        set_policy(session, world.publication.id, said, by=COMMAND_LINE, now=world.clock())
    world.readers(READERS)
    world.schedule(world.issue())
    return world


def die_and_live_again(story: Story, url: str, dies_at: tuple[int, Side]) -> None:
    """Die at a point, start anew on the same store, and see that everybody was mailed once."""
    points = Points(dies_at)
    with pytest.raises(Death) as death:
        story.live(url, points)
    where = f"{dies_at}: {death.value}"
    survivor = story.seed.having(database=Database(url))
    survivor.account(1)
    # Long enough for the lease of the dead to end, where another process cannot know that it is dead.
    story.clock.forward(120)
    story.live(url, Points())
    assert Counter(story.provider.reached()) == Counter(READERS), where
    assert survivor.account(1).standing.accepted == len(READERS), where
    assert set(survivor.states(1)) == {BatchState.accepted}, where
    survivor.database.close()


def points_of(story: Story, url: str) -> list[str]:
    """Go the whole way without dying, and give its points."""
    points = Points()
    story.live(url, points)
    assert Counter(story.provider.reached()) == Counter(READERS)
    return points.passed


class OnSQLite:
    """Copies of one seeded SQLite store."""

    def __init__(self, blank: Path, folder: Path, policy: str) -> None:
        self._folder, self._copies = folder, 0
        self._seed = folder / "seed.db"
        database = Database(f"sqlite:///{shutil.copy(blank, self._seed)}")
        self._world, self._policy = seeded(database, policy), policy
        database.close()

    @contextmanager
    def story(self) -> Iterator[tuple[Story, str]]:
        file = self._folder / "copy.db"
        for old in self._folder.glob("copy.db*"):
            old.unlink()
        shutil.copy(self._seed, file)
        yield Story(self._world, self._policy), f"sqlite:///{file}"


@pytest.mark.parametrize("policy", ["resend", "hold"])
def test_death_at_every_commit_and_every_call(blank_sqlite, tmp_path, policy):
    stores = OnSQLite(blank_sqlite, tmp_path, policy)
    with stores.story() as (story, url):
        points = points_of(story, url)
    assert {f"commit in newsletter.{step}" for step in STEPS} | {"call to the provider"} <= set(points)
    # Before a commit the store is as after the last: for `hold` one side is enough.
    sides = list(Side) if policy == "resend" else [Side.after]
    for dies_at in ((number, side) for number in range(len(points)) for side in sides):
        with stores.story() as (story, url):
            die_and_live_again(story, url, dies_at)
    print(f"\n{policy}: {len(points)} points, {len(points) * len(sides)} deaths")  # noqa: T201 - shown with -s


@pytest.mark.postgres
def test_death_at_some_points_on_postgresql(postgres):
    def story() -> tuple[Story, str]:
        postgres.run(f"CREATE DATABASE {(name := f'crash_{uuid.uuid4().hex}')} TEMPLATE blank")
        database = Database(postgres.url(name))
        world = seeded(database, "resend")
        database.close()
        return Story(world, "resend"), postgres.url(name)

    points = points_of(*story())
    for number in range(3, len(points), len(points) // 6):
        die_and_live_again(*story(), (number, Side.after))
