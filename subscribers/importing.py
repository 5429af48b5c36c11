"""Importing: rows of a CSV file become subscriptions, with an account of each row. After ``csv_rows``.

The edge reads the file (``csv_rows.read_rows``), cuts it into chunks (``in_chunks``) and gives each chunk a transaction
of its own. Importing again, after an interruption or the same file once more, ends the same: what a person decided
stands, and an existing subscription stays as it is. No mail is ever sent from here.

``rehearse_rows`` gives the same account from a session that only reads.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from sqlmodel import Session, col, select

from subscribers.actors import Actor
from subscribers.consent_models import ConsentEvent, ConsentKind
from subscribers.csv_rows import Row
from subscribers.enrolment import EnrolmentTerms, Newcomer, Standing, enrol, standings
from subscribers.hashing import AddressHasher
from subscribers.judging import ImportTerms, Reading, RowAccount, RowOutcome, judge, read_row
from subscribers.models import SubscriptionState
from subscribers.plans import choose_plan, list_plans
from subscribers.seen_lines import SeenLines


#: Rows a transaction: longer ones would keep readers who leave waiting (DESIGN §5).
CHUNK = 1000

#: The lines on which earlier rows of the same file had an address, by its key.
_FirstLines = Callable[[Mapping[str, Standing]], dict[str, int]]


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
    accounts, newcomers = _judge_all(
        session, rows, terms, lambda known: _lines_of_this_run(session, known, terms), hasher=hasher
    )
    enrolled: dict[str, int] = {}
    for entry, together in sorted(_alike(newcomers.values()).items()):
        enrolled |= enrol(session, together, _enrolment(terms, *entry), hasher=hasher, by=by, now=now)
    overtaken = {line for line, reading in newcomers.items() if reading.key not in enrolled}
    return [
        replace(account, outcome=RowOutcome.already) if account.line in overtaken else account for account in accounts
    ]


def rehearse_rows(
    session: Session, rows: Sequence[Row], terms: ImportTerms, seen: SeenLines, *, hasher: AddressHasher
) -> list[RowAccount]:
    """Give the account that ``import_rows`` would give of a chunk, without writing; ``seen`` holds the chunks before.

    Raises:
        UnknownPlan: The publication has no plan at all, or the terms name one it does not have.
        OtherPepper: The store was hashed with another pepper.
    """
    accounts, newcomers = _judge_all(session, rows, terms, seen.lines_of, hasher=hasher)
    seen.remember({reading.key: line for line, reading in newcomers.items()})
    return accounts


def _judge_all(
    session: Session, rows: Sequence[Row], terms: ImportTerms, earlier: _FirstLines, *, hasher: AddressHasher
) -> tuple[list[RowAccount], dict[int, Reading]]:
    """Judge each row of a chunk; give the accounts, and who comes in by line."""
    plans = list_plans(session, terms.publication_id)
    choose_plan(plans, terms.plan)
    readings = [read_row(row, plans, terms) for row in rows]
    keys = {reading.key for reading in readings if isinstance(reading, Reading)}
    known = standings(session, terms.publication_id, keys, hasher=hasher)
    first_lines = earlier(known)
    accounts: list[RowAccount] = []
    newcomers: dict[int, Reading] = {}
    for row, reading in zip(rows, readings, strict=True):
        if isinstance(reading, RowAccount):
            accounts.append(reading)
            continue
        accounts.append(judge(row, reading, known[reading.key], first_lines.get(reading.key)))
        if accounts[-1].outcome is RowOutcome.added:
            newcomers[row.line] = reading
            first_lines[reading.key] = row.line
    return accounts, newcomers


def _lines_of_this_run(session: Session, known: Mapping[str, Standing], terms: ImportTerms) -> dict[str, int]:
    """Tell which addresses an earlier chunk of the same run has brought, and on which line."""
    keys = {standing.subscription_id: key for key, standing in known.items() if standing.subscription_id}
    if not keys:
        return {}
    found = select(ConsentEvent.subscription_id, ConsentEvent.detail).where(
        col(ConsentEvent.subscription_id).in_(keys), col(ConsentEvent.source) == terms.source
    )
    return {keys[subscription_id]: int(detail["row"]) for subscription_id, detail in session.exec(found)}


def _alike(readings: Iterable[Reading]) -> dict[tuple[SubscriptionState, str], list[Newcomer]]:
    """Bring those together who come in with the same state and language: nearly always all of a file."""
    together: dict[tuple[SubscriptionState, str], list[Newcomer]] = {}
    for reading in readings:
        together.setdefault((reading.state, reading.locale), []).append(reading.newcomer)
    return together


def _enrolment(terms: ImportTerms, state: SubscriptionState, locale: str) -> EnrolmentTerms:
    return EnrolmentTerms(terms.publication_id, state, ConsentKind.imported, terms.source, locale)
