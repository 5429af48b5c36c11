"""Frames: what holds a box, a button and the cells of a card together, in a mail and on a page. Pure.

The words inside are written once, by ``html_blocks`` and ``html_tables``. Mail programs need tables around them, since
Outlook pads nothing else; on the web and in feeds a table that is none would only mislead.
"""

from collections.abc import Sequence
from typing import Protocol


class Frames(Protocol):
    """Writes what stands around HTML that is written already."""

    def box(self, kind: str, title: str, inner: str) -> str:
        """Set text apart, under a title."""

    def button(self, anchor: str) -> str:
        """Make a button of a link."""

    def cells(self, cells: Sequence[str], in_a_line: int) -> str:
        """Put the cells of a card one after the other, so many in a line where there is room."""


class MailFrames:
    """Frames that every mail program draws."""

    def box(self, kind: str, title: str, inner: str) -> str:
        """Set text apart in a table of one cell."""
        cell = f'<td class="boxed {kind}"><p class="head">{title}</p>{inner}</td>'
        return f'<table class="box" role="presentation" width="100%" cellspacing="0"><tr>{cell}</tr></table>'

    def button(self, anchor: str) -> str:
        """Put a link into a table that Outlook pads."""
        cell = f'<td class="press">{anchor}</td>'
        return f'<table class="action" role="presentation" cellspacing="0"><tr>{cell}</tr></table>'

    def cells(self, cells: Sequence[str], in_a_line: int) -> str:
        """Put cells into a table that only Outlook sees; the conditional comments hide it from the rest."""
        if in_a_line == 1:
            return "".join(cells)
        pieces = []
        for number, cell in enumerate(cells):
            begins_line = number % in_a_line == 0
            before = ("</td></tr><tr>" if begins_line else "</td>") if number else '<table class="ghost"><tr>'
            alone = begins_line and number == len(cells) - 1
            size = f'colspan="{in_a_line}"' if alone else f'width="{100 // in_a_line}%"'
            pieces += [f'<!--[if mso]>{before}<td {size} valign="top"><![endif]-->', cell]
        return "".join([*pieces, "<!--[if mso]></td></tr></table><![endif]-->"])


class WebFrames:
    """Frames as browsers and feed readers know them."""

    def box(self, kind: str, title: str, inner: str) -> str:
        """Set text apart."""
        return f'<div class="boxed {kind}" role="note"><p class="head">{title}</p>{inner}</div>'

    def button(self, anchor: str) -> str:
        """Give a link its own line."""
        return f'<p class="action">{anchor}</p>'

    def cells(self, cells: Sequence[str], in_a_line: int) -> str:  # noqa: ARG002 - their class says how many
        """Put cells one after the other."""
        return "".join(cells)
