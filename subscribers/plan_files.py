"""Plan files: each row of a CSV file gives a reader a plan, with an account of each row. After ``csv_rows``.

The edge reads the file, cuts it into chunks and gives each chunk a transaction of its own. The same file once more
changes nothing. ``rehearse_plans`` gives the same account from a session that only reads.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlmodel import Session, col, select

from subscribers.actors import Actor
from subscribers.addresses import parse_address
from subscribers.csv_rows import Row
from subscribers.errors import InvalidAddress, RefusedPlan, UnknownPlan
from subscribers.models import Subscriber, Subscription
from subscribers.plan_changes import Holder, PlanChange, coming_last_day, give, require_end
from subscribers.plans import PlanView, choose_plan, list_plans
from subscribers.roster import are_of
from subscribers.seen_lines import SeenLines
from subscribers.typing_slips import suggestion_for


class PlanOutcome(StrEnum):
    """What became of one row."""

    changed = "changed"
    unchanged = "unchanged"
    duplicate_in_file = "duplicate_in_file"
    not_a_reader = "not_a_reader"
    unknown_plan = "unknown_plan"
    invalid = "invalid"


@dataclass(frozen=True)
class PlanAccount:
    """The account of one row: its line, what became of it, why where it is not plain, and who was perhaps meant."""

    line: int
    outcome: PlanOutcome
    address_typed: str
    detail: str = ""
    suggestion: str = ""

    @property
    def cells(self) -> tuple[object, ...]:
        """The account as a line of a report."""
        return (self.line, self.outcome, self.address_typed, self.detail, self.suggestion)


@dataclass(frozen=True)
class PlanFile:
    """What holds for a whole file: whose readers it is about, what day it is there, and what the ledger calls it."""

    publication_id: int
    today: date
    source: str


@dataclass(frozen=True)
class _Gift:
    """What a row gives to whom."""

    key: str
    plan: PlanView
    until: date | None


@dataclass(frozen=True)
class _Change:
    """A gift that changes what its reader has."""

    holder: Holder
    gift: _Gift


def give_plans(  # noqa: PLR0913 - the shape of every use case, with the lines seen before
    session: Session, rows: Sequence[Row], file: PlanFile, seen: SeenLines, *, by: Actor, now: datetime
) -> list[PlanAccount]:
    """Give the plans of one chunk of a file; one account a row, in the file's order.

    Where an address stands in several rows the first one counts; ``seen`` holds the chunks before. Nobody is
    subscribed by it, and who left stays out, with the new plan.
    """
    accounts, changes = _judge_all(session, rows, file, seen, holding=True)
    alike: dict[tuple[str, date | None], list[_Change]] = {}
    for change in changes:
        alike.setdefault((change.gift.plan.code, change.gift.until), []).append(change)
    for (code, until), together in alike.items():
        holders, plan = [one.holder for one in together], together[0].gift.plan
        give(session, holders, plan, PlanChange(code, until, source=file.source), by=by, now=now)
    return accounts


def rehearse_plans(session: Session, rows: Sequence[Row], file: PlanFile, seen: SeenLines) -> list[PlanAccount]:
    """Give the account that ``give_plans`` would give of a chunk, without writing."""
    return _judge_all(session, rows, file, seen, holding=False)[0]


def _judge_all(
    session: Session, rows: Sequence[Row], file: PlanFile, seen: SeenLines, *, holding: bool
) -> tuple[list[PlanAccount], list[_Change]]:
    plans = list_plans(session, file.publication_id)
    readings = [_read(row, plans, file.today) for row in rows]
    gifts = [one for one in readings if isinstance(one, _Gift)]
    holders = _holders(session, file.publication_id, {gift.key for gift in gifts}, holding=holding)
    lines = seen.lines_of({gift.key for gift in gifts})
    accounts: list[PlanAccount] = []
    changes: list[_Change] = []
    for row, reading in zip(rows, readings, strict=True):
        if isinstance(reading, PlanAccount):
            accounts.append(reading)
            continue
        accounts.append(_judge(row, reading, holders.get(reading.key), lines.get(reading.key)))
        lines.setdefault(reading.key, row.line)
        if accounts[-1].outcome is PlanOutcome.changed:
            changes.append(_Change(holders[reading.key], reading))
    seen.remember(lines)
    return accounts, changes


def _read(row: Row, plans: Sequence[PlanView], today: date) -> _Gift | PlanAccount:
    """Read one row by itself, without what the store knows of its reader."""
    if row.problem:
        return PlanAccount(row.line, PlanOutcome.invalid, row.email, row.problem)
    if not row.plan:
        return PlanAccount(row.line, PlanOutcome.unknown_plan, row.email, "the row names no plan")
    try:
        key, plan = parse_address(row.email).key, choose_plan(plans, row.plan)
        until = coming_last_day(row.plan_until, today)
        require_end(plan, until, plans)
        return _Gift(key, plan, until)
    except InvalidAddress as error:
        return PlanAccount(row.line, PlanOutcome.invalid, row.email, str(error), suggestion_for(row.email))
    except UnknownPlan as error:
        return PlanAccount(row.line, PlanOutcome.unknown_plan, row.email, str(error))
    except RefusedPlan as error:
        return PlanAccount(row.line, PlanOutcome.invalid, row.email, str(error))


def _judge(row: Row, gift: _Gift, holder: Holder | None, first_line: int | None) -> PlanAccount:
    """Judge a readable row by what is known of its address."""
    if first_line is not None:
        return PlanAccount(
            row.line, PlanOutcome.duplicate_in_file, row.email, f"the same address as on line {first_line}"
        )
    if holder is None:
        detail = "nobody of this address is in the publication; a plan is no consent to mail, so nobody is added"
        return PlanAccount(row.line, PlanOutcome.not_a_reader, row.email, detail, suggestion_for(row.email))
    same = (holder.plan, holder.until) == (gift.plan.code, gift.until)
    return PlanAccount(row.line, PlanOutcome.unchanged if same else PlanOutcome.changed, row.email)


def _holders(session: Session, publication_id: int, keys: Iterable[str], *, holding: bool) -> dict[str, Holder]:
    """Find what readers have, by address key; ``holding`` their rows, a change at the same moment waits."""
    codes = {plan.id: plan.code for plan in list_plans(session, publication_id)}
    found = (
        select(Subscriber.address_key, Subscription)
        .join(Subscriber, col(Subscriber.id) == col(Subscription.subscriber_id))
        .where(are_of(publication_id, keys))
        .order_by(col(Subscription.subscriber_id))
    )
    if holding:
        found = found.with_for_update(of=Subscription)
    return {
        key: Holder(publication_id, one.id, one.subscriber_id, codes[one.plan_id], one.plan_until)
        for key, one in session.exec(found)
        if key
    }
