"""Suppression lists: files of addresses that must not be mailed, imported as often as wanted. After ``csv_rows``.

While a publication moves here its old service goes on collecting departures: the same file, or a newer one, is imported
again until the day of moving. A second run adds nothing, and what was decided here since then stands: a suppression
that was lifted is not put back, and who has signed up and confirmed here does not count as unsubscribed elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlmodel import Session, col, select

from subscribers.actors import READER, Actor
from subscribers.addresses import parse_address
from subscribers.bulk import insert_missing
from subscribers.consent_models import ConsentEvent, ConsentKind
from subscribers.csv_rows import Row
from subscribers.dialects import There
from subscribers.errors import InvalidAddress
from subscribers.hashing import AddressHasher, begin_with_pepper, require_same_pepper
from subscribers.models import Subscriber, Subscription, SubscriptionState, Suppression, SuppressionReason
from subscribers.seen_lines import SeenLines


#: Rows a transaction, as in ``importing``.
CHUNK = 1000

#: What a row of another service's export means for us; a row that is not here is no reason against anybody.
REASONS = {
    There.unsubscribed: SuppressionReason.unsubscribed,
    There.bounced: SuppressionReason.hard_bounce,
    There.complained: SuppressionReason.complaint,
    There.blocked: SuppressionReason.imported,
    There.invalid: SuppressionReason.invalid,
}


class SuppressionOutcome(StrEnum):
    """What became of one row."""

    suppressed = "suppressed"
    already = "already"
    lifted_before = "lifted_before"
    confirmed_here = "confirmed_here"
    not_suppressed = "not_suppressed"
    invalid = "invalid"


@dataclass(frozen=True)
class SuppressionAccount:
    """The account of one row: its line, what became of it, for which reason, and why where it is not plain."""

    line: int
    outcome: SuppressionOutcome
    address_typed: str
    reason: SuppressionReason | None = None
    detail: str = ""

    @property
    def cells(self) -> tuple[object, ...]:
        """The account as a line of a report."""
        return (self.line, self.outcome, self.address_typed, self.reason or "", self.detail)


@dataclass(frozen=True)
class ListTerms:
    """What holds for a whole list.

    Attributes:
        publication_id: The publication that people unsubscribed from; any other reason holds everywhere.
        origin: Where the list comes from, never an address.
        reason: Why all of its addresses must not be mailed; without one each row says it, and those of a plain list
            are ``imported``.
        is_export: Whether the rows come from a service that says of each what it is.
        everywhere: Whether also who unsubscribed is to get nothing from any publication (as on SendGrid's global list).
    """

    publication_id: int
    origin: str
    reason: SuppressionReason | None = None
    is_export: bool = False
    everywhere: bool = False

    def reason_for(self, row: Row) -> SuppressionReason | None:
        """Give why a row's address must not be mailed, or nothing where the file does not say that it must not."""
        if self.reason or not self.is_export:
            return self.reason or SuppressionReason.imported
        return REASONS.get(row.there)

    def scope_of(self, reason: SuppressionReason) -> int | None:
        """Give the publication a reason holds in, or nothing where it holds everywhere."""
        here = reason is SuppressionReason.unsubscribed and not self.everywhere
        return self.publication_id if here else None


@dataclass(frozen=True)
class _Wanted:
    """An address that a row wants suppressed."""

    key: str
    reason: SuppressionReason
    publication_id: int | None

    @property
    def as_text(self) -> str:
        return f"{self.key} {self.reason}"


def suppress_rows(  # noqa: PLR0913 - the shape of every use case, with the pepper that hashing needs
    session: Session, rows: Sequence[Row], terms: ListTerms, *, hasher: AddressHasher, by: Actor, now: datetime
) -> list[SuppressionAccount]:
    """Suppress the addresses of one chunk of a list, in a fixed number of statements; gives one account a row.

    Raises:
        OtherPepper: The store was hashed with another pepper.
    """
    begin_with_pepper(session, hasher, now=now)
    accounts, wanted = _judge_all(session, rows, terms, hasher)
    common = {"origin": terms.origin, "created_at": now, "created_by": str(by), "lifted_by": ""}
    new: list[dict[str, object]] = [
        {
            **common,
            "publication_id": one.publication_id,
            "address_hash": hasher.hash(one.key),
            "hash_key_id": hasher.key_id,
            "reason": one.reason,
        }
        for one in sorted(wanted, key=lambda one: (one.key, one.reason))
    ]
    insert_missing(session, Suppression, new)
    return accounts


def rehearse_suppressions(
    session: Session, rows: Sequence[Row], terms: ListTerms, seen: SeenLines, *, hasher: AddressHasher
) -> list[SuppressionAccount]:
    """Give the account that ``suppress_rows`` would give of a chunk, without writing; ``seen`` holds the chunks before.

    Raises:
        OtherPepper: The store was hashed with another pepper.
    """
    require_same_pepper(session, hasher)
    accounts, wanted = _judge_all(session, rows, terms, hasher, seen)
    seen.remember({one.as_text: 0 for one in wanted})
    return accounts


def _judge_all(
    session: Session, rows: Sequence[Row], terms: ListTerms, hasher: AddressHasher, seen: SeenLines | None = None
) -> tuple[list[SuppressionAccount], list[_Wanted]]:
    readings = [_read(row, terms) for row in rows]
    keys = list(dict.fromkeys(one.key for one in readings if isinstance(one, _Wanted)))
    stands, lifted = _known(session, keys, hasher)
    if seen:
        before = seen.lines_of(one.as_text for one in readings if isinstance(one, _Wanted))
        stands |= {one for one in readings if isinstance(one, _Wanted) and one.as_text in before}
    confirmed = _confirmed_here(session, terms.publication_id, keys)
    accounts: list[SuppressionAccount] = []
    wanted: list[_Wanted] = []
    for row, reading in zip(rows, readings, strict=True):
        if isinstance(reading, SuppressionAccount):
            accounts.append(reading)
            continue
        outcome = SuppressionOutcome.suppressed
        if reading in stands:
            outcome = SuppressionOutcome.already
        elif reading in lifted:
            outcome = SuppressionOutcome.lifted_before
        elif reading.reason is SuppressionReason.unsubscribed and reading.key in confirmed:
            outcome = SuppressionOutcome.confirmed_here
        else:
            wanted.append(reading)
            stands.add(reading)
        accounts.append(SuppressionAccount(row.line, outcome, row.email, reading.reason, _DETAILS.get(outcome, "")))
    return accounts, wanted


_ADD = "if that is wrong: `newsletter suppressions add`"
_DETAILS = {
    SuppressionOutcome.lifted_before: f"was suppressed for this reason before and lifted since, which stands; {_ADD}",
    SuppressionOutcome.confirmed_here: f"signed up and confirmed here, which stands; {_ADD}",
}


def _read(row: Row, terms: ListTerms) -> _Wanted | SuppressionAccount:
    """Read one row by itself, without what the store knows."""
    if row.problem:
        return SuppressionAccount(row.line, SuppressionOutcome.invalid, row.email, None, row.problem)
    if (reason := terms.reason_for(row)) is None:
        detail = "the file does not say that this address must not be mailed; if it must not, say --reason"
        return SuppressionAccount(row.line, SuppressionOutcome.not_suppressed, row.email, None, detail)
    try:
        return _Wanted(parse_address(row.email).key, reason, terms.scope_of(reason))
    except InvalidAddress as error:
        return SuppressionAccount(row.line, SuppressionOutcome.invalid, row.email, reason, str(error))


def _known(session: Session, keys: Sequence[str], hasher: AddressHasher) -> tuple[set[_Wanted], set[_Wanted]]:
    """Give what stands against these addresses, and what was lifted, under whichever pepper."""
    key_of = {one: key for key in keys for one in hasher.hashes(key).values()}
    found = select(
        Suppression.address_hash, Suppression.reason, Suppression.publication_id, Suppression.lifted_at
    ).where(col(Suppression.address_hash).in_(key_of))
    stands: set[_Wanted] = set()
    lifted: set[_Wanted] = set()
    for address_hash, reason, publication_id, lifted_at in session.exec(found):
        one = _Wanted(key_of[address_hash], SuppressionReason(reason), publication_id)
        (stands if lifted_at is None else lifted).add(one)
    return stands, lifted


def _confirmed_here(session: Session, publication_id: int, keys: Sequence[str]) -> Mapping[str, int]:
    """Give those of these addresses whose owners have confirmed, by their own hand, that they want the publication."""
    own = select(ConsentEvent.id).where(
        ConsentEvent.subscription_id == Subscription.id,
        col(ConsentEvent.kind).in_([ConsentKind.confirmed, ConsentKind.returned]),
        ConsentEvent.by == str(READER),
    )
    # Looked up by address first, as in ``enrolment``.
    people = select(Subscriber.id).where(col(Subscriber.address_key).in_(keys))
    found = (
        select(Subscriber.address_key, Subscription.id)
        .join(Subscription, col(Subscription.subscriber_id) == col(Subscriber.id))
        .where(
            Subscription.publication_id == publication_id,
            Subscription.state == SubscriptionState.confirmed,
            col(Subscription.subscriber_id).in_(people),
            own.exists(),
        )
    )
    return {key: subscription_id for key, subscription_id in session.exec(found) if key}
