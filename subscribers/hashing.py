"""Keyed hashes of addresses: what suppression keeps of a person, and how it is joined with subscribers in SQL.

A bare SHA-256 of an address is found again by hashing guesses; France's CNIL does not take it for anonymous
(SAN-2020-003, Spartoo). HMAC with a secret pepper cannot be guessed by who has only the database.

Peppers can be changed. A living address is hashed with each pepper of the store (``adopt_peppers``), so that a
suppression made with an older one, of a person who was erased since, is still met.
"""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from sqlmodel import Session, col, select

from subscribers.bulk import insert_missing
from subscribers.errors import NewPepper, OtherPepper
from subscribers.models import AddressHash, HashKey, Subscriber


MIN_SECRET_BYTES = 16
#: Subscribers hashed in one transaction when a pepper is adopted.
CHUNK = 1000


@dataclass(frozen=True, init=False)
class AddressHasher:
    """Hashes address keys with the newest of its peppers, and recognises those of the older ones.

    Args:
        peppers: Secrets of at least 16 bytes, the oldest first. Leave none out: what was hashed with it is lost.

    Raises:
        ValueError: There is no pepper, or one is too short to be a secret.
    """

    peppers: tuple[bytes, ...] = field(repr=False)

    def __init__(self, *peppers: bytes) -> None:
        if not peppers or any(len(pepper) < MIN_SECRET_BYTES for pepper in peppers):
            raise ValueError(f"give at least one pepper, each of at least {MIN_SECRET_BYTES} bytes")
        object.__setattr__(self, "peppers", peppers)

    @cached_property
    def pepper_of(self) -> dict[str, bytes]:
        """The peppers by their ids, the oldest first."""
        return {hmac.digest(pepper, b"key id", "sha256").hex()[:8]: pepper for pepper in self.peppers}

    @cached_property
    def key_id(self) -> str:
        """The id of the newest pepper."""
        return list(self.pepper_of)[-1]

    def hash(self, address_key: str) -> str:
        """Give the HMAC-SHA-256 of an address's key with the newest pepper, as 64 hexadecimal digits."""
        return _hash(self.peppers[-1], address_key)

    def hashes(self, address_key: str) -> dict[str, str]:
        """Give the hash with each pepper, by the pepper's id."""
        return {key_id: _hash(pepper, address_key) for key_id, pepper in self.pepper_of.items()}


def _hash(pepper: bytes, address_key: str) -> str:
    return hmac.digest(pepper, b"address:" + address_key.encode("ascii"), "sha256").hex()


def require_same_pepper(session: Session, hasher: AddressHasher) -> None:
    """Refuse to go on where a pepper of the store is missing: its suppressions would not be recognised.

    Raises:
        OtherPepper: The store was hashed with a pepper that is not among these.
        NewPepper: The newest pepper is new to a store that holds addresses; ``adopt_peppers`` first.
    """
    known = set(session.exec(select(HashKey.id)))
    if known - set(hasher.pepper_of):
        raise OtherPepper
    if known and hasher.key_id not in known:
        raise NewPepper


def begin_with_pepper(session: Session, hasher: AddressHasher, *, now: datetime) -> None:
    """Make sure, before anything is hashed in this transaction, that the store knows these peppers.

    Raises:
        OtherPepper: The store was hashed with a pepper that is not among these.
        NewPepper: The newest pepper is new to a store that holds addresses; ``adopt_peppers`` first.
    """
    require_same_pepper(session, hasher)
    if session.exec(select(HashKey.id).limit(1)).first() is None:
        _register(session, hasher, now)


def adopt_peppers(session: Session, hasher: AddressHasher, *, now: datetime) -> int:
    """Hash the next thousand subscribers with every pepper they lack; give how many these were, 0 when all are done.

    Raises:
        OtherPepper: The store was hashed with a pepper that is not among these.
    """
    if set(session.exec(select(HashKey.id))) - set(hasher.pepper_of):
        raise OtherPepper
    rows = [row for key_id in hasher.pepper_of for row in _missing(session, hasher, key_id)]
    insert_missing(session, AddressHash, rows)
    if not rows:
        _register(session, hasher, now)
    return len(rows)


def _missing(session: Session, hasher: AddressHasher, key_id: str) -> Iterator[dict[str, object]]:
    hashed = select(AddressHash.subscriber_id).where(
        col(AddressHash.subscriber_id) == col(Subscriber.id), AddressHash.key_id == key_id
    )
    found = select(Subscriber.id, Subscriber.address_key).where(
        col(Subscriber.address_key).is_not(None), ~hashed.exists()
    )
    for subscriber_id, key in session.exec(found.order_by(col(Subscriber.id)).limit(CHUNK)):
        digest = _hash(hasher.pepper_of[key_id], str(key))
        yield {"subscriber_id": subscriber_id, "key_id": key_id, "hash": digest}


def _register(session: Session, hasher: AddressHasher, now: datetime) -> None:
    insert_missing(session, HashKey, [{"id": key_id, "created_at": now} for key_id in hasher.pepper_of])
