"""What records in the DNS say about who may mail for a domain: SPF, DKIM and DMARC. Pure; the look-ups are elsewhere.

Sources: RFC 7208 (SPF), RFC 6376 (DKIM), RFC 7489 (DMARC).
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from functools import cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from publicsuffixlist import PublicSuffixList


def tags(record: str) -> dict[str, str]:
    """Read a list of ``name=value`` by semicolons, as DKIM and DMARC write them; the first of a name counts."""
    pairs = (part.split("=", 1) for part in record.split(";") if "=" in part)
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name.strip().lower(), "".join(value.split()))
    return found


def spf_of(texts: Iterable[str]) -> list[str]:
    """Pick the SPF records; more than one is an error of its own (RFC 7208 §4.5)."""
    return [text for text in texts if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]


def dmarc_of(texts: Iterable[str]) -> list[Mapping[str, str]]:
    """Pick and read the DMARC records; more than one counts as none (RFC 7489 §6.6.3)."""
    return [tags(text) for text in texts if text.replace(" ", "").startswith("v=DMARC1")]


def dkim_bits(text: str) -> int | None:
    """Give the length of a DKIM key: of an RSA key its bits, of an Ed25519 key 256; nothing where it is no key.

    An empty ``p=`` says that the key was withdrawn (RFC 6376 §3.6.1): that is 0.
    """
    said = tags(text)
    if "p" not in said:
        return None
    if not said["p"]:
        return 0
    try:
        der = base64.b64decode(said["p"], validate=True)
        key = load_der_public_key(der) if said.get("k", "rsa").lower() == "rsa" else None
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return None
    if key is None:
        return len(der) * 8
    return key.key_size if isinstance(key, RSAPublicKey) else None


def organisation_of(domain: str) -> str:
    """Give the organisational domain (RFC 7489 §3.2): one label more than the public suffix."""
    plain = domain.strip(".").lower()
    return _suffixes().privatesuffix(plain) or plain


def aligned(one: str, other: str, *, strict: bool = False) -> bool:
    """Tell whether two domains are aligned (RFC 7489 §3.1): the same, or relaxed, of one organisation."""
    if strict:
        return one.lower() == other.lower()
    return organisation_of(one) == organisation_of(other)


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
