"""HTML of what stands in a line. Pure. Everything an author wrote is escaped here, once."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from newsletter.issues.fields import target_of
from newsletter.issues.inline import (
    Break,
    CodeSpan,
    Emphasis,
    Field,
    Footnote,
    Inline,
    Inlines,
    Link,
    Picture,
    Strong,
    Struck,
    Styled,
    Text,
)
from newsletter.rendering.footnotes import Note
from newsletter.rendering.links import Links
from newsletter.rendering.personalisation import Place, Tags


#: The width of a mail's text on a wide screen, in CSS pixels: the theme's 640 px less its padding.
TEXT_WIDTH = 592


@dataclass(frozen=True)
class InlineHTML:
    """Writes lines: links resolved, fields as tags, marks of notes by their numbers."""

    links: Links
    tags: Tags
    notes: Mapping[str, Note]

    def line(self, inlines: Inlines) -> str:
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
                return f"<strong>{self.line(children)}</strong>"
            case Emphasis(children):
                return f"<em>{self.line(children)}</em>"
            case Struck(children):
                return f"<s>{self.line(children)}</s>"
            case Styled("mark", children):
                # Yahoo and Outlook know no <mark>.
                return f'<span class="highlight">{self.line(children)}</span>'
            case Styled(style, children):
                return f"<{style}>{self.line(children)}</{style}>"
            case Link():
                return self.anchor(one.target, self.line(one.children))
            case Picture():
                return self.picture(one)
            case Field():
                return self._field(one)
            case Footnote():
                return f'<sup class="mark">[{self.notes[one.label].number}]</sup>'

    def anchor(self, target: str, inner: str, kind: str = "") -> str:
        """Write a link; nothing but its text where the target leads nowhere."""
        styled = f' class="{kind}"' if kind else ""
        if own := target_of(target):
            return self._own_page(own, inner, styled)
        resolved = self.links.resolve(target)
        return f'<a{styled} href="{escape(resolved)}">{inner}</a>' if resolved and inner else inner

    def _own_page(self, field: Field, inner: str, styled: str = "") -> str:
        """Link to a reader's own page; nothing but its text where there is no reader."""
        address = self.tags.write(field, Place.html)
        # SendGrid must not lead a reader's own pages through a host of its own; it heeds the word before `href` only.
        return f'<a{styled} clicktracking="off" href="{address}">{inner}</a>' if address and inner else inner

    def picture(self, picture: Picture, *, alone: bool = False) -> str:
        """Write an image; its words where the source leads nowhere.

        Outlook takes the width of the attribute and knows no `max-width`; every other program the other way round.
        """
        source = self.links.resolve(picture.source)
        if source is None or source.startswith("mailto:"):
            return escape(picture.alternative)
        width = min(picture.width or (TEXT_WIDTH if alone else 0), TEXT_WIDTH)
        size = f' width="{width}"' if width else ""
        fixed = f' style="width:{width}px"' if picture.width else ""
        return f'<img src="{escape(source)}" alt="{escape(picture.alternative)}"{size}{fixed}>'

    def _field(self, one: Field) -> str:
        written = self.tags.write(one, Place.html)
        return self._own_page(one, written) if one.name.endswith("_url") else written
