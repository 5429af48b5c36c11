"""What survives of an author's HTML becomes nodes. Pure; ``reading`` calls it with a tree that ``raw_html`` made safe.

In a paragraph, HTML tags stand between pieces of Markdown. Each piece that was read already is held by a mark in the
text of the tree, and takes its place again here.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lxml.html import HtmlElement

from newsletter.issues.blocks import Block, Blocks, Code, Heading, Image, Item, Listing, Paragraph, Quote, Rule, Table
from newsletter.issues.fields import split
from newsletter.issues.inline import (
    Break,
    CodeSpan,
    Emphasis,
    Inline,
    Inlines,
    Link,
    Picture,
    Strong,
    Struck,
    Styled,
    Text,
)
from newsletter.issues.raw_html import BLOCK, STYLES


_EMPHASIS: Mapping[str, Callable[[Inlines], Inline]] = {
    **dict.fromkeys(("b", "strong"), Strong),
    **dict.fromkeys(("i", "em", "cite"), Emphasis),
    **dict.fromkeys(("s", "del", "strike"), Struck),
}
_HELD = re.compile("\ue000(\\d+)\ue001")


def hold(number: int) -> str:
    """Give the mark that holds the place of a piece that was read already."""
    return f"\ue000{number}\ue001"


def pixels(width: str) -> int | None:
    """Read a width as authors write it: ``120`` or ``120px``; anything else is none."""
    digits = width.strip().removesuffix("px")
    return int(digits) if digits.isascii() and digits.isdecimal() and int(digits[:5]) > 0 else None


@dataclass(frozen=True)
class RawNodes:
    """Reads a tree of safe HTML.

    Attributes:
        line: Where the HTML stands in the source.
        held: The pieces that marks in the tree's text stand for.
    """

    line: int
    held: Sequence[Inline] = ()

    def blocks(self, element: HtmlElement) -> Blocks:
        """Read an element's content as blocks; text that stands loose becomes paragraphs."""
        return tuple(self._blocks(element))

    def inlines(self, element: HtmlElement) -> Inlines:
        """Read an element's content as inline nodes."""
        return tuple(self._inlines(element))

    def _blocks(self, element: HtmlElement) -> Iterator[Block]:
        loose: list[Inline] = [*self._text(element.text)]
        for child in element:
            if child.tag in BLOCK:
                yield from self._paragraph(loose)
                loose = []
                yield from self._block(child)
            else:
                loose += self._inline(child)
            loose += self._text(child.tail)
        yield from self._paragraph(loose)

    def _paragraph(self, loose: Sequence[Inline]) -> Iterator[Block]:
        inlines = trimmed(loose)
        if inlines:
            yield paragraph(inlines, self.line)

    def _block(self, element: HtmlElement) -> Iterator[Block]:
        tag = str(element.tag)
        match tag:
            case "hr":
                yield Rule(self.line)
            case "pre":
                yield Code(element.text_content().strip("\n"), "", self.line)
            case "ul" | "ol":
                yield self._listing(element)
            case "table":
                yield from self._table(element)
            case "blockquote":
                yield Quote(self.blocks(element), self.line)
            case "summary":
                yield from self._paragraph([Strong(trimmed(self.inlines(element)))])
            case "h1" | "h2" | "h3" | "h4" | "h5" | "h6":
                yield Heading(int(tag[1]), trimmed(self.inlines(element)), self.line)
            case _:
                yield from self._blocks(element)

    def _listing(self, element: HtmlElement) -> Listing:
        start = str(element.get("start", "1"))
        items = tuple(Item(self.blocks(child)) for child in element if child.tag == "li")
        return Listing(element.tag == "ol", int(start[:9]) if start.isdecimal() else 1, items, self.line)

    def _table(self, element: HtmlElement) -> Iterator[Block]:
        """Read a table; its first row is its head, as in Markdown."""
        rows = [[trimmed(self.inlines(cell)) for cell in row.iter("th", "td")] for row in element.iter("tr")]
        width = max(map(len, rows), default=0)
        if width:
            head, *body = (tuple(row) + ((),) * (width - len(row)) for row in rows)
            yield Table(head, tuple(body), ("",) * width, self.line)

    def _inlines(self, element: HtmlElement) -> Iterator[Inline]:
        yield from self._text(element.text)
        for child in element:
            yield from self._inline(child)
            yield from self._text(child.tail)

    def _inline(self, element: HtmlElement) -> Iterator[Inline]:
        tag, inner = str(element.tag), self.inlines(element)
        if emphasis := _EMPHASIS.get(tag):
            yield emphasis(inner)
        elif tag in STYLES:
            yield Styled(STYLES[tag], inner)
        elif tag == "br":
            yield Break(hard=True)
        elif tag == "code":
            yield CodeSpan(element.text_content()) if not self.held else Styled("kbd", inner)
        elif tag == "img":
            width = pixels(element.get("width", ""))
            yield Picture(element.get("src", ""), element.get("alt", ""), width)
        elif tag == "a":
            yield Link(element.get("href", ""), inner)
        else:
            yield from inner

    def _text(self, text: str | None) -> Iterator[Inline]:
        """Read the text of a tree: its spaces are one each, and marks stand for pieces that were read already."""
        if not text:
            return
        for number, piece in enumerate(_HELD.split(text)):
            if number % 2 and int(piece) < len(self.held):
                yield from (one for one in (self.held[int(piece)],) if one != Text(""))
            elif piece:
                yield from split(re.sub(r"\s+", " ", piece))


def paragraph(inlines: Inlines, line: int) -> Paragraph | Image:
    """Make a paragraph; one that is nothing but a picture, perhaps with a link, is an image."""
    match inlines:
        case (Picture() as picture,):
            return Image(picture, "", line)
        case (Link(target, (Picture() as picture,)),):
            return Image(picture, target, line)
    return Paragraph(inlines, line)


def trimmed(inlines: Sequence[Inline]) -> Inlines:
    """Leave out the space at both ends."""
    rest = list(inlines)
    while rest and isinstance(rest[0], Text) and not rest[0].text.strip():
        rest.pop(0)
    while rest and isinstance(rest[-1], Text) and not rest[-1].text.strip():
        rest.pop()
    return tuple(rest)
