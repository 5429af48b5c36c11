"""Importing: rows of a CSV file become subscriptions, with an account of each row. After ``csv_rows``.

The edge reads the file (``csv_rows.read_rows``), cuts it into chunks (``in_chunks``) and gives each chunk a transaction
of its own. Importing again, after an interruption or the same file once more, ends the same: what a person decided
stands, and an existing subscription stays as it is.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from itertools import islice

from sqlmodel import Session, col, select

from subscribers.actors import Actor
from subscribers.addresses import is_role, parse_address
from subscribers.consent_models import ConsentEvent, ConsentKind
from subscribers.csv_rows import Row
from subscribers.enrolment import EnrolmentTerms, Newcomer, Standing, enrol, standings
from subscribers.errors import InvalidAddress, MissingConsent, UnknownPlan
from subscribers.hashing import AddressHasher
from subscribers.models import SubscriptionState
from subscribers.names import clean_name
from subscribers.plans import PlanView, choose_plan, list_plans


#: Rows a transaction: longer ones would keep readers who leave waiting (DESIGN §5).
CHUNK = 1000


class RowOutcome(StrEnum):
    """What became of one row."""

    added = "added"
    already = "already"
    duplicate_in_file = "duplicate_in_file"
    previously_left = "previously_left"
    suppressed = "suppressed"
    role_address = "role_address"
    unknown_plan = "unknown_plan"
    invalid = "invalid"


@dataclass(frozen=True)
class RowAccount:
    """The account of one row: its line in the file, what became of it, and why in a sentence where it is not plain."""

    line: int
    outcome: RowOutcome
    address_typed: str
    detail: str = ""


@dataclass(frozen=True)
class ImportTerms:
    """What holds for a whole file; ``run`` names this one run of importing it.

    Attributes:
        publication_id: Where the readers go.
        file_name: The file's name without folders, kept as proof.
        consent_basis: On what the readers' consent rests, in the operator's words, kept as proof.
        plan: The plan of rows that name none; without it the publication's default.
        locale: The readers' language; empty for the publication's.
        confirmed: Whether the consent covers mailing at once; else the readers stay pending.

    Raises:
        MissingConsent: No basis of consent is given.
    """

    publication_id: int
    file_name: str
    consent_basis: str
    plan: str | None = None
    locale: str = ""
    confirmed: bool = True
    run: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        if not self.consent_basis.strip():
            raise MissingConsent

    @property
    def source(self) -> str:
        """What the consent events of this run have in common."""
        return f"import {self.run}"


def in_chunks(rows: Iterable[Row], size: int = CHUNK) -> Iterator[list[Row]]:
    """Cut rows into lists of at most ``size``, without reading ahead."""
    remaining = iter(rows)
    while chunk := list(islice(remaining, size)):
        yield chunk


def import_rows(  # noqa: PLR0913 - the shape of every use case, with the pepper that hashing needs
    session: Session, rows: Sequence[Row], terms: ImportTerms, *, hasher: AddressHasher, by: Actor, now: datetime
) -> list[RowAccount]:
    """Import one chunk of a file, in a fixed number of statements; gives one account a row, in the file's order.

    Where an address stands in several rows the first one counts, whatever chunks they fall in.

    Raises:
        UnknownPlan: The publication has no plan at all, or the terms name one it does not have.
        OtherPepper: The store was hashed with another pepper.
    """
    plans = list_plans(session, terms.publication_id)
    choose_plan(plans, terms.plan)
    readings = [_read(row, plans, terms) for row in rows]
    keys = {reading.address.key for reading in readings if isinstance(reading, Newcomer)}
    known = standings(session, terms.publication_id, keys, hasher=hasher)
    first_lines = _lines_of_this_run(session, known, terms)
    accounts: list[RowAccount] = []
    newcomers: dict[int, Newcomer] = {}
    for row, reading in zip(rows, readings, strict=True):
        if isinstance(reading, RowAccount):
            accounts.append(reading)
            continue
        key = reading.address.key
        accounts.append(_judge(row, known[key], first_lines.get(key)))
        if accounts[-1].outcome is RowOutcome.added:
            newcomers[row.line] = reading
            first_lines[key] = row.line
    enrolled = enrol(session, list(newcomers.values()), _enrolment(terms), hasher=hasher, by=by, now=now)
    overtaken = {line for line, newcomer in newcomers.items() if newcomer.address.key not in enrolled}
    return [
        replace(account, outcome=RowOutcome.already) if account.line in overtaken else account for account in accounts
    ]


def _read(row: Row, plans: Sequence[PlanView], terms: ImportTerms) -> Newcomer | RowAccount:
    """Read one row by itself, without what the store knows."""
    if row.problem:
        return RowAccount(row.line, RowOutcome.invalid, row.email, row.problem)
    try:
        address = parse_address(row.email)
        plan = choose_plan(plans, row.plan or terms.plan)
    except InvalidAddress as error:
        return RowAccount(row.line, RowOutcome.invalid, row.email, str(error))
    except UnknownPlan as error:
        return RowAccount(row.line, RowOutcome.unknown_plan, row.email, str(error))
    if is_role(address):
        detail = "the mailbox belongs to a function of its domain and to no reader; add the person's own address"
        return RowAccount(row.line, RowOutcome.role_address, row.email, detail)
    proof = {"basis": terms.consent_basis.strip(), "file": terms.file_name, "row": str(row.line)}
    return Newcomer(address, plan.id, clean_name(row.name), proof)


def _judge(row: Row, standing: Standing, first_line: int | None) -> RowAccount:
    """Judge a readable row by what is known of its address."""
    outcome, detail = RowOutcome.added, ""
    if standing.suppressed:
        outcome, detail = RowOutcome.suppressed, f"must not be mailed: {', '.join(standing.suppressed)}"
    elif standing.state is SubscriptionState.left:
        outcome, detail = RowOutcome.previously_left, "left this publication; only the reader can come back"
    elif first_line is not None:
        outcome, detail = RowOutcome.duplicate_in_file, f"the same address as on line {first_line}"
    elif standing.subscription_id is not None:
        outcome = RowOutcome.already
    return RowAccount(row.line, outcome, row.email, detail)


def _lines_of_this_run(session: Session, known: Mapping[str, Standing], terms: ImportTerms) -> dict[str, int]:
    """Tell which addresses an earlier chunk of the same run has brought, and on which line."""
    keys = {standing.subscription_id: key for key, standing in known.items() if standing.subscription_id}
    if not keys:
        return {}
    found = select(ConsentEvent.subscription_id, ConsentEvent.detail).where(
        col(ConsentEvent.subscription_id).in_(keys), col(ConsentEvent.source) == terms.source
    )
    return {keys[subscription_id]: int(detail["row"]) for subscription_id, detail in session.exec(found)}


def _enrolment(terms: ImportTerms) -> EnrolmentTerms:
    state = SubscriptionState.confirmed if terms.confirmed else SubscriptionState.pending
    return EnrolmentTerms(terms.publication_id, state, ConsentKind.imported, terms.source, terms.locale)
