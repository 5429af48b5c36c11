"""Blocks: what an issue's text is made of. Pure values; made by ``reading``, cut by ``access``, read by the renderer.

Every block knows the line of the source where it begins, counted from 1, so that findings can say where.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from newsletter.issues.inline import Footnote, Inlines, Picture, walk


#: The level of headings that begin a section.
SECTION = 2


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text."""

    inlines: Inlines
    line: int


@dataclass(frozen=True)
class Heading:
    """A heading. Level 1 is the issue's title, 2 begins a section, whatever the author's own levels were."""

    level: int
    inlines: Inlines
    line: int


@dataclass(frozen=True)
class Item:
    """One item of a list; of a task list where ``done`` says whether the task is."""

    blocks: "Blocks"
    done: bool | None = None


@dataclass(frozen=True)
class Listing:
    """A list; ordered ones count from ``start``."""

    ordered: bool
    start: int
    items: tuple[Item, ...]
    line: int


@dataclass(frozen=True)
class Table:
    """A table: its head, its rows (each as long as the head, an empty cell being `()`), and how columns are aligned."""

    head: tuple[Inlines, ...]
    rows: tuple[tuple[Inlines, ...], ...]
    alignments: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Quote:
    """What somebody else said."""

    blocks: "Blocks"
    line: int


@dataclass(frozen=True)
class Code:
    """A block of code."""

    text: str
    language: str
    line: int


@dataclass(frozen=True)
class Image:
    """A picture that stands alone, perhaps leading somewhere."""

    picture: Picture
    target: str
    line: int


@dataclass(frozen=True)
class Rule:
    """A dividing line."""

    line: int


@dataclass(frozen=True)
class Callout:
    """A note set apart; ``kind`` is `note`, `tip`, `warning` or `danger`, and an empty title means the kind's own."""

    kind: str
    title: Inlines
    blocks: "Blocks"
    line: int


@dataclass(frozen=True)
class Sponsor:
    """An advertisement; an empty label means the language's own word for one."""

    name: str
    label: str
    blocks: "Blocks"
    line: int


@dataclass(frozen=True)
class Restricted:
    """Blocks that only readers of certain plans may read. ``access.cut`` leaves none of these in a document."""

    plans: tuple[str, ...]
    teaser: str
    blocks: "Blocks"
    line: int


@dataclass(frozen=True)
class Teaser:
    """What stands in the place of blocks that a reader may not read: for whom they are, and how much there is."""

    plans: tuple[str, ...]
    words: str
    items: int
    minutes: int
    line: int


Enclosing = Quote | Callout | Sponsor | Restricted
Block = Paragraph | Heading | Listing | Table | Code | Image | Rule | Teaser | Enclosing
Blocks = tuple[Block, ...]


def walk_blocks(blocks: Iterable[Block]) -> Iterator[Block]:
    """Go through blocks and all blocks inside them, in reading order; footnotes come after the block they stand in."""
    for block in blocks:
        yield block
        match block:
            case Quote() | Callout() | Sponsor() | Restricted():
                yield from walk_blocks(block.blocks)
            case Listing():
                for item in block.items:
                    yield from walk_blocks(item.blocks)
        for inlines in lines_of(block):
            for one in walk(inlines):
                if isinstance(one, Footnote):
                    yield from walk_blocks(one.blocks)


def lines_of(block: Block) -> tuple[Inlines, ...]:
    """Give the runs of inline nodes that stand in a block itself, not in the blocks inside it."""
    match block:
        case Paragraph() | Heading():
            return (block.inlines,)
        case Table():
            return (*block.head, *(cell for row in block.rows for cell in row))
        case Image():
            return ((block.picture,),)
        case Callout():
            return (block.title,)
        case _:
            return ()


def numbered_lines(blocks: Iterable[Block]) -> Iterator[tuple[int, Inlines]]:
    """Go through all runs of inline nodes with the line of the source each stands in; a table's row is a line."""
    for block in walk_blocks(blocks):
        match block:
            case Table():
                yield from ((block.line, cell) for cell in block.head)
                for number, row in enumerate(block.rows, start=block.line + 2):
                    yield from ((number, cell) for cell in row)
            case _:
                yield from ((block.line, inlines) for inlines in lines_of(block))
