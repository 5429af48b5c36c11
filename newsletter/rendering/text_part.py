"""The text part: what a person would have written, with the same links as the HTML. Pure.

Links are numbered where they stand and listed at the end of their section, so that lines stay readable.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from newsletter.errors import NewsletterError
from newsletter.issues.blocks import (
    Block,
    Callout,
    Code,
    Heading,
    Image,
    Item,
    Listing,
    Paragraph,
    Quote,
    Restricted,
    Rule,
    Sponsor,
    Table,
    Teaser,
)
from newsletter.issues.document import Section
from newsletter.issues.fields import target_of
from newsletter.issues.inline import Break, CodeSpan, Field, Footnote, Inline, Inlines, Link, Picture, Struck, Text
from newsletter.issues.table_forms import is_cards, width_of
from newsletter.rendering.callouts import gathered
from newsletter.rendering.footnotes import Note
from newsletter.rendering.links import Links
from newsletter.rendering.personalisation import Place, Tags
from newsletter.rendering.tables import heading_target, needs_label, without_links
from newsletter.rendering.wording import Wording


#: A heading's underline is no longer than this, in columns.
LONGEST_UNDERLINE = 40


@dataclass
class TextPart:
    """Writes plain text; remembers the links it met, since they are numbered through the whole mail."""

    links: Links
    tags: Tags
    notes_by_label: Mapping[str, Note]
    wording: Wording
    _numbers: dict[str, int] = field(default_factory=dict)
    _unlisted: list[str] = field(default_factory=list)

    def section(self, section: Section) -> str:
        """Write a section: its heading, its text, and the links that are new in it."""
        blocks = list(section.blocks)
        while blocks and isinstance(blocks[-1], Rule):
            blocks.pop()
        return self._headed(self._line(section.heading), self.blocks(blocks))

    def notes(self) -> str:
        """Write the footnotes; nothing where there are none."""
        notes = self.notes_by_label.values()
        written = [_indent(self.blocks(note.blocks), f"({note.number}) ", "    ") for note in notes]
        return self._headed(str(self.wording.words["notes"]), "\n".join(written)) if written else ""

    def _headed(self, heading: str, text: str) -> str:
        underlined = f"{heading}\n{'=' * min(width_of(heading), LONGEST_UNDERLINE)}" if heading else ""
        listed = "\n".join(f"[{self._numbers[target]}] {target}" for target in self._unlisted)
        self._unlisted.clear()
        return "\n\n".join(filter(None, (underlined, text, listed)))

    def blocks(self, blocks: Iterable[Block]) -> str:
        """Write blocks with an empty line between them."""
        shown = gathered(blocks, self.wording.risk_labels)
        return "\n\n".join(filter(None, (self.block(block) for block in shown)))

    def block(self, block: Block) -> str:
        """Write one block.

        Raises:
            NewsletterError: It is restricted: the document was not cut for a plan.
        """
        match block:
            case Paragraph():
                return self.inlines(block.inlines)
            case Heading():
                return f"# {words}" if (words := self._line(block.inlines)) else ""
            case Listing():
                return self._listing(block)
            case Table():
                return self._table(block)
            case Quote():
                return _indent(self.blocks(block.blocks), "> ", "> ")
            case Code():
                return _indent(block.text, "    ", "    ")
            case Image():
                words = self._picture(block.picture)
                return self._linked(block.target, words or self._file(block.picture)) if block.target else words
            case Rule():
                return "* * *"
            case Callout():
                return self._box(self._line(block.title) or self.wording.callout(block.kind), self.blocks(block.blocks))
            case Sponsor():
                return self._box(self.wording.sponsor(block), self.blocks(block.blocks))
            case Teaser():
                return self._teaser(block)
            case Restricted():
                raise NewsletterError("a document must be cut for a plan before it is rendered")

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
                return self._linked(one.target, "".join(self._inline(child) for child in one.children), one)
            case Picture():
                return self._picture(one)
            case Field():
                return self.tags.write(one, Place.text)
            case Struck(children):
                return self.wording.struck("".join(self._inline(child) for child in children))
            case Footnote():
                return f"({self.notes_by_label[one.label].number})"
            case _:
                return "".join(self._inline(child) for child in one.children)

    def _linked(self, target: str, inner: str, link: Link | None = None) -> str:
        own = target_of(target)
        resolved = self.tags.write(own, Place.text) if own else self.links.resolve(target)
        if not inner and link:
            # A picture without words is a link in the HTML, so it is one here.
            inner = next((self._file(one) for one in link.children if isinstance(one, Picture)), "")
        if not resolved or not inner or resolved in {inner, f"mailto:{inner}"}:
            return inner
        if resolved not in self._numbers:
            self._numbers[resolved] = len(self._numbers) + 1
            self._unlisted.append(resolved)
        return f"{inner} [{self._numbers[resolved]}]"

    def _picture(self, picture: Picture) -> str:
        return f"[{picture.alternative}]" if picture.alternative else ""

    def _file(self, picture: Picture) -> str:
        return f"[{picture.source.rsplit('/', maxsplit=1)[-1][:40]}]"

    def _listing(self, listing: Listing) -> str:
        marks = (f"{listing.start + number}. " if listing.ordered else "- " for number in range(len(listing.items)))
        return "\n".join(self._item(mark, item) for mark, item in zip(marks, listing.items, strict=True))

    def _item(self, mark: str, item: Item) -> str:
        done = "" if item.done is None else f"{self.wording.task(done=item.done)} "
        # A list in a list stands close to its item.
        inner = "\n".join(filter(None, (self.block(block) for block in item.blocks)))
        return _indent(done + inner, mark, " " * len(mark))

    def _table(self, table: Table) -> str:
        if not table.rows:
            return " · ".join(self._line(cell) for cell in table.head if cell)
        if not is_cards(table):
            return "\n".join(filter(None, (self._figures(table, row) for row in table.rows)))
        return "\n\n".join(filter(None, (self._card(table, row) for row in table.rows)))

    def _figures(self, table: Table, row: tuple[Inlines, ...]) -> str:
        """Write a row of figures in a line: columns would not stand below one another in a reader's own font."""
        cells = self._labelled(table.head, row)
        return f"- {' · '.join(cells)}" if cells else ""

    def _card(self, table: Table, row: tuple[Inlines, ...]) -> str:
        named = f"{self._line(table.head[0])}: " if table.head[0] and needs_label(row[0]) else ""
        heading = [f"■ {named}{self._heading(row[0])}"] if row[0] else []
        return "\n".join([*heading, *self._labelled(table.head[1:], row[1:])])

    def _labelled(self, labels: Iterable[Inlines], cells: Iterable[Inlines]) -> list[str]:
        pairs = ((self._line(label), self._line(cell)) for label, cell in zip(labels, cells, strict=True))
        return [f"{label}: {value}" if label else value for label, value in pairs if value]

    def _heading(self, cell: Inlines) -> str:
        target = heading_target(cell)
        words = " ".join("".join(self._inline(one) for one in without_links(cell)).split())
        return self._linked(target, words) if target else self._line(cell)

    def _box(self, title: str, inner: str) -> str:
        return _indent("\n\n".join(filter(None, (f"[{title}]", inner))), "| ", "| ")

    def _teaser(self, teaser: Teaser) -> str:
        upgrade = self._linked(self.wording.upgrade_url, str(self.wording.words["upgrade"]))
        said = (teaser.words, self.wording.missing(teaser), upgrade if self.wording.upgrade_url else "")
        return self._box(self.wording.for_plans(teaser), "\n".join(filter(None, said)))


def _indent(text: str, first: str, rest: str) -> str:
    lines = text.split("\n")
    return "\n".join([(first + lines[0]).rstrip(), *((rest + line).rstrip() for line in lines[1:])])
