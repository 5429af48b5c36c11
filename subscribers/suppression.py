"""Suppression: addresses that must not be mailed, and why. The one gate in front of every mail.

Fed by feedback's consequences, imports and operators; read by ``audience`` in SQL and by every way in. Only a keyed
hash is kept, so that a suppression outlives the erasure of the person and meets the address again.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, update
from sqlalchemy import select as select_columns
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col, select

from subscribers.actors import Actor
from subscribers.addresses import mask, parse_address
from subscribers.bulk import insert_missing, rows_changed
from subscribers.hashing import AddressHasher, begin_with_pepper, require_same_pepper
from subscribers.models import AddressHash, Subscriber, Suppression, SuppressionReason


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
    begin_with_pepper(session, hasher, now=now)
    key = parse_address(order.address).key
    if order.reason in _in_scope(session, order, key, hasher):
        return False
    address_hash = hasher.hash(key)
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


@dataclass(frozen=True)
class HashedOrder:
    """A suppression of an address of which only the keyed hash is at hand."""

    address_hash: str
    reason: SuppressionReason
    publication_id: int | None
    origin: str
    #: The pepper that it was hashed with; empty: the newest.
    hash_key_id: str = ""


def add_hashed(session: Session, order: HashedOrder, *, hasher: AddressHasher, by: Actor, now: datetime) -> int | None:
    """Suppress an address by its keyed hash; give the new row's id, nothing where one stood already.

    Raises:
        OtherPepper: The store was hashed with another pepper.
    """
    begin_with_pepper(session, hasher, now=now)
    key_id = order.hash_key_id or hasher.key_id
    row = {**vars(order), "hash_key_id": key_id, "created_at": now, "created_by": str(by), "lifted_by": ""}
    before = _newest(session, order.address_hash)
    insert_missing(session, Suppression, [row])
    after = _newest(session, order.address_hash)
    return after if after != before else None


def lift_by_id(session: Session, suppression_id: int, *, by: Actor, now: datetime) -> bool:
    """Lift one suppression, whatever its reason; tell whether it still stood."""
    mine = (col(Suppression.id) == suppression_id) & col(Suppression.lifted_at).is_(None)
    lifted = update(Suppression).where(mine).values(lifted_at=now, lifted_by=str(by))
    return bool(rows_changed(session.execute(lifted)))


def lift(session: Session, order: SuppressionOrder, *, hasher: AddressHasher, by: Actor, now: datetime) -> bool:
    """Lift the suppression of an address for one reason in one scope; other reasons and scopes stand.

    Returns:
        Whether there was one to lift.

    Raises:
        InvalidAddress: What was typed is no address.
        OtherPepper: The store was hashed with another pepper.
    """
    require_same_pepper(session, hasher)
    key = parse_address(order.address).key
    lifted = update(Suppression).where(
        _is_of(key, hasher),
        col(Suppression.reason) == order.reason,
        _is_scope(order.publication_id),
        col(Suppression.lifted_at).is_(None),
    )
    return bool(rows_changed(session.execute(lifted.values(lifted_at=now, lifted_by=str(by)))))


def lift_own(  # noqa: PLR0913 - whose, which and where, with the pepper
    session: Session,
    publication_id: int,
    address: str,
    reasons: Collection[SuppressionReason],
    *,
    hasher: AddressHasher,
    by: Actor,
    now: datetime,
) -> None:
    """Lift these reasons against an address whose owner has just proven to want the mail, here and everywhere."""
    theirs = _is_of(parse_address(address).key, hasher) & col(Suppression.reason).in_(list(reasons))
    lifted = update(Suppression).where(theirs, is_active(publication_id))
    session.execute(lifted.values(lifted_at=now, lifted_by=str(by)))


def reasons_against(
    session: Session, publication_id: int, address: str, *, hasher: AddressHasher
) -> tuple[SuppressionReason, ...]:
    """Give the reasons for which an address must not be mailed in a publication; none where it may.

    Raises:
        InvalidAddress: What was typed is no address.
        OtherPepper: The store was hashed with another pepper.
    """
    require_same_pepper(session, hasher)
    key = parse_address(address).key
    return reasons_by_key(session, publication_id, [key], hasher=hasher).get(key, ())


def reasons_by_key(
    session: Session, publication_id: int, keys: Sequence[str], *, hasher: AddressHasher
) -> dict[str, tuple[SuppressionReason, ...]]:
    """Give for each address that must not be mailed in a publication the reasons, the oldest first.

    Keys of addresses that may be mailed are missing from the answer.
    """
    key_of = {one: key for key in keys for one in hasher.hashes(key).values()}
    found = select(Suppression.address_hash, Suppression.reason).where(
        is_active(publication_id), col(Suppression.address_hash).in_(key_of)
    )
    reasons: dict[str, dict[SuppressionReason, None]] = {}
    for address_hash, reason in session.exec(found.order_by(col(Suppression.id))):
        reasons.setdefault(key_of[address_hash], {})[SuppressionReason(reason)] = None
    return {key: tuple(those) for key, those in reasons.items()}


def active_suppressions(
    session: Session,
    publication_id: int | None = None,
    *,
    reason: SuppressionReason | None = None,
    after: int = 0,
    limit: int | None = None,
) -> list[SuppressionView]:
    """List what is suppressed now by ascending id: all of it, or only what holds in one publication, or for a reason.

    The next page begins ``after`` the last id of this one.
    """
    active = col(Suppression.lifted_at).is_(None) if publication_id is None else is_active(publication_id)
    active &= col(Suppression.id) > after
    if reason is not None:
        active &= col(Suppression.reason) == reason
    found = (
        select_columns(Suppression, func.coalesce(Subscriber.email, ""))
        .outerjoin(AddressHash, col(AddressHash.hash) == col(Suppression.address_hash))
        .outerjoin(Subscriber, col(Subscriber.id) == col(AddressHash.subscriber_id))
        .where(active)
        .order_by(col(Suppression.id))
        .limit(limit)
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


def is_suppressed(publication_id: int | Mapped[int], subscriber_id: Mapped[int]) -> ColumnElement[bool]:
    """Tell in SQL whether a subscriber's address is suppressed in a publication, under whichever pepper."""
    found = select(Suppression.id).join(AddressHash, col(AddressHash.hash) == col(Suppression.address_hash))
    return found.where(col(AddressHash.subscriber_id) == subscriber_id, is_active(publication_id)).exists()


def _in_scope(
    session: Session, order: SuppressionOrder, key: str, hasher: AddressHasher
) -> frozenset[SuppressionReason]:
    """Give the reasons that stand against an address in just this scope, under whichever pepper."""
    found = select(Suppression.reason).where(
        _is_of(key, hasher), _is_scope(order.publication_id), col(Suppression.lifted_at).is_(None)
    )
    return frozenset(SuppressionReason(reason) for reason in session.exec(found))


def _is_of(key: str, hasher: AddressHasher) -> ColumnElement[bool]:
    return col(Suppression.address_hash).in_(list(hasher.hashes(key).values()))


def _is_scope(publication_id: int | None) -> ColumnElement[bool]:
    return col(Suppression.publication_id).is_not_distinct_from(publication_id)


def _newest(session: Session, address_hash: str) -> int | None:
    return session.exec(select(func.max(Suppression.id)).where(Suppression.address_hash == address_hash)).one()
