"""Footnotes: numbered in the order of their marks, and written at the end of the mail. Pure; HTML and text ask here."""

from collections.abc import Iterable
from dataclasses import dataclass

from newsletter.issues.blocks import Block, Blocks, lines_of, walk_blocks
from newsletter.issues.inline import Footnote, walk


@dataclass(frozen=True)
class Note:
    """A note with its number."""

    number: int
    blocks: Blocks


def notes_of(blocks: Iterable[Block]) -> dict[str, Note]:
    """Number the notes of a text by label, from 1; notes in notes come after them."""
    notes: dict[str, Note] = {}
    for block in walk_blocks(blocks):
        for line in lines_of(block):
            for one in walk(line):
                if isinstance(one, Footnote) and one.label not in notes:
                    notes[one.label] = Note(len(notes) + 1, one.blocks)
    return notes
