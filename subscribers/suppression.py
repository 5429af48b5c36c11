"""Suppression: addresses that must not be mailed, and why. The one gate in front of every mail.

Fed by feedback's consequences, imports and operators; read by ``audience`` in SQL and by every way in. Only a keyed
hash is kept, so that a suppression outlives the erasure of the person and meets the address again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, update
from sqlalchemy import select as select_columns
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col, select

from subscribers.actors import Actor
from subscribers.addresses import mask, parse_address
from subscribers.bulk import insert_missing, rows_changed
from subscribers.hashing import AddressHasher, require_same_pepper
from subscribers.models import Subscriber, Suppression, SuppressionReason


@dataclass(frozen=True)
class SuppressionOrder:
    """Which address, why and where: in one publication, or everywhere where none is named."""

    address: str
    reason: SuppressionReason
    publication_id: int | None = None
    #: Where it came from: a webhook, a pull, a file, a command. Never an address.
    origin: str = ""


@dataclass(frozen=True)
class SuppressionView:
    """An active suppression; ``masked_address`` is empty where no reader of the address is stored."""

    id: int
    publication_id: int | None
    reason: SuppressionReason
    origin: str
    created_at: datetime
    created_by: str
    masked_address: str


def add(session: Session, order: SuppressionOrder, *, hasher: AddressHasher, by: Actor, now: datetime) -> bool:
    """Suppress an address; tell whether this was new. The same reason twice in one scope is stored once.

    Raises:
        InvalidAddress: What was typed is no address.
        OtherPepper: The store was hashed with another pepper.
    """
    require_same_pepper(session, hasher)
    address_hash = hasher.hash(parse_address(order.address).key)
    row: dict[str, object] = {
        "publication_id": order.publication_id,
        "address_hash": address_hash,
        "hash_key_id": hasher.key_id,
        "reason": order.reason,
        "origin": order.origin,
        "created_at": now,
        "created_by": str(by),
        "lifted_by": "",
    }
    before = _newest(session, address_hash)
    insert_missing(session, Suppression, [row])
    return _newest(session, address_hash) != before


def lift(session: Session, order: SuppressionOrder, *, hasher: AddressHasher, by: Actor, now: datetime) -> bool:
    """Lift the suppression of an address for one reason in one scope; other reasons and scopes stand.

    Returns:
        Whether there was one to lift.

    Raises:
        InvalidAddress: What was typed is no address.
        OtherPepper: The store was hashed with another pepper.
    """
    require_same_pepper(session, hasher)
    address_hash = hasher.hash(parse_address(order.address).key)
    lifted = update(Suppression).where(
        col(Suppression.address_hash) == address_hash,
        col(Suppression.reason) == order.reason,
        col(Suppression.publication_id) == order.publication_id
        if order.publication_id is not None
        else col(Suppression.publication_id).is_(None),
        col(Suppression.lifted_at).is_(None),
    )
    return bool(rows_changed(session.execute(lifted.values(lifted_at=now, lifted_by=str(by)))))


def reasons_against(
    session: Session, publication_id: int, address: str, *, hasher: AddressHasher
) -> tuple[SuppressionReason, ...]:
    """Give the reasons for which an address must not be mailed in a publication; none where it may.

    Raises:
        InvalidAddress: What was typed is no address.
        OtherPepper: The store was hashed with another pepper.
    """
    require_same_pepper(session, hasher)
    address_hash = hasher.hash(parse_address(address).key)
    return reasons_by_hash(session, publication_id, [address_hash]).get(address_hash, ())


def reasons_by_hash(
    session: Session, publication_id: int, hashes: Sequence[str]
) -> dict[str, tuple[SuppressionReason, ...]]:
    """Give for each hashed address that must not be mailed in a publication the reasons, the oldest first."""
    found = select(Suppression.address_hash, Suppression.reason).where(
        is_active(publication_id), col(Suppression.address_hash).in_(hashes)
    )
    reasons: dict[str, dict[SuppressionReason, None]] = {}
    for address_hash, reason in session.exec(found.order_by(col(Suppression.id))):
        reasons.setdefault(address_hash, {})[SuppressionReason(reason)] = None
    return {address_hash: tuple(those) for address_hash, those in reasons.items()}


def active_suppressions(session: Session, publication_id: int | None = None) -> list[SuppressionView]:
    """List what is suppressed now, oldest first: all of it, or only what holds in one publication."""
    active = col(Suppression.lifted_at).is_(None) if publication_id is None else is_active(publication_id)
    found = (
        select_columns(Suppression, func.coalesce(Subscriber.email, ""))
        .outerjoin(Subscriber, col(Subscriber.address_hash) == col(Suppression.address_hash))
        .where(active)
        .order_by(col(Suppression.id))
    )
    return [
        SuppressionView(
            id=row.id,
            publication_id=row.publication_id,
            reason=row.reason,
            origin=row.origin,
            created_at=row.created_at,
            created_by=row.created_by,
            masked_address=mask(email) if email else "",
        )
        for row, email in session.execute(found)
    ]


def is_active(publication_id: int | Mapped[int]) -> ColumnElement[bool]:
    """Tell in SQL which suppressions hold in a publication: those not lifted, of its own or of everywhere."""
    here = or_(col(Suppression.publication_id).is_(None), col(Suppression.publication_id) == publication_id)
    return col(Suppression.lifted_at).is_(None) & here


def _newest(session: Session, address_hash: str) -> int | None:
    return session.exec(select(func.max(Suppression.id)).where(Suppression.address_hash == address_hash)).one()
