"""The ledger against a model: calls, crashes, late answers, events, leavers, plans, operators, in any order whatever.

The machine plays every part around the ledger: workers that claim and call and die, a provider that takes a request or
does not whatever it answers, its events, readers, the clock and an operator. ``ledger_truth`` knows what the provider
truly took. After each step every account balances, nobody was reached twice who should not have been, and the ledger
says nothing against the truth. At the end everything settles and nobody is missing.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
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
from newsletter.delivery.audience import freeze
from newsletter.delivery.beside import refuse_beside_another
from newsletter.delivery.claims import Claim, claim_next, sweep
from newsletter.delivery.dispatch import begin_call, end_call
from newsletter.delivery.doubt_models import Decision, Settlement
from newsletter.delivery.doubts import follows_its_batch
from newsletter.delivery.evidence import Evidence, all_evidence
from newsletter.delivery.hearing import hear
from newsletter.delivery.lanes import hold_lane
from newsletter.delivery.life import cancel, end_undo_window, pause, unschedule, unwind_next, unwinding
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.mailings import begin_due, conclude, find_mailing, mailings_in, move, resume
from newsletter.delivery.models import Batch, Delivery, Mailing, Variant
from newsletter.delivery.pacing import Excess
from newsletter.delivery.policies import set_policy
from newsletter.delivery.policy import UnknownPolicy
from newsletter.delivery.quiet import LONGEST_GAP
from newsletter.delivery.releasing import release
from newsletter.delivery.settlement import prove, settle, settle_due
from newsletter.delivery.variants import Workshop, variants_for
from newsletter.errors import Refused
from newsletter.feedback.protection import protect
from newsletter.providers.base import CallEnd, Ending, RefusedRecipient
from newsletter.providers.memory import MemoryProvider
from newsletter.publications import publication_named
from subscribers.actors import COMMAND_LINE
from subscribers.leaving import leave_by_address
from subscribers.models import Subscriber
from subscribers.plan_changes import PlanChange, change_plan
from subscribers.plans import list_plans
from subscribers.roster import find_by_address
from tests.delivery.ledger_truth import Call, Truth
from tests.world import ISSUE, World, make_world


#: Of two mailbox providers, so that one can be held while the other goes on.
READERS = [f"r{number}@{'qq.com' if number % 2 else 'example.com'}" for number in range(6)]
LANES = ("qq", "other")
#: What others do before a piece of a freeze: more often nothing than one of the rest.
MEANWHILE = ("", "", "", "pause", "resume", "another freezes", "dies")
#: In one example.
STEPS = 100
MAILINGS = 5
MOST_ASLEEP = 2
EXAMPLES = int(os.environ.get("LEDGER_STEPS", "10200")) // STEPS // len(UnknownPolicy)
#: Everywhere the same steps, unless more were asked for: those go where none went before.
SAME_STEPS = "LEDGER_STEPS" not in os.environ
QUIET = timedelta(minutes=60)
#: Looks of the clock, an hour apart, after which everything must be over.
LONGEST = 40

#: What an operator says to one mailing; most of all to go on, or it would stand still in most examples.
STEERING = (*("resume", "release", "go") * 3, "pause", "cancel", "unschedule")

DECISIONS = (Decision.resend, Decision.resend, Decision.accepted, Decision.give_up)

#: How a call ends that was not taken.
REFUSALS = {
    "throttled": CallEnd(Ending.throttled, 429, wait_seconds=5),
    "away": CallEnd(Ending.throttled, 503),
    "never left": CallEnd(Ending.never_left),
    "refused": CallEnd(Ending.refused, 404),
    "too large": CallEnd(Ending.too_large, 413),
    "one is named": CallEnd(Ending.recipients_refused, 400, refused=(RefusedRecipient(0, "no address"),)),
    "none is named": CallEnd(Ending.recipients_refused, 400),
    "unauthorised": CallEnd(Ending.unauthorised, 401, detail="the key is wrong"),
}
#: After these endings a recipient may be refused for good.
FINAL = frozenset({Ending.refused, Ending.too_large, Ending.recipients_refused})
ACCEPTED = CallEnd(Ending.accepted, 202, "m")
LOST = CallEnd(Ending.ambiguous, detail="no answer came")

which = st.integers(0, 10)
meanwhile = st.lists(st.sampled_from(MEANWHILE), max_size=8)
ends = st.sampled_from(
    [
        *["accepted", "taken, lost", "taken, dies", "goes on"] * 2,
        "accepted",
        "taken, goes on",
        "lost",
        "dies",
        *REFUSALS,
    ]
)


class Ledger(RuleBasedStateMachine):
    """Everybody around the ledger."""

    stores: Callable[[], AbstractContextManager[Database]]
    policy: UnknownPolicy

    @initialize(first_wave=st.sampled_from([0, 0, 2]), meanwhile=meanwhile)
    def open(self, first_wave: int, meanwhile: list[str]) -> None:
        self.store = type(self).stores()
        self.world = opened(self.store.__enter__())
        self.truth = Truth()
        self.claims: list[Claim] = []
        self.calls: list[Call] = []
        self.gone: set[str] = set()
        self.mailings = 0
        self._say(first_wave=first_wave, unknown=self.policy, quiet_minutes=QUIET.seconds // 60)
        self._schedule(1)
        self._begin_due()
        self._freeze_begun(meanwhile)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self._settle_everything()
            finally:
                self.store.__exit__(None, None, None)

    # Few rules with many choices: Hypothesis leaves some rules out of each example, and work needs several.
    # -- the operator

    @precondition(lambda self: self.mailings < MAILINGS)
    @rule(issue=st.sampled_from([1, 1, 2]), again=st.booleans(), undo_seconds=st.sampled_from([0, 0, 400]))
    def schedule(self, issue: int, undo_seconds: int, *, again: bool) -> None:
        self._schedule(issue, undo_seconds, again=again)

    @rule(n=which, what=st.sampled_from([*STEERING, *LANES, *UnknownPolicy]))
    def operate(self, n: int, what: str) -> None:
        """Steer a mailing, hold one of its mailbox providers, or change the policy."""
        mailing_id = self._mailing(n)
        if what in STEERING:
            self._steer(mailing_id, what)
        elif what in LANES:
            self._hold(mailing_id, what)
        else:
            self._say(unknown=what)

    @rule(n=which, decision=st.sampled_from(DECISIONS), all_=st.booleans())
    def settle_by_hand(self, n: int, decision: Decision, *, all_: bool) -> None:
        """Decide about one request, or all of its mailing; the person may be wrong."""
        if not (unknown := self._unknown()):
            return
        one = unknown[n % len(unknown)]
        batches = () if all_ else (one.batch_id,)
        followers = {item.batch_id: self._who_follows(item.batch_id) for item in unknown}
        try:
            with self.world.database.writing() as session:
                settled = settle(
                    session, one.mailing_id, decision, batches=batches, by=COMMAND_LINE, now=self.world.clock()
                )
        except Refused:
            assert decision is Decision.resend
            return
        self.truth.resent = self._resent()
        if decision is Decision.accepted:
            self.truth.presumed |= {number for item in settled for number in followers[item.batch_id]}

    # -- the clock

    @rule(
        seconds=st.sampled_from([1, 70, 400, 4000]),
        how=st.sampled_from(["ticks", "ticks", "quiet", "stands still"]),
        meanwhile=meanwhile,
    )
    def time_passes(self, seconds: int, how: str, meanwhile: list[str]) -> None:
        """Let the clock tick after a while, which may be a quiet time that all events come before; or let it be dead.

        In quiet no policy is wrong any more; else whoever has it twice then was sent it again on purpose.
        """
        self.world.clock.forward(seconds)
        if how == "quiet" and not self.calls:
            self._events_come()
            self._others_are_heard()
            assert not {one.attempt_id for one in self._unknown()} & self.truth.taken.keys()
        if how != "stands still":
            self._tick(meanwhile)

    # -- workers and the provider

    @rule(ends=st.lists(ends, min_size=1, max_size=3))
    def work(self, ends: list[str]) -> None:
        """Claim and begin calls, and have each end or go on."""
        for how in ends:
            if (claim := self._next_claim()) and (call := self._begin(claim)):
                self._answer(call, how)

    @rule(goes_on=st.booleans())
    def sleep(self, *, goes_on: bool) -> None:
        """Go on with a claim that may be somebody else's by now; or claim, and fall asleep or die with it."""
        if self.claims and (goes_on or len(self.claims) == MOST_ASLEEP):
            self._begin(self.claims.pop(0))
        elif claim := self._next_claim():
            self.claims.append(claim)

    @precondition(lambda self: self.calls)
    @rule(n=which, how=ends)
    def answer(self, n: int, how: str) -> None:
        self._answer(self.calls[n % len(self.calls)], how)

    @precondition(lambda self: self.truth.taken)
    @rule(n=which)
    def an_event_comes(self, n: int) -> None:
        """Hear of a request, perhaps not for the first time, perhaps before its answer."""
        taken = list(self.truth.taken)
        self._event(taken[n % len(taken)])

    # -- readers

    @rule(n=st.integers(0, 100), what=st.sampled_from(["leave", "free", "pro"]))
    def a_reader_acts(self, n: int, what: str) -> None:
        """Leave, or change plan; most often somebody of whom it is not known yet that the mail came."""
        in_doubt = [reader for one in self.truth.unheard for reader in self.truth.taken[one].readers]
        some = in_doubt[-4:] * 3 + READERS
        reader, now = some[n % len(some)], self.world.clock()
        with self.world.database.writing() as session:
            if what == "leave":
                leave_by_address(session, self.world.publication.id, reader, by=COMMAND_LINE, now=now)
                self.gone.add(reader)
            else:
                found = find_by_address(session, self.world.publication.id, reader)
                change_plan(session, found.id, PlanChange(what), by=COMMAND_LINE, now=now)

    # -- what always holds

    @invariant()
    def every_promise_is_kept(self) -> None:
        if hasattr(self, "world"):
            self._look()

    def _look(self) -> None:
        self.truth.nobody_is_reached_twice()
        with self.world.database.reading() as session:
            self.truth.agrees(session)
            frozen = list(session.exec(select(Mailing.id).where(Mailing.recipients > 0)))
        for mailing_id in frozen:
            self.world.account(mailing_id)

    # -- the end

    def _settle_everything(self) -> None:
        """Go on without faults until nothing is left to do, as an operator would who knows when events have come."""
        while self.calls:
            self._end(self.calls.pop(), LOST)
        for _ in range(LONGEST):
            self._go_on_with_everything()
            if self._is_over():
                break
        else:
            pytest.fail(f"not over: {self._standings()}")
        self._look()
        with self.world.database.reading() as session:
            emails = dict(session.exec(select(Subscriber.id, Subscriber.email)).all())
            self.truth.everybody_is_accounted_for(session, gone=self.gone, emails=emails)

    def _go_on_with_everything(self) -> None:
        self._events_come()
        self._others_are_heard()
        # Whoever is asked knows by now that what is still unknown was never taken.
        for one in self._unknown():
            self._settle_for_good(one)
        for mailing_id in self._all_mailings():
            self._steer(mailing_id, "resume")
            self._steer(mailing_id, "release")
        self._tick()
        self._dispatch()

    def _settle_for_good(self, one: Evidence) -> None:
        assert one.attempt_id not in self.truth.taken
        is_cancelled = one.mailing_state is MailingState.cancelled
        decision = Decision.give_up if is_cancelled else Decision.resend
        with self.world.database.writing() as session:
            settle(session, one.mailing_id, decision, batches=(one.batch_id,), by=COMMAND_LINE, now=self.world.clock())

    def _dispatch(self) -> None:
        claim: Claim | None = None
        while claim := self._next_claim():
            self._begin(claim)
            while self.calls:
                self._take(self.calls[0])
                self._end(self.calls.pop(0), ACCEPTED)

    def _is_over(self) -> bool:
        with self.world.database.reading() as session:
            states = [session.get_one(Mailing, one) for one in self._all_mailings()]
        over = {MailingState.finished, MailingState.cancelled}
        return all(one.state in over and one.ended_at for one in states) and not self._unknown()

    def _standings(self) -> list[str]:
        return [
            f"{self.world.mailing(one).state}: {self.world.account(one).standing.line()}"
            for one in self._all_mailings()
        ]

    # -- short words

    def _say(self, **said: object) -> None:
        with self.world.database.writing() as session:
            set_policy(session, self.world.publication.id, said, by=COMMAND_LINE, now=self.world.clock())

    def _steer(self, mailing_id: int, what: str) -> None:
        now = self.world.clock()
        with self.world.database.writing() as session:
            try:
                match what:
                    case "pause":
                        pause(session, mailing_id, by=COMMAND_LINE, now=now)
                    case "resume":
                        resume(session, mailing_id, live=False, now=now, even_though_old=True)
                    case "cancel":
                        cancel(session, mailing_id, by=COMMAND_LINE, now=now)
                    case "unschedule":
                        unschedule(session, mailing_id, by=COMMAND_LINE, now=now)
                    case "release":
                        release(session, mailing_id, by=COMMAND_LINE, now=now)
                    case _:
                        end_undo_window(session, mailing_id, now=now)
            except Refused:
                # As the command does: nothing of it stays.
                session.rollback()

    def _schedule(self, issue: int, undo_seconds: int = 0, *, again: bool = False) -> None:
        """Schedule as the command does, without preflight and rendering: neither is what is tried here."""
        now = self.world.clock()
        with self.world.database.writing() as session:
            like = session.exec(select(Mailing).where(Mailing.issue_id == issue).order_by(col(Mailing.id))).first()
            assert like is not None
            try:
                refuse_beside_another(session, issue, live=False)
            except Refused:
                return
            mailing = Mailing(**like.model_dump(exclude={"id"}) | {"state": "scheduled", "due_at": now, "again": again})
            mailing.created_at, mailing.first_call_at = now, now + timedelta(seconds=undo_seconds)
            mailing.ended_at, mailing.state_reason = None, ""
            session.add(mailing)
            session.flush()
            for variant in session.exec(select(Variant).where(Variant.mailing_id == like.id)).all():
                session.add(Variant(**variant.model_dump(exclude={"id"}) | {"mailing_id": mailing.id}))
        self.mailings += 1

    def _hold(self, mailing_id: int, lane: str) -> None:
        with self.world.database.writing() as session:
            hold_lane(session, mailing_id, lane, Excess(2.0, "bounces"), now=self.world.clock())
            conclude(session, mailing_id, now=self.world.clock())

    def _begin_due(self) -> None:
        with self.world.database.writing() as session:
            begin_due(session, live=False, now=self.world.clock())

    def _freeze_begun(self, meanwhile: Sequence[str] = ()) -> None:
        """Freeze what has begun, piece by piece, while others pause it, let it go on or freeze it, too."""
        with self.world.database.reading() as session:
            begun = mailings_in(session, MailingState.freezing)
        deeds = iter(meanwhile)
        for mailing_id in begun:

            def is_stopping(one: int = mailing_id) -> bool:
                return self._meanwhile(one, next(deeds, ""))

            self._freeze(mailing_id, is_stopping)

    def _freeze(self, mailing_id: int, is_stopping: Callable[[], bool] = lambda: False) -> None:
        freeze(self.world.database, mailing_id, self.world.terms, clock=self.world.clock, is_stopping=is_stopping)

    def _meanwhile(self, mailing_id: int, what: str) -> bool:
        """Do something to a mailing that is being frozen; tell whether its process dies here."""
        if what == "another freezes":
            self._freeze(mailing_id)
        elif what in STEERING:
            self._steer(mailing_id, what)
        return what == "dies"

    def _sweep(self) -> None:
        with self.world.database.writing() as session:
            sweep(session, now=self.world.clock())
            for mailing_id in mailings_in(session, MailingState.running):
                conclude(session, mailing_id, now=self.world.clock())

    def _take_back(self) -> None:
        with self.world.database.writing() as session:
            for mailing_id in unwinding(session):
                while unwind_next(session, mailing_id, now=self.world.clock()):
                    pass

    def _next_claim(self) -> Claim | None:
        with self.world.database.writing() as session:
            return claim_next(session, self.world.desk.claimant, now=self.world.clock())

    def _begin(self, claim: Claim) -> Call | None:
        if (submission := begin_call(self.world.desk, claim)) is None:
            return None
        mailed = [one.address for one in submission.message.recipients]
        with self.world.database.reading() as session:
            mailing_id = session.get_one(Batch, claim.batch_id).mailing_id
            plans = {plan.id: plan.code for plan in list_plans(session, self.world.publication.id)}
            readers = [find_by_address(session, self.world.publication.id, one) for one in mailed]
        assert not self.gone & set(mailed)
        assert {one.plan for one in readers} == {plans[submission.draft.variant.plan_id]}
        self.calls.append(call := Call(claim, submission, mailing_id))
        return call

    def _answer(self, call: Call, how: str) -> None:
        """End a call, or let it go on; what was taken is accepted, or its answer gets lost."""
        taken, _, then = how.rpartition(", ")
        if taken:
            self._take(call)
        if then == "goes on":
            return
        self.calls.remove(call)
        if then == "lost":
            self._end(call, LOST)
        elif then in REFUSALS and not call.is_taken:
            self._refuse(call, REFUSALS[then])
        elif then != "dies":
            self._take(call)
            self._end(call, ACCEPTED)

    def _take(self, call: Call) -> None:
        if not call.is_taken:
            self.truth.take(call, self.world.mailing(call.mailing_id))

    def _refuse(self, call: Call, end: CallEnd) -> None:
        if end.ending in FINAL:
            self.truth.refused |= set(call.submission.delivery_ids)
        self._end(call, end)

    def _end(self, call: Call, end: CallEnd) -> None:
        end_call(self.world.desk, call.claim, call.submission, end)

    def _event(self, attempt: str) -> None:
        with self.world.database.writing() as session:
            prove(session, [attempt], now=self.world.clock())
            hear(session, 1, at=self.world.clock())
        if attempt in self.truth.unheard:
            self.truth.unheard.remove(attempt)
            self.truth.heard.append(attempt)

    def _events_come(self) -> None:
        while self.truth.unheard:
            self._event(self.truth.unheard[0])

    def _others_are_heard(self) -> None:
        for _ in range(QUIET // LONGEST_GAP + 1):
            self.world.clock.forward(LONGEST_GAP.total_seconds())
            self._sweep()
            with self.world.database.writing() as session:
                hear(session, 1, at=self.world.clock())

    def _tick(self, meanwhile: Sequence[str] = ()) -> None:
        """Do what the clock does, in its order."""
        self._take_back()
        self._begin_due()
        self._sweep()
        self._freeze_begun(meanwhile)
        with self.world.database.writing() as session:
            protect(session, live=False, now=self.world.clock())
        self._settle_due()

    def _settle_due(self) -> None:
        with self.world.database.writing() as session:
            settle_due(session, live=False, now=self.world.clock())
        self.truth.resent = self._resent()

    def _resent(self) -> set[str]:
        """Give the attempts after which a person or a policy had somebody mailed once more."""
        with self.world.database.reading() as session:
            said = select(Settlement.attempt_id).where(Settlement.decision == Decision.resend)
            return set(session.exec(said))

    def _unknown(self) -> list[Evidence]:
        with self.world.database.reading() as session:
            return all_evidence(session, live=False)

    def _who_follows(self, batch_id: int) -> list[int]:
        with self.world.database.reading() as session:
            return list(session.exec(select(Delivery.id).where(Delivery.batch_id == batch_id, follows_its_batch())))

    def _all_mailings(self) -> list[int]:
        with self.world.database.reading() as session:
            # The first two only lend their renderings.
            return list(session.exec(select(Mailing.id).where(Mailing.id > 2).order_by(col(Mailing.id))))

    def _mailing(self, n: int) -> int:
        return 3 + n % self.mailings


def _memory() -> str | None:
    """A folder in memory where there is one: every example has a store of its own."""
    memory = "/dev/shm"  # noqa: S108 - a folder of its own is made in it
    return memory if os.access(memory, os.W_OK) else None


def opened(database: Database) -> World:
    """Open the world of the template again."""
    with database.reading() as session:
        publication = publication_named(session, None)
    return World(database, publication, WORKSHOP[0], MemoryProvider(), batch_size=3, chunk=2)


WORKSHOP: list[Workshop] = []


def fill(database: Database) -> None:
    """Put readers of two plans and two issues into a store, of which a mailing each was rendered."""
    world = make_world(database, MemoryProvider())
    WORKSHOP[:] = [world.workshop]
    world.readers(READERS[:4])
    world.readers(READERS[4:], plan="pro")
    for issue in (world.issue(), world.issue(ISSUE.replace("第一期", "第二期") + "\n另一期。\n")):
        mailing_id = world.schedule(issue)
        with database.writing() as session:
            session.add_all(variants_for(session, find_mailing(session, mailing_id), world.workshop))
            move(session, mailing_id, MailingState.cancelled, now=world.clock(), ended_at=world.clock())
    database.close()


@pytest.fixture(scope="module")
def on_sqlite(blank_sqlite, tmp_path_factory) -> Iterator[Callable[[], AbstractContextManager[Database]]]:
    file = Path(shutil.copy(blank_sqlite, tmp_path_factory.mktemp("ledger") / "newsletter.db"))
    fill(Database(f"sqlite:///{file}"))
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        # The same for every example, in a file of its own each time: its statements are compiled once.
        database = Database(f"sqlite:///{folder}/newsletter.db")

        @contextmanager
        def store() -> Iterator[Database]:
            shutil.copy(file, folder)
            yield database
            database.close()
            for used in Path(folder).iterdir():
                used.unlink()

        yield store


@pytest.fixture(scope="module")
def on_postgresql(postgres) -> Callable[[], AbstractContextManager[Database]]:
    postgres.run("CREATE DATABASE ledger TEMPLATE blank")
    fill(Database(postgres.url("ledger")))
    database = Database(postgres.url("ledger_copy"))

    @contextmanager
    def store() -> Iterator[Database]:
        postgres.run("CREATE DATABASE ledger_copy TEMPLATE ledger")
        yield database
        database.close()
        postgres.run("DROP DATABASE ledger_copy WITH (FORCE)")

    return store


def walk(stores: Callable[[], AbstractContextManager[Database]], policy: UnknownPolicy, examples: int) -> None:
    run_state_machine_as_test(
        type("LedgerOf", (Ledger,), {"stores": staticmethod(stores), "policy": policy}),
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=SAME_STEPS,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


# The limit of a test ends it anywhere, which Hypothesis takes for a machine that is not the same twice.
@pytest.mark.timeout(0)
@pytest.mark.parametrize("policy", UnknownPolicy)
def test_the_ledger_keeps_its_promises_in_any_order(on_sqlite, policy):
    walk(on_sqlite, policy, EXAMPLES)


@pytest.mark.postgres
@pytest.mark.timeout(0)
def test_the_ledger_keeps_its_promises_on_postgresql(on_postgresql):
    walk(on_postgresql, UnknownPolicy.resend, max(2, EXAMPLES // 20))
