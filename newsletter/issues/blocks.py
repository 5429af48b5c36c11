"""Blocks: what an issue's text is made of. Pure values; made by ``document``, read by the renderer.

Every block knows the line of the source where it begins, counted from 1, so that findings can say where.
"""

from dataclasses import dataclass

from newsletter.issues.inline import Inlines, Picture


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text."""

    inlines: Inlines
    line: int


@dataclass(frozen=True)
class Heading:
    """A heading below the sections' own."""

    level: int
    inlines: Inlines
    line: int


@dataclass(frozen=True)
class Listing:
    """A list; ordered ones count from ``start``."""

    ordered: bool
    start: int
    items: tuple["Blocks", ...]
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
    """A picture that stands alone."""

    picture: Picture
    line: int


@dataclass(frozen=True)
class Rule:
    """A dividing line."""

    line: int


Block = Paragraph | Heading | Listing | Table | Quote | Code | Image | Rule
Blocks = tuple[Block, ...]
