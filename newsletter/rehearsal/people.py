"""Invented people: an address at which nobody is, and a name of the same kind as a real one. Pure."""

import unicodedata
from itertools import cycle, islice

from newsletter.delivery.mailbox_providers import STAND_IN_DOMAINS, stand_in_domain


#: The ten heavenly stems, with which Chinese counts people who have no name.
_STEMS = "甲乙丙丁戊己庚辛壬癸"
_SYLLABLES = ("ba", "ce", "di", "fo", "gu", "la", "me", "ni", "po", "ru")
_WIDE = frozenset("WF")
#: Who is not on the allow-list of the installation.
UNLISTED = "unlisted.rehearsal.invalid"


def address(number: int, domain: str, *, listed: bool = True) -> str:
    """Invent the address of the reader of this number; its lane is that of the real domain."""
    return f"r{number}@{stand_in_domain(domain) if listed else UNLISTED}"


def is_invented(address: str) -> bool:
    """Tell whether an address is one that nobody can have (RFC 2606 §2)."""
    return address.rpartition("@")[2] in {*STAND_IN_DOMAINS, UNLISTED}


def name_like(name: str, number: int) -> str:
    """Invent a name as long as a real one, in as wide letters; where there is none there is none."""
    if not name:
        return ""
    digits = cycle(map(int, str(number)))
    wide = any(unicodedata.east_asian_width(character) in _WIDE for character in name)
    parts = (_STEMS[digit] if wide else _SYLLABLES[digit] for digit in islice(digits, len(name)))
    return "".join(parts)[: len(name)].capitalize()
