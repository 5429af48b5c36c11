"""HTML of a document's blocks: plain elements with class names, for the theme's CSS. Pure; mail and web ask here.

The result goes into the mail as it stands; mrml never sees it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from itertools import zip_longest

from newsletter.errors import NewsletterError
from newsletter.issues.blocks import (
    SECTION,
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
from newsletter.issues.inline import Break, Inlines, Link, Text
from newsletter.issues.table_forms import is_cards
from newsletter.rendering import html_tables
from newsletter.rendering.callouts import gathered
from newsletter.rendering.footnotes import Note
from newsletter.rendering.frames import Frames
from newsletter.rendering.html_inlines import InlineHTML
from newsletter.rendering.wording import Wording


@dataclass(frozen=True)
class HTML:
    """Writes a document's blocks as HTML."""

    write: InlineHTML
    wording: Wording
    frames: Frames

    def section(self, section: Section) -> str:
        """Write a section with its heading. A rule at its end is left out: the next heading divides enough."""
        blocks = list(section.blocks)
        while blocks and isinstance(blocks[-1], Rule):
            blocks.pop()
        heading = f"<h2>{self.write.line(section.heading)}</h2>" if section.heading else ""
        return heading + self.blocks(blocks, SECTION if section.heading else SECTION - 1)

    def blocks(self, blocks: Iterable[Block], level: int = SECTION) -> str:
        """Write blocks one after the other; ``level`` is that of the heading they stand under."""
        written = []
        shown = gathered(blocks, self.wording.risk_labels)
        for block, after in zip_longest(shown, shown[1:]):
            written.append(self.block(block, level))
            level = block.level if isinstance(block, Heading) else level
            if _runs_on(block, after):
                written.append('<hr class="end">')
        return "".join(written)

    def block(self, block: Block, level: int) -> str:
        """Write one block.

        Raises:
            NewsletterError: It is restricted: the document was not cut for a plan.
        """
        match block:
            case Paragraph():
                return self._paragraph(block.inlines)
            case Heading():
                words = self.write.line(block.inlines)
                return f"<h{block.level}>{words}</h{block.level}>" if words else ""
            case Listing():
                return self._listing(block, level)
            case Table():
                return html_tables.table(block, self.write, self.frames, min(level + 1, 6))
            case Quote():
                return f"<blockquote>{self.blocks(block.blocks, level)}</blockquote>"
            case Code():
                return f"<pre>{escape(block.text)}</pre>"
            case Image():
                picture = self.write.picture(block.picture, alone=True)
                return f'<p class="image">{self.write.anchor(block.target, picture)}</p>'
            case Rule():
                return "<hr>"
            case Callout():
                title = self.write.line(block.title) or escape(self.wording.callout(block.kind))
                return self.frames.box(block.kind, title, self.blocks(block.blocks, level))
            case Sponsor():
                return self.frames.box("sponsor", escape(self.wording.sponsor(block)), self.blocks(block.blocks, level))
            case Teaser():
                return self._teaser(block)
            case Restricted():
                raise NewsletterError("a document must be cut for a plan before it is rendered")

    def notes(self) -> str:
        """Write the footnotes; nothing where there are none."""
        written = "".join(map(self._note, self.write.notes.values()))
        return f"<h2>{escape(self.wording.words['notes'])}</h2>{written}" if written else ""

    def _note(self, note: Note) -> str:
        mark = f'<span class="mark">[{note.number}]</span>'
        match note.blocks:
            case (Paragraph() as first, *rest):
                return f"<p>{mark} {self.write.line(first.inlines)}</p>{self.blocks(rest)}"
        return f"<p>{mark}</p>{self.blocks(note.blocks)}"

    def _paragraph(self, inlines: Inlines) -> str:
        """Write a paragraph; one of nothing but buttons as buttons, which Outlook needs a table for."""
        buttons = [one for one in inlines if isinstance(one, Link) and one.button]
        others = [one for one in inlines if one not in buttons and not _is_space(one)]
        if not buttons or others:
            return f"<p>{self.write.line(inlines)}</p>"
        return "".join(
            self.frames.button(self.write.anchor(one.target, self.write.line(one.children), "button"))
            for one in buttons
        )

    def _listing(self, listing: Listing, level: int) -> str:
        tag = "ol" if listing.ordered else "ul"
        start = f' start="{listing.start}"' if listing.ordered and listing.start != 1 else ""
        tasks = ' class="tasks"' if any(item.done is not None for item in listing.items) else ""
        items = "".join(f"<li>{self._item(item, level)}</li>" for item in listing.items)
        return f"<{tag}{start}{tasks}>{items}</{tag}>"

    def _item(self, item: Item, level: int) -> str:
        """Write a list's item; its first paragraph without the paragraph's own space where it is the only one."""
        mark = "" if item.done is None else f"{self.wording.task(done=item.done)} "
        match item.blocks:
            case (Paragraph() as first, *rest) if all(isinstance(block, Listing) for block in rest):
                return mark + self.write.line(first.inlines) + self.blocks(rest, level)
        return mark + self.blocks(item.blocks, level)

    def _teaser(self, teaser: Teaser) -> str:
        words = f"<p>{escape(teaser.words)}</p>" if teaser.words else ""
        amount = f'<p class="quiet">{escape(self.wording.missing(teaser))}</p>'
        anchor = self.write.anchor(self.wording.upgrade_url, escape(self.wording.words["upgrade"]), "button")
        button = self.frames.button(anchor) if self.wording.upgrade_url else ""
        inner = words + amount + button + self._sign_in()
        return self.frames.box("teaser", f"🔒 {escape(self.wording.for_plans(teaser))}", inner)

    def _sign_in(self) -> str:
        anchor = self.write.anchor(self.wording.sign_in_url, escape(self.wording.words["sign_in"]))
        return f'<p class="quiet">{anchor}</p>' if self.wording.sign_in_url else ""


def _runs_on(block: Block, after: Block | None) -> bool:
    """Tell whether the last card of a table would swallow what comes after it."""
    is_divided = after is None or isinstance(after, Heading | Rule | Callout | Sponsor | Teaser)
    return isinstance(block, Table) and is_cards(block) and not is_divided


def _is_space(one: object) -> bool:
    return isinstance(one, Break) or (isinstance(one, Text) and not one.text.strip())
