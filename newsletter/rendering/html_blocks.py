"""HTML of a document's blocks: plain elements with class names, which the theme's CSS is inlined into later. Pure.

Everything an author wrote is escaped here, once; the result goes into the mail as it stands.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from newsletter.issues.blocks import Block, Code, Heading, Image, Listing, Paragraph, Quote, Rule, Table
from newsletter.issues.document import Section
from newsletter.issues.inline import Break, CodeSpan, Emphasis, Inline, Inlines, Link, Picture, Strong, Struck, Text
from newsletter.rendering.links import Links
from newsletter.rendering.tables import is_cards


@dataclass(frozen=True)
class HTML:
    """Writes HTML with links resolved."""

    links: Links

    def section(self, section: Section) -> str:
        """Write a section with its heading. A rule at its end is left out: the next heading divides enough."""
        blocks = list(section.blocks)
        while blocks and isinstance(blocks[-1], Rule):
            blocks.pop()
        heading = f"<h2>{self.inlines(section.heading)}</h2>" if section.heading else ""
        return heading + self.blocks(blocks)

    def blocks(self, blocks: Iterable[Block]) -> str:
        """Write blocks one after the other."""
        return "".join(self.block(block) for block in blocks)

    def block(self, block: Block) -> str:
        """Write one block."""
        match block:
            case Paragraph():
                return f"<p>{self.inlines(block.inlines)}</p>"
            case Heading():
                return f"<h3>{self.inlines(block.inlines)}</h3>"
            case Listing():
                return self._listing(block)
            case Table():
                return self._cards(block) if is_cards(block) else self._figures(block)
            case Quote():
                return f"<blockquote>{self.blocks(block.blocks)}</blockquote>"
            case Code():
                return f"<pre>{escape(block.text)}</pre>"
            case Image():
                return f'<p class="image">{self._picture(block.picture)}</p>'
            case Rule():
                return "<hr>"

    def inlines(self, inlines: Inlines) -> str:
        """Write what stands in a line."""
        return "".join(self._inline(one) for one in inlines)

    def _inline(self, one: Inline) -> str:
        match one:
            case Text(text):
                return escape(text)
            case Break(hard):
                return "<br>" if hard else "\n"
            case CodeSpan(text):
                return f"<code>{escape(text)}</code>"
            case Strong(children):
                return f"<strong>{self.inlines(children)}</strong>"
            case Emphasis(children):
                return f"<em>{self.inlines(children)}</em>"
            case Struck(children):
                return f"<s>{self.inlines(children)}</s>"
            case Link():
                return self._link(one)
            case Picture():
                return self._picture(one)

    def _link(self, link: Link) -> str:
        inner = self.inlines(link.children)
        target = self.links.resolve(link.target)
        return f'<a href="{escape(target)}">{inner}</a>' if target and inner else inner

    def _picture(self, picture: Picture) -> str:
        source = self.links.resolve(picture.source)
        if source is None or source.startswith("mailto:"):
            return escape(picture.alternative)
        return f'<img src="{escape(source)}" alt="{escape(picture.alternative)}">'

    def _listing(self, listing: Listing) -> str:
        tag = "ol" if listing.ordered else "ul"
        start = f' start="{listing.start}"' if listing.ordered and listing.start != 1 else ""
        items = "".join(f"<li>{self._item(item)}</li>" for item in listing.items)
        return f"<{tag}{start}>{items}</{tag}>"

    def _item(self, blocks: tuple[Block, ...]) -> str:
        """Write a list's item; one of a single paragraph without the paragraph's own space."""
        match blocks:
            case (Paragraph() as only,):
                return self.inlines(only.inlines)
        return self.blocks(blocks)

    def _figures(self, table: Table) -> str:
        head = "".join(
            self._cell('th scope="col"', cell, how) for cell, how in zip(table.head, table.alignments, strict=True)
        )
        rows = "".join(
            "<tr>"
            + "".join(self._cell("td", cell, how) for cell, how in zip(row, table.alignments, strict=True))
            + "</tr>"
            for row in table.rows
        )
        return f'<table class="figures" width="100%"><thead>{head}</thead><tbody>{rows}</tbody></table>'

    def _row(self, tag: str, cells: tuple[Inlines, ...], table: Table) -> str:
        aligned = zip(cells, table.alignments, strict=True)
        return "<tr>" + "".join(self._cell(tag, cell, alignment) for cell, alignment in aligned) + "</tr>"

    def _cell(self, tag: str, inlines: Inlines, alignment: str) -> str:
        align = f' align="{alignment}"' if alignment in {"center", "right"} else ""
        return f"<{tag}{align}>{self.inlines(inlines)}</{tag.split(maxsplit=1)[0]}>"

    def _cards(self, table: Table) -> str:
        return "".join(self._card(table, row) for row in table.rows)

    def _card(self, table: Table, row: tuple[Inlines, ...]) -> str:
        """Write a row as a heading and labelled paragraphs: stacked by nature, side by side where there is room.

        The conditional comments give Outlook, which knows neither inline-blocks nor media queries, a table instead.
        """
        labelled = [(label, cell) for label, cell in zip(table.head[1:], row[1:], strict=True) if cell]
        side_by_side = len(labelled) > 1
        kind = "cell side" if side_by_side else "cell"
        cells = [self._labelled(kind, label, cell) for label, cell in labelled]
        body = _ghost_table(cells) if side_by_side else "".join(cells)
        return f'<h3 class="card">{self.inlines(row[0])}</h3>{body}'

    def _labelled(self, kind: str, label: Inlines, cell: Inlines) -> str:
        return f'<p class="{kind}"><span class="label">{self.inlines(label)}</span><br>{self.inlines(cell)}</p>'


def _ghost_table(cells: list[str]) -> str:
    """Put cells two to a row into a table that only Outlook sees."""
    pieces = ['<!--[if mso]><table class="ghost" width="100%"><tr><td width="50%" valign="top"><![endif]-->', cells[0]]
    for number, cell in enumerate(cells[1:], start=1):
        between = "</td><td" if number % 2 else "</td></tr><tr><td"
        pieces += [f'<!--[if mso]>{between} width="50%" valign="top"><![endif]-->', cell]
    return "".join([*pieces, "<!--[if mso]></td></tr></table><![endif]-->"])
