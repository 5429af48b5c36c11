"""The text part: what a person would have written, with the same links as the HTML. Pure.

Links are numbered where they stand and listed at the end of their section, so that lines stay readable.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from newsletter.issues.blocks import Block, Code, Heading, Image, Listing, Paragraph, Quote, Rule, Table
from newsletter.issues.document import Section
from newsletter.issues.inline import Break, CodeSpan, Inline, Inlines, Link, Picture, Text
from newsletter.rendering.links import Links
from newsletter.rendering.tables import is_cards, width_of


@dataclass
class TextPart:
    """Writes plain text; remembers the links it met, since they are numbered through the whole mail."""

    links: Links
    _numbers: dict[str, int] = field(default_factory=dict)
    _unlisted: list[str] = field(default_factory=list)

    def section(self, section: Section) -> str:
        """Write a section: its heading, its text, and the links that are new in it."""
        heading = self._line(section.heading)
        blocks = list(section.blocks)
        while blocks and isinstance(blocks[-1], Rule):
            blocks.pop()
        underlined = f"{heading}\n{'=' * min(width_of(heading), 40)}" if heading else ""
        text = "\n\n".join(filter(None, (underlined, self.blocks(blocks))))
        listed = "\n".join(f"[{self._numbers[target]}] {target}" for target in self._unlisted)
        self._unlisted.clear()
        return f"{text}\n\n{listed}" if listed else text

    def blocks(self, blocks: Iterable[Block]) -> str:
        """Write blocks with an empty line between them."""
        return "\n\n".join(filter(None, (self.block(block) for block in blocks)))

    def block(self, block: Block) -> str:
        """Write one block."""
        match block:
            case Paragraph():
                return self.inlines(block.inlines)
            case Heading():
                return f"# {self._line(block.inlines)}"
            case Listing():
                return self._listing(block)
            case Table():
                return self._table(block)
            case Quote():
                return _indent(self.blocks(block.blocks), "> ", "> ")
            case Code():
                return _indent(block.text, "    ", "    ")
            case Image():
                return self._picture(block.picture)
            case Rule():
                return "* * *"

    def inlines(self, inlines: Inlines) -> str:
        """Write what stands in a line."""
        return "".join(self._inline(one) for one in inlines).strip()

    def _line(self, inlines: Inlines) -> str:
        return " ".join(self.inlines(inlines).split())

    def _inline(self, one: Inline) -> str:
        match one:
            case Text(text) | CodeSpan(text):
                return text
            case Break():
                return "\n"
            case Link():
                return self._numbered(one)
            case Picture():
                return self._picture(one)
            case _:
                return "".join(self._inline(child) for child in one.children)

    def _numbered(self, link: Link) -> str:
        inner = "".join(self._inline(child) for child in link.children)
        target = self.links.resolve(link.target)
        if not target or not inner:
            return inner
        if target == inner:
            return inner
        if target not in self._numbers:
            self._numbers[target] = len(self._numbers) + 1
            self._unlisted.append(target)
        return f"{inner} [{self._numbers[target]}]"

    def _picture(self, picture: Picture) -> str:
        return f"[{picture.alternative}]" if picture.alternative else ""

    def _listing(self, listing: Listing) -> str:
        marks = (f"{listing.start + number}. " if listing.ordered else "- " for number in range(len(listing.items)))
        items = [
            _indent(self.blocks(item), mark, " " * len(mark)) for mark, item in zip(marks, listing.items, strict=True)
        ]
        return "\n".join(items)

    def _table(self, table: Table) -> str:
        if not is_cards(table):
            rows = (table.head, *table.rows)
            return "\n".join(" | ".join(self._line(cell) for cell in row) for row in rows)
        return "\n\n".join(self._card(table, row) for row in table.rows)

    def _card(self, table: Table, row: tuple[Inlines, ...]) -> str:
        lines = [f"■ {self._line(row[0])}"]
        for label, cell in zip(table.head[1:], row[1:], strict=True):
            if value := self._line(cell):
                lines.append(f"{self._line(label)}: {value}")
        return "\n".join(lines)


def _indent(text: str, first: str, rest: str) -> str:
    lines = text.split("\n")
    return "\n".join([first + lines[0], *((rest + line).rstrip() for line in lines[1:])])
