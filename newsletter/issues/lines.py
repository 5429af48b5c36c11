"""Lines: what the pieces of a line come to beside each other. Pure; ``reading`` joins whatever it has read here."""

from collections.abc import Iterable, Sequence

from newsletter.issues.bare_addresses import with_links
from newsletter.issues.cjk import joins_without_space
from newsletter.issues.inline import Break, Inline, Inlines, Text, plain


def joined(inlines: Iterable[Inline], *, in_link: bool = False) -> Inlines:
    """Join neighbouring pieces of text, drop line ends that are no space, and find the bare addresses in the text."""
    pieces = _merged(inlines)
    kept = _merged(one for number, one in enumerate(pieces) if not _is_mere_line_end(pieces, number))
    if in_link:
        return tuple(kept)
    return tuple(part for one in kept for part in (with_links(one.text) if isinstance(one, Text) else (one,)))


def _merged(inlines: Iterable[Inline]) -> list[Inline]:
    merged: list[Inline] = []
    for one in inlines:
        if isinstance(one, Text) and merged and isinstance(merged[-1], Text):
            merged[-1] = Text(merged[-1].text + one.text)
        elif one != Text(""):
            merged.append(one)
    return merged


def _is_mere_line_end(inlines: Sequence[Inline], number: int) -> bool:
    if inlines[number] != Break(hard=False) or not 0 < number < len(inlines) - 1:
        return False
    return joins_without_space(plain([inlines[number - 1]])[-1:], plain([inlines[number + 1]])[:1])
