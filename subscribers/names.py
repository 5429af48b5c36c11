"""Names of people as they are stored: one line that cannot break out of a header or turn a page around. Pure."""

import unicodedata


MAX_NAME = 200

#: Control characters, halves of surrogate pairs, and the line and paragraph separators.
_BREAKING = frozenset({"Cc", "Cs", "Zl", "Zp"})
#: Marks that turn the direction of all that follows; letters of right-to-left scripts need none of them.
_TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def clean_name(text: str) -> str:
    """Give a name in one line of at most 200 characters; what cannot stand in a line becomes a space."""
    # Printable text holds nothing of what must go: most names need no closer look.
    kept = text if text.isprintable() else "".join(" " if _must_go(character) else character for character in text)
    return " ".join(kept.split())[:MAX_NAME].rstrip()


def _must_go(character: str) -> bool:
    return unicodedata.category(character) in _BREAKING or unicodedata.bidirectional(character) in _TURNING
