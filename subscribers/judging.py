"""Judging: what is to become of one row of an imported file. Pure; the middle of ``importing``.

First a row is read by itself (``read_row``); then, with what the store knows of its address, it is judged (``judge``).
Each answer has a sentence for the operator, and none of them changes what a person decided.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from subscribers.addresses import Address, is_role, parse_address, without_addresses
from subscribers.client_evidence import ClientEvidence
from subscribers.consent import NO_EVIDENCE, Evidence
from subscribers.csv_rows import Row
from subscribers.dialects import There
from subscribers.disposable import is_disposable
from subscribers.enrolment import Newcomer, Standing
from subscribers.errors import InvalidAddress, MissingConsent, RefusedPlan, UnknownPlan
from subscribers.models import SubscriptionState
from subscribers.names import clean_name
from subscribers.plan_changes import coming_last_day, read_last_day, require_end
from subscribers.plans import PlanView, choose_plan
from subscribers.typing_slips import suggestion_for


_LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}")


class RowOutcome(StrEnum):
    """What became of one row."""

    added = "added"
    already = "already"
    duplicate_in_file = "duplicate_in_file"
    not_a_reader = "not_a_reader"
    not_confirmed = "not_confirmed"
    previously_left = "previously_left"
    suppressed = "suppressed"
    role_address = "role_address"
    unknown_plan = "unknown_plan"
    invalid = "invalid"


@dataclass(frozen=True)
class RowAccount:
    """The account of one row.

    Attributes:
        line: Its line in the file.
        outcome: What became of it.
        address_typed: The address as the file has it.
        detail: Why, in a sentence, where the outcome is not plain.
        note: What an operator should know of a row that was taken all the same.
        suggestion: The address that was perhaps meant. It is never put in the place of what the file says.
    """

    line: int
    outcome: RowOutcome
    address_typed: str
    detail: str = ""
    note: str = ""
    suggestion: str = ""

    @property
    def cells(self) -> tuple[object, ...]:
        """The account as a line of a report."""
        return (self.line, self.outcome, self.address_typed, self.detail, self.note, self.suggestion)


@dataclass(frozen=True)
class ImportTerms:
    """What holds for a whole file; ``run`` names this one run of importing it.

    Attributes:
        publication_id: Where the readers go.
        file_name: The file's name without folders, kept as proof.
        consent_basis: On what the readers' consent rests, in the operator's words, kept as proof.
        plan: The plan of rows that name none; without it the publication's default.
        locale: The readers' language, where their rows name none; empty for the publication's.
        confirmed: Whether the consent covers mailing at once; else the readers stay pending.
        kept: How much is kept of the IP addresses that a file proves consent with.
        today: The day in the publication's zone, so that plans whose last day has passed are refused.

    Raises:
        MissingConsent: No basis of consent is given, or it holds an address.
    """

    publication_id: int
    file_name: str
    consent_basis: str
    plan: str | None = None
    locale: str = ""
    confirmed: bool = True
    kept: ClientEvidence = ClientEvidence.truncated
    today: date | None = None
    run: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        if not self.consent_basis.strip():
            raise MissingConsent
        if without_addresses(self.consent_basis) != self.consent_basis:
            raise MissingConsent("the basis of consent holds an address, and is kept for ever: say it without")

    @property
    def source(self) -> str:
        """What the consent events of this run have in common."""
        return f"import {self.run}"


@dataclass(frozen=True)
class Reading:
    """A row that can be imported, as far as it can be told without the store."""

    newcomer: Newcomer
    state: SubscriptionState
    locale: str

    @property
    def key(self) -> str:
        """The identity of the address."""
        return self.newcomer.address.key


def read_row(row: Row, plans: Sequence[PlanView], terms: ImportTerms) -> Reading | RowAccount:
    """Read one row by itself, without what the store knows."""
    if row.problem:
        return RowAccount(row.line, RowOutcome.invalid, row.email, row.problem)
    try:
        newcomer = _newcomer(row, plans, terms)
    except InvalidAddress as error:
        return RowAccount(row.line, RowOutcome.invalid, row.email, str(error), suggestion=suggestion_for(row.email))
    except UnknownPlan as error:
        return RowAccount(row.line, RowOutcome.unknown_plan, row.email, str(error))
    except RefusedPlan as error:
        return RowAccount(row.line, RowOutcome.invalid, row.email, str(error))
    if refusal := _refusal(row, newcomer.address):
        return RowAccount(row.line, refusal[0], row.email, refusal[1])
    asked = row.there is There.pending or not terms.confirmed
    state = SubscriptionState.pending if asked else SubscriptionState.confirmed
    return Reading(newcomer, state, row.locale if _LOCALE.fullmatch(row.locale) else terms.locale)


def _newcomer(row: Row, plans: Sequence[PlanView], terms: ImportTerms) -> Newcomer:
    """Read who a row is about.

    Raises:
        InvalidAddress: No mail can reach the address.
        UnknownPlan: The publication has no such plan.
        RefusedPlan: The plan's last day is no date or has passed, or the plan can have no end.
    """
    address = parse_address(row.email)
    plan = choose_plan(plans, row.plan or terms.plan)
    until = coming_last_day(row.plan_until, terms.today) if terms.today else read_last_day(row.plan_until)
    require_end(plan, until, plans)
    proof = {
        "basis": terms.consent_basis.strip(),
        "file": without_addresses(terms.file_name),
        "row": str(row.line),
        **row.proof,
    }
    proof |= {"until": str(until)} if until else {}
    ip = terms.kept.ip(row.ip) if row.ip else ""
    return Newcomer(address, plan.id, clean_name(row.name), proof, Evidence(ip=ip) if ip else NO_EVIDENCE, until)


def _refusal(row: Row, address: Address) -> tuple[RowOutcome, str] | None:
    """Tell why a readable address is never to be a reader by import."""
    if row.there not in {There.reader, There.pending}:
        return RowOutcome.not_a_reader, _NOT_READERS[row.there].format(row.proof.get("service", "where it comes from"))
    if is_role(address):
        detail = "the mailbox belongs to a function of its domain and to no reader; add the person's own address"
        return RowOutcome.role_address, detail
    return None


_BELONGS = "import the file with `newsletter suppressions import`"
_NOT_READERS = {
    There.unsubscribed: f"unsubscribed at {{}}: {_BELONGS}",
    There.bounced: f"mail to it bounced at {{}}: {_BELONGS}",
    There.complained: f"reported mail from {{}} as spam: {_BELONGS}",
    There.blocked: f"blocklisted or disabled at {{}}: {_BELONGS}",
    There.invalid: f"no address that mail can reach, says {{}}: {_BELONGS}",
    There.refused: "refused a mail of {}; a list of such addresses is no list of readers",
    There.lapsed: "asked at {} and did not confirm in time; ask the person again",
    There.never_asked: "never subscribed at {}; ask the person first",
}


def judge(row: Row, reading: Reading, standing: Standing, first_line: int | None) -> RowAccount:
    """Judge a readable row by what is known of its address."""
    if standing.suppressed:
        detail = f"must not be mailed: {', '.join(standing.suppressed)}"
        return RowAccount(row.line, RowOutcome.suppressed, row.email, detail)
    if standing.state is SubscriptionState.left:
        detail = "left this publication; only the reader can come back"
        return RowAccount(row.line, RowOutcome.previously_left, row.email, detail)
    if first_line is not None:
        detail = f"the same address as on line {first_line}"
        return RowAccount(row.line, RowOutcome.duplicate_in_file, row.email, detail)
    if _needs_the_reader(reading, standing):
        detail = "asked to subscribe here and has not confirmed; only the reader can confirm"
        return RowAccount(row.line, RowOutcome.not_confirmed, row.email, detail)
    if standing.subscription_id is not None:
        return RowAccount(row.line, RowOutcome.already, row.email)
    domain = reading.newcomer.address.domain
    note = "the domain gives away mailboxes for some minutes" if is_disposable(domain) else ""
    return RowAccount(
        row.line, RowOutcome.added, row.email, note=note, suggestion=suggestion_for(reading.newcomer.address.email)
    )


def _needs_the_reader(reading: Reading, standing: Standing) -> bool:
    """Tell whether the row would confirm what only the person can: a pending row may meet a pending subscription."""
    if standing.state is SubscriptionState.pending:
        return reading.state is SubscriptionState.confirmed
    return standing.state is SubscriptionState.lapsed
