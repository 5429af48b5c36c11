"""The ledger against a model: calls, crashes, late answers, events, leavers, plans, operators, in any order whatever.

The machine plays every part around the ledger: workers that claim and call and die, a provider that takes a request
or does not whatever it answers, its events, readers, and an operator. The model knows what the provider truly took.
After each step every account balances, nobody was reached twice who should not have been, and nothing that was taken
counts as certainly not taken. At the end everything settles and nobody is missing.
"""

import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlmodel import col, select

from newsletter.database import Database
from newsletter.delivery.claims import Claim, claim_next, sweep
from newsletter.delivery.dispatch import Submission, begin_call, end_call
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.mailings import conclude, find_mailing, mailings_in, move
from newsletter.delivery.models import Batch, Mailing, Variant
from newsletter.delivery.scheduling import Order, refuse_beside_another
from newsletter.delivery.settlement import prove
from newsletter.delivery.variants import Workshop, variants_for
from newsletter.errors import Refused
from newsletter.providers.base import CallEnd, Ending, RefusedRecipient
from newsletter.providers.memory import MemoryProvider
from newsletter.publications import publication_named
from subscribers.actors import COMMAND_LINE
from subscribers.leaving import leave_by_address
from subscribers.plan_changes import PlanChange, change_plan
from subscribers.roster import find_by_address
from tests.world import ISSUE, World, addresses, make_world


READERS = 9
STEPS = 50
#: In one example.
MAILINGS = 3
EXAMPLES = int(os.environ.get("LEDGER_STEPS", "10000")) // STEPS
#: One after another in each example, so that each finds another world before it.
OUTCOMES = st.sampled_from(["accepted", "throttled", "never_left", "refused", "too_large", "names", "halves", "401"])


@dataclass
class Call:
    """A call under way: what was submitted, and whether the provider took it."""

    claim: Claim
    submission: Submission
    mailing_id: int


@dataclass(frozen=True)
class Taken:
    """What the provider truly took: one request for an issue."""

    attempt: str
    issue_id: int
    again: int
    readers: tuple[str, ...]


class Ledger(RuleBasedStateMachine):
    """Everybody around the ledger."""

    template: Path

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=_memory()))
        database = Database(f"sqlite:///{shutil.copy(self.template, self.folder / 'newsletter.db')}")
        self.world = opened(database)
        self.claims: list[Claim] = []
        self.calls: list[Call] = []
        self.taken: list[Taken] = []
        self.unheard: list[str] = []
        self.gone: set[str] = set()
        self.mailings = 0

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self._settle_everything()
            self.world.database.close()
            shutil.rmtree(self.folder)

    # -- the operator

    @precondition(lambda self: self.mailings < MAILINGS)
    @rule(issue=st.sampled_from([1, 2]), again=st.booleans())
    def schedule(self, issue: int, *, again: bool) -> None:
        """As `schedule` does, without preflight and rendering: neither is what is tried here."""
        now = self.world.clock()
        with self.world.database.writing() as session:
            like = session.exec(select(Mailing).where(Mailing.issue_id == issue).order_by(col(Mailing.id))).first()
            assert like is not None
            try:
                refuse_beside_another(session, Order(issue, now, again=again))
            except Refused:
                return
            mailing = Mailing(**like.model_dump(exclude={"id"}) | {"state": "scheduled", "due_at": now, "again": again})
            mailing.first_call_at = now
            session.add(mailing)
            session.flush()
            for variant in session.exec(select(Variant).where(Variant.mailing_id == like.id)).all():
                session.add(Variant(**variant.model_dump(exclude={"id"}) | {"mailing_id": mailing.id}))
        self.mailings += 1

    @rule()
    def tick(self) -> None:
        self.world.begin()
        self._sweep()

    # -- workers

    @precondition(lambda self: len(self.claims) < 3)
    @rule()
    def claim(self) -> None:
        with self.world.database.writing() as session:
            if claim := claim_next(session, self.world.desk.claimant, now=self.world.clock()):
                self.claims.append(claim)

    @precondition(lambda self: self.claims)
    @rule()
    def begin(self) -> None:
        claim = self.claims.pop(0)
        if submission := begin_call(self.world.desk, claim):
            assert not self.gone & {one.address for one in submission.message.recipients}
            with self.world.database.reading() as session:
                mailing_id = session.get_one(Batch, claim.batch_id).mailing_id
            self._variants_fit(submission)
            self.calls.append(Call(claim, submission, mailing_id))

    @precondition(lambda self: self.calls)
    @rule(ends=OUTCOMES)
    def certain_answer(self, ends: str) -> None:
        call = self.calls.pop(0)
        if ends == "accepted":
            self._take(call)
        end_call(self.world.desk, call.claim, call.submission, _end(ends))

    @precondition(lambda self: self.calls)
    @rule(took=st.booleans())
    def no_answer(self, *, took: bool) -> None:
        call = self.calls.pop(0)
        if took:
            self._take(call)
        end_call(self.world.desk, call.claim, call.submission, CallEnd(Ending.ambiguous, detail="no answer came"))

    @precondition(lambda self: self.calls)
    @rule(took=st.booleans())
    def die_in_the_call(self, *, took: bool) -> None:
        call = self.calls.pop(0)
        if took:
            self._take(call)

    @precondition(lambda self: self.claims)
    @rule()
    def die_before_the_call(self) -> None:
        self.claims.pop(0)

    @rule(seconds=st.sampled_from([1, 30, 400, 4000]))
    def time_passes(self, seconds: int) -> None:
        self.world.clock.forward(seconds)

    # -- the provider, later

    @precondition(lambda self: self.unheard)
    @rule(which=st.integers(0, 10), twice=st.booleans())
    def an_event_comes(self, which: int, *, twice: bool) -> None:
        attempt = self.unheard.pop(which % len(self.unheard))
        for _ in range(2 if twice else 1):
            self._prove(attempt)

    # -- readers

    @precondition(lambda self: len(self.gone) < READERS)
    @rule(which=st.integers(0, READERS - 1))
    def leave(self, which: int) -> None:
        address = addresses(READERS)[which]
        with self.world.database.writing() as session:
            leave_by_address(session, self.world.publication.id, address, by=COMMAND_LINE, now=self.world.clock())
        self.gone.add(address)

    @rule(which=st.integers(0, READERS - 1), plan=st.sampled_from(["free", "pro"]))
    def change_plan(self, which: int, plan: str) -> None:
        with self.world.database.writing() as session:
            reader = find_by_address(session, self.world.publication.id, addresses(READERS)[which])
            change_plan(session, reader.id, PlanChange(plan), by=COMMAND_LINE, now=self.world.clock())

    # -- what always holds

    @invariant()
    def every_account_balances(self) -> None:
        if hasattr(self, "world"):
            for mailing_id in self._mailings():
                self.world.account(mailing_id)

    @invariant()
    def nobody_is_reached_twice(self) -> None:
        if hasattr(self, "world"):
            reached = Counter((reader, one.issue_id, one.again) for one in self.taken for reader in one.readers)
            assert not [one for one, count in reached.items() if count > 1]

    # -- helpers

    def _take(self, call: Call) -> None:
        mailing = self.world.mailing(call.mailing_id)
        readers = tuple(one.address for one in call.submission.message.recipients)
        round_ = mailing.id if mailing.again else 0
        self.taken.append(Taken(call.submission.attempt, mailing.issue_id, round_, readers))
        self.unheard.append(call.submission.attempt)

    def _prove(self, attempt: str) -> None:
        with self.world.database.writing() as session:
            prove(session, [attempt], now=self.world.clock())

    def _sweep(self) -> None:
        with self.world.database.writing() as session:
            sweep(session, now=self.world.clock())
            for mailing_id in mailings_in(session, MailingState.running):
                conclude(session, mailing_id, now=self.world.clock())

    def _variants_fit(self, submission: Submission) -> None:
        with self.world.database.reading() as session:
            plans = {
                find_by_address(session, self.world.publication.id, one.address).plan
                for one in submission.message.recipients
            }
        assert len(plans) == 1

    def _mailings(self) -> list[int]:
        with self.world.database.reading() as session:
            return list(session.exec(select(Mailing.id).where(Mailing.recipients > 0)))

    def _settle_everything(self) -> None: ...


def _end(ends: str) -> CallEnd:
    return {
        "accepted": CallEnd(Ending.accepted, 202, "m"),
        "throttled": CallEnd(Ending.throttled, 429, wait_seconds=5),
        "never_left": CallEnd(Ending.never_left),
        "refused": CallEnd(Ending.refused, 404),
        "too_large": CallEnd(Ending.too_large, 413),
        "names": CallEnd(Ending.recipients_refused, 400, refused=(RefusedRecipient(0, "no address"),)),
        "halves": CallEnd(Ending.recipients_refused, 400),
        "401": CallEnd(Ending.unauthorised, 401, detail="the key is wrong"),
    }[ends]


def _memory() -> str | None:
    """A folder in memory where there is one: every example has a store of its own."""
    memory = "/dev/shm"  # noqa: S108 - a folder of its own is made in it
    return memory if os.access(memory, os.W_OK) else None


def opened(database: Database) -> World:
    """Open the world of the template again."""
    with database.reading() as session:
        publication = publication_named(session, None)
    return World(database, publication, WORKSHOP[0], MemoryProvider(), batch_size=3)


WORKSHOP: list[Workshop] = []


@pytest.fixture(scope="module")
def template(blank_sqlite, tmp_path_factory) -> Path:
    """A store with readers of two plans and two issues."""
    file = Path(shutil.copy(blank_sqlite, tmp_path_factory.mktemp("ledger") / "newsletter.db"))
    database = Database(f"sqlite:///{file}")
    world = make_world(database, MemoryProvider())
    WORKSHOP[:] = [world.workshop]
    world.readers(addresses(6))
    world.readers(addresses(3, start=6), plan="pro")
    for issue in (world.issue(), world.issue(ISSUE.replace("第一期", "第二期") + "\n另一期。\n")):
        mailing_id = world.schedule(issue)
        with database.writing() as session:
            session.add_all(variants_for(session, find_mailing(session, mailing_id), world.workshop))
            move(session, mailing_id, MailingState.cancelled, now=world.clock())
    database.close()
    return file


def test_the_ledger_keeps_its_promises_in_any_order(template):
    run_state_machine_as_test(
        type("LedgerOf", (Ledger,), {"template": template}),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
