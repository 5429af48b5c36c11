"""Traces: an address in other people's proofs than its owner's. Read by ``holdings``, emptied by ``erasure``.

Somebody read under it before and moved to another address, or wished to move to it. Their subscriptions and proofs are
theirs and stay; this address in them is not.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update
from sqlmodel import Session, col, select

from subscribers.addresses import Address, parse_address
from subscribers.consent_models import ConsentEvent, ConsentEvidence, ConsentKind, OptIn
from subscribers.errors import InvalidAddress
from subscribers.models import Subscriber


_CHANGES = (ConsentKind.address_asked, ConsentKind.address_changed)


@dataclass(frozen=True)
class Trace:
    """One place where an address stands: a column, and the row of the ledger (or the open wish) it belongs to."""

    column: str
    row_id: int
    publication_id: int
    at: datetime


def traces_of(session: Session, address: Address) -> list[Trace]:
    """Find an address where it stands in other people's proofs and open wishes.

    Only who ever asked for another address can have it there, so only their proofs are read.
    """
    return [*_in_proofs(session, address.key), *_in_wishes(session, address.key)]


def empty_traces(session: Session, address: Address, *, now: datetime) -> int:
    """Take an address out of other people's proofs, and end wishes to move to it; tell from how many places."""
    found = traces_of(session, address)
    for column in ("address_typed", "address_before"):
        rows = [one.row_id for one in found if one.column == column]
        session.execute(update(ConsentEvidence).where(col(ConsentEvidence.event_id).in_(rows)).values({column: ""}))
    wishes = col(OptIn.id).in_([one.row_id for one in found if one.column == "new_address"])
    session.execute(update(OptIn).where(wishes).values(new_address="", closed_at=now))
    return len(found)


def _in_proofs(session: Session, key: str) -> Iterator[Trace]:
    changers = select(ConsentEvent.subscriber_id).where(col(ConsentEvent.kind).in_(_CHANGES))
    found = (
        select(ConsentEvidence, ConsentEvent.publication_id, ConsentEvent.at)
        .join(ConsentEvent, col(ConsentEvent.id) == col(ConsentEvidence.event_id))
        .join(Subscriber, col(Subscriber.id) == col(ConsentEvidence.subscriber_id))
        .where(col(ConsentEvidence.subscriber_id).in_(changers), col(Subscriber.address_key).is_distinct_from(key))
        .order_by(col(ConsentEvidence.event_id))
    )
    for proof, publication_id, at in session.exec(found):
        for column in ("address_typed", "address_before"):
            if _is(getattr(proof, column), key):
                yield Trace(column, proof.event_id, publication_id, at)


def _in_wishes(session: Session, key: str) -> Iterator[Trace]:
    for wish in session.exec(select(OptIn).where(OptIn.new_address != "").order_by(col(OptIn.id))):
        if _is(wish.new_address, key):
            yield Trace("new_address", wish.id, wish.publication_id, wish.created_at)


def _is(text: str, key: str) -> bool:
    """Compare as addresses: full-width and international spellings are the same mailbox."""
    try:
        return bool(text) and parse_address(text).key == key
    except InvalidAddress:
        return False
