"""One line of the journal: facts as JSON, with a seal that only who has the pepper can make. Pure.

A line that was torn by a crash, or changed by a hand, has no valid seal and is told apart.
"""

import hmac
from collections.abc import Mapping
from typing import Any

import orjson


#: Bytes of the seal; as JSON Web Signature allows for no key of ours to be guessed.
SEAL_BYTES = 16


def sealed(facts: Mapping[str, Any], key_id: str, pepper: bytes) -> bytes:
    """Write a line with its end."""
    body = orjson.dumps({**facts, "key": key_id}, option=orjson.OPT_UTC_Z)
    return _seal(body, pepper).encode() + b" " + body + b"\n"


def opened(line: bytes, peppers: Mapping[str, bytes]) -> dict[str, Any] | None:
    """Read a line; nothing where it is torn, was changed, or was sealed with a pepper that is not among these."""
    seal, space, body = line.rstrip(b"\n").partition(b" ")
    if not space:
        return None
    try:
        facts = orjson.loads(body)
        pepper = peppers[facts["key"]]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return dict(facts) if hmac.compare_digest(seal, _seal(body, pepper).encode()) else None


def _seal(body: bytes, pepper: bytes) -> str:
    # A key of its own: the seal of a line must say nothing of the hash of an address.
    return hmac.digest(hmac.digest(pepper, b"journal", "sha256"), body, "sha256")[:SEAL_BYTES].hex()
