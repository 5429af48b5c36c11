"""What docs/subscription-rules.md says holds in any order of what happens, for one person in two publications."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlmodel import Session, col, select

from subscribers import suppression
from subscribers.actors import CLOCK, COMMAND_LINE, READER
from subscribers.addresses import parse_address
from subscribers.audience import candidates
from subscribers.consent_models import OptIn
from subscribers.csv_rows import Row
from subscribers.erasure import erase
from subscribers.errors import UnknownSubscriber
from subscribers.hashing import AddressHasher
from subscribers.importing import import_rows
from subscribers.judging import ImportTerms
from subscribers.lapsing import PENDING_FOR, lapse
from subscribers.leaving import LeavingChannel, leave, leave_everything
from subscribers.models import SubscriptionState, SuppressionReason
from subscribers.opt_in import Click, FormProof, SignUp, confirm, sign_up
from subscribers.plan_changes import PlanChange, change_plan, end_plans
from subscribers.plans import NewPlan, add_plan
from subscribers.roster import SubscriptionView, find_by_address
from subscribers.suppression import SuppressionOrder, reasons_against
from tests.people import complain
from tests.subscribers.conftest import NewStore


PAGE = Path(__file__).parents[2] / "docs" / "subscription-rules.md"
ADDRESS = "anna@example.com"
DEFAULT = {1: "free", 2: "basic"}
#: By invitation: only an operator or a payment gives it.
GIVEN = "patron"
HERE = st.sampled_from(sorted(DEFAULT))
#: How states of rows are called in the tables.
NAMES = {SubscriptionState.pending: "waiting", SubscriptionState.confirmed: "reading"}


def tables() -> list[dict[str, dict[str, str]]]:
    """Read the tables of the page: rows by their first cell, cells by their column's head without its star."""
    found, rows = [], []
    for line in [*PAGE.read_text("utf-8").splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")])
        elif rows:
            head = [name.rstrip("*") for name in rows[0]]
            found.append({row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows[2:]})
            rows = []
    return found


STANDINGS, REASONS, _PLANS = tables()
REASON_FROM = {row["comes from"]: reason for reason, row in REASONS.items() if row["comes from"]}


def test_the_tables_speak_of_every_reason_and_every_cell_names_a_standing():
    assert set(REASONS) == set(SuppressionReason)
    assert {cell for row in STANDINGS.values() for cell in row.values()} <= {*STANDINGS, "-"}
    assert {cell for row in REASONS.values() for head, cell in row.items() if head != "comes from"} == {"yes", "no"}


class Life(RuleBasedStateMachine):
    """What happens to one address, beside what the tables say of it."""

    new_store: ClassVar[NewStore]
    hasher: ClassVar[AddressHasher]

    def __init__(self) -> None:
        super().__init__()
        self.store = type(self).new_store()
        self.session: Session = self.store.__enter__()
        for publication in DEFAULT:
            add_plan(self.session, NewPlan(publication, GIVEN))
        self.now = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
        self.standing = dict.fromkeys(DEFAULT, "unknown")
        self.plan = dict(DEFAULT)
        self.reasons: set[str] = set()
        self.requests: dict[int, list[int]] = {publication: [] for publication in DEFAULT}

    def teardown(self) -> None:
        self.store.__exit__(None, None, None)

    # What the tables say.

    def table_says(self, event: str, *publications: int) -> None:
        for one in publications:
            now_standing = STANDINGS[self.standing[one]][event]
            self.standing[one] = self.standing[one] if now_standing == "-" else now_standing
            if self.standing[one] == "unknown":
                self.plan[one] = DEFAULT[one]
        if set(self.standing.values()) <= {"unknown", "lapsed"} and event == "30 days pass":
            self.standing, self.plan = dict.fromkeys(DEFAULT, "unknown"), dict(DEFAULT)

    def lets(self, what: str) -> bool:
        return all(REASONS[reason][what] == "yes" for reason in self.reasons)

    # What is so.

    def view(self, publication: int) -> SubscriptionView | None:
        try:
            return find_by_address(self.session, publication, ADDRESS)
        except UnknownSubscriber:
            return None

    def seen(self, publication: int) -> str:
        if (view := self.view(publication)) is None:
            return "unknown"
        if view.state is not SubscriptionState.left:
            return NAMES.get(view.state, str(view.state))
        open_ = select(OptIn).where(
            OptIn.subscription_id == view.id, col(OptIn.closed_at).is_(None), col(OptIn.confirmed_at).is_(None)
        )
        return "left, asking" if self.session.exec(open_).first() else "left"

    # What happens.

    def knows(self, publication: int) -> bool:
        return self.standing[publication] != "unknown"

    def anybody(self) -> bool:
        return any(map(self.knows, DEFAULT))

    @rule(here=HERE)
    def signs_up(self, here):
        request = SignUp(here, parse_address(ADDRESS), FormProof("https://n.example.com/sign-up"))
        asked = sign_up(self.session, request, hasher=self.hasher, by=READER, now=self.now)
        if asked.opt_in_id:
            self.requests[here].append(asked.opt_in_id)
        if self.lets("sign-up is heard"):
            self.table_says("signs up", here)

    @precondition(lambda self: any(self.requests.values()))
    @rule(here=HERE, back=st.integers(0, 3))
    def confirms(self, here, back):
        """Press the button behind the newest mail, or behind an older one."""
        if len(self.requests[here]) <= back:
            return
        request = self.requests[here][-1 - back]
        confirm(self.session, Click(request), hasher=self.hasher, by=READER, now=self.now)
        if request == self.requests[here][-1] and self.lets("confirming works"):
            before = self.standing[here]
            self.table_says("confirms", here)
            if self.standing[here] != before:
                self.reasons = {one for one in self.reasons if REASONS[one]["confirming lifts it"] == "no"}

    @precondition(anybody)
    @rule(here=HERE, channel=st.sampled_from([LeavingChannel.page, LeavingChannel.one_click, LeavingChannel.mailto]))
    def leaves(self, here, channel):
        if view := self.view(here):
            leave(self.session, view.unsubscribe_id, channel=channel, by=READER, now=self.now)
            self.table_says("leaves", here)

    @precondition(anybody)
    @rule(here=HERE)
    def leaves_everything(self, here):
        if view := self.view(here):
            leave_everything(self.session, view.unsubscribe_id, hasher=self.hasher, by=READER, now=self.now)
            self.table_says("leaves everything", *DEFAULT)
            self.reasons.add(REASON_FROM["leaves everything"])

    @rule(here=HERE)
    def is_imported(self, here):
        terms = ImportTerms(here, "readers.csv", "asked on paper")
        import_rows(self.session, [Row(2, ADDRESS)], terms, hasher=self.hasher, by=COMMAND_LINE, now=self.now)
        if self.lets("import works"):
            self.table_says("imported", here)

    @precondition(anybody)
    @rule(here=HERE)
    def complains(self, here):
        if view := self.view(here):
            complain(self.session, view.id, hasher=self.hasher, by=READER, now=self.now)
            self.table_says("complains", *DEFAULT)
            self.reasons.add(REASON_FROM["complains"])

    @rule()
    def mail_bounces(self):
        order = SuppressionOrder(ADDRESS, SuppressionReason.hard_bounce)
        suppression.add(self.session, order, hasher=self.hasher, by=CLOCK, now=self.now)
        self.table_says("mail bounces", *DEFAULT)
        self.reasons.add(REASON_FROM["mail bounces"])

    @rule(here=HERE)
    def is_given_a_plan(self, here):
        if view := self.view(here):
            change = PlanChange(GIVEN, until=self.now.date())
            change_plan(self.session, view.id, change, by=COMMAND_LINE, now=self.now)
            self.plan[here] = GIVEN

    @rule(here=HERE)
    def plan_ends(self, here):
        end_plans(self.session, here, today=self.now.date() + timedelta(days=1), by=CLOCK, now=self.now)
        self.table_says("plan ends", here)
        self.plan[here] = DEFAULT[here]

    @rule()
    def is_erased(self):
        erase(self.session, ADDRESS, hasher=self.hasher, by=COMMAND_LINE, now=self.now)
        self.table_says("erased", *DEFAULT)
        self.reasons.add(REASON_FROM["erased"])

    @rule()
    def thirty_days_pass(self):
        self.now += PENDING_FOR
        while lapse(self.session, by=CLOCK, now=self.now):
            pass
        self.table_says("30 days pass", *DEFAULT)

    @invariant()
    def the_tables_are_right(self):
        self.session.expire_all()
        assert {one: self.seen(one) for one in DEFAULT} == self.standing
        against = {one: set(reasons_against(self.session, one, ADDRESS, hasher=self.hasher)) for one in DEFAULT}
        assert against == dict.fromkeys(DEFAULT, self.reasons)
        plans = {one: view.plan for one in DEFAULT if (view := self.view(one))}
        assert plans == {one: self.plan[one] for one in plans}

    @invariant()
    def an_issue_goes_to_who_reads_and_has_nothing_against_the_address(self):
        for one in DEFAULT:
            mailed = [row for row in self.session.execute(candidates(one, now=self.now)) if row.exclusion is None]
            assert len(mailed) == (self.standing[one] == "reading" and not self.reasons)


def test_any_order_of_what_happens_ends_where_the_tables_say(new_store, hasher):
    # What a machine stands on is its class's, since hypothesis makes the machines.
    told = {"new_store": staticmethod(new_store), "hasher": hasher}
    machine = type("LifeHere", (Life,), told)
    run_state_machine_as_test(machine, settings=settings(max_examples=80, stateful_step_count=25, deadline=None))
