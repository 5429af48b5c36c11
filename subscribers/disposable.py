"""Disposable mailboxes: domains that give an address away for some minutes. Pure; for ``importing`` and sign-up.

They are flagged, not refused: aliases that people use to guard their privacy look much the same.
"""

from functools import lru_cache

from disposable_email_domains import blocklist

from subscribers.typing_slips import MEANT, OTHERS


#: The list has some domains in it that give real people lasting mailboxes.
_LASTING = MEANT | OTHERS


@lru_cache(maxsize=10_000)
def is_disposable(domain: str) -> bool:
    """Tell whether a domain, or one it is a part of, is known for throw-away mailboxes."""
    if domain.casefold() in _LASTING:
        return False
    labels = domain.casefold().split(".")
    return any(".".join(labels[start:]) in blocklist for start in range(len(labels) - 1))
