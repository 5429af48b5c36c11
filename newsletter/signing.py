"""Signing: links and cookies that work for a time, such as the one that confirms a sign-up.

Beside the publications; the edges and the notices sign and check here. What must work for ever, the way out, is a
stored random id instead (docs/decisions/0014). The ids in a token can be read by whoever holds it; no address is one.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property

from itsdangerous import BadSignature, TimestampSigner

from newsletter.errors import Refused
from subscribers.hashing import MIN_SECRET_BYTES


class Purpose(StrEnum):
    """What a token is for: one that was made for something else is no token at all."""

    confirm = "confirm"
    change_address = "change_address"
    take_back = "take_back"
    read = "read"
    sign_in = "sign_in"
    reading_session = "reading_session"


#: How long each works. A confirmation for 7 days (docs/consent.md); a mail is read on the web within a quarter.
LIFETIMES = {
    Purpose.confirm: timedelta(days=7),
    Purpose.change_address: timedelta(days=7),
    # Long enough to come back from a holiday to; a mailbox that its owner gave up is with somebody else one day.
    Purpose.take_back: timedelta(days=14),
    Purpose.read: timedelta(days=90),
    Purpose.sign_in: timedelta(days=1),
    Purpose.reading_session: timedelta(days=30),
}


class ForgedToken(Refused):
    """The link is incomplete, was not made here, or was made in a time that a restore lost: it names nobody."""


class ExpiredToken(Refused):
    """The link has expired.

    Args:
        ids: What was signed, for a page that offers a fresh link.
    """

    def __init__(self, ids: tuple[int, ...]) -> None:
        self.ids = ids
        super().__init__("the link has expired")


@dataclass(frozen=True)
class LinkSigner:
    """Signs with the newest of its keys and believes each of them, so that links outlive a change of keys.

    Args:
        keys: Secrets of at least 16 bytes, the oldest first. A key that is left out ends every link it signed.
        lost: Gives the times that restores lost, each from and to. The numbers of then are others' now.

    Raises:
        ValueError: There is no key, or one is too short to be a secret.
    """

    keys: tuple[bytes, ...]
    lost: Callable[[], Iterable[tuple[datetime, datetime]]] = tuple

    def __post_init__(self) -> None:
        if not self.keys or any(len(key) < MIN_SECRET_BYTES for key in self.keys):
            raise ValueError(f"give at least one key, each of at least {MIN_SECRET_BYTES} bytes")

    @cached_property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the keys, the oldest first; they tell nothing of the keys."""
        return tuple(hmac.digest(key, b"key id", "sha256").hex()[:8] for key in self.keys)

    def sign(self, purpose: Purpose, *ids: int, at: datetime) -> str:
        """Write a token for these ids; the same ids at the same second give the same token."""
        return _signer(self.keys[-1], purpose, at).sign("-".join(map(str, ids))).decode("ascii")

    def ids(self, purpose: Purpose, token: str, *, now: datetime) -> tuple[int, ...]:
        """Read the ids of a token.

        Raises:
            ForgedToken: Any character of it is not as it was signed, it was signed for something else, or in a time
                that was lost.
            ExpiredToken: It was signed here, longer ago than its purpose allows.
        """
        for key in self.keys:
            try:
                value, signed_at = _signer(key, purpose, now).unsign(token, return_timestamp=True)
            except BadSignature:
                continue
            # Base64 has spellings of the same bytes: only the one that was written counts.
            if not hmac.compare_digest(_signer(key, purpose, signed_at).sign(value), token.encode()):
                break
            if any(began - _CLOCKS_APART <= signed_at <= ended for began, ended in self.lost()):
                break
            ids = tuple(int(one) for one in value.split(b"-"))
            if not timedelta() <= now - signed_at + _CLOCKS_APART <= LIFETIMES[purpose] + _CLOCKS_APART:
                raise ExpiredToken(ids)
            return ids
        raise ForgedToken


#: Machines that share keys may disagree by so much about the time.
_CLOCKS_APART = timedelta(minutes=5)


class _SignerAt(TimestampSigner):
    """Signs as of a given moment: nothing of ours asks the machine's clock by itself."""

    at: datetime

    def get_timestamp(self) -> int:
        return int(self.at.timestamp())


def _signer(key: bytes, purpose: Purpose, at: datetime) -> TimestampSigner:
    # The library's defaults are SHA-1 and plain concatenation.
    signer = _SignerAt(key, salt=f"newsletter {purpose}", key_derivation="hmac", digest_method=hashlib.sha256)
    signer.at = at
    return signer
