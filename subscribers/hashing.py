"""Keyed hashes of addresses: what suppression keeps of a person, and how it is joined with subscribers in SQL.

A bare SHA-256 of an address is found again by hashing guesses; France's CNIL does not take it for anonymous
(SAN-2020-003, Spartoo). HMAC with a secret pepper cannot be guessed by who has only the database.
"""

import hmac
from dataclasses import dataclass, field

from sqlmodel import Session, col, select

from subscribers.errors import OtherPepper
from subscribers.models import Subscriber, Suppression


MIN_SECRET_BYTES = 16


@dataclass(frozen=True)
class AddressHasher:
    """Hashes address keys with one pepper (at least 16 secret bytes, the same for the life of the store).

    Raises:
        ValueError: The pepper is too short to be a secret.
    """

    pepper: bytes = field(repr=False)
    key_id: str = field(init=False)

    def __post_init__(self) -> None:
        if len(self.pepper) < MIN_SECRET_BYTES:
            raise ValueError(f"the pepper has {len(self.pepper)} bytes; give it at least {MIN_SECRET_BYTES}")
        object.__setattr__(self, "key_id", hmac.digest(self.pepper, b"key id", "sha256").hex()[:8])

    def hash(self, address_key: str) -> str:
        """Give the HMAC-SHA-256 of an address's key, as 64 hexadecimal digits."""
        return hmac.digest(self.pepper, b"address:" + address_key.encode("ascii"), "sha256").hex()


def require_same_pepper(session: Session, hasher: AddressHasher) -> None:
    """Refuse to go on where the store was hashed with another pepper: no suppression would be recognised.

    Raises:
        OtherPepper: The newest subscriber or suppression was hashed with another pepper.
    """
    for table in (Subscriber, Suppression):
        # The erased have neither a hash nor a key id.
        hashed = select(table.hash_key_id).where(col(table.hash_key_id) != "")
        if session.exec(hashed.order_by(col(table.id).desc()).limit(1)).first() not in {None, hasher.key_id}:
            raise OtherPepper
