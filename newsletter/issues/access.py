"""Access: the one rule that says what a plan's readers may read (DESIGN §4.7). Pure, and closed where in doubt.

Mail, text, preheader, archive, feeds, preview and test mail are made from what ``cut`` gives, and from nothing else.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from newsletter.issues.blocks import (
    Block,
    Blocks,
    Callout,
    Heading,
    Item,
    Listing,
    Paragraph,
    Quote,
    Restricted,
    Sponsor,
    Table,
    Teaser,
    walk_blocks,
)
from newsletter.issues.document import Document
from newsletter.issues.inline import Footnote, Inline, Inlines, Wrapping
from newsletter.issues.measure import items_of, minutes_of


@dataclass(frozen=True)
class ReaderPlan:
    """A plan as the rule sees it: its code, every plan code its readers may read, and its name for people."""

    code: str
    includes: frozenset[str]
    name: str = ""

    def may_read(self, plans: Iterable[str]) -> bool:
        """Tell whether this plan's readers may read what is for these plans."""
        return not {self.code, *self.includes}.isdisjoint(plans)


#: Whoever reads without a subscription: archive and feeds.
ANONYMOUS = ReaderPlan("anonymous", frozenset())


def may_receive(document: Document, plan: ReaderPlan) -> bool:
    """Tell whether a plan's readers are mailed an issue: everybody, unless its front matter names plans."""
    return document.front.plans is None or plan.may_read(document.front.plans)


def cut(document: Document, plan: ReaderPlan) -> Document:
    """Give what a plan's readers may read of an issue: a teaser takes the place of what they may not.

    Of an issue that is for other plans altogether, title, byline, date and number are left, and one teaser.
    """
    if not may_receive(document, plan):
        return _cut_whole(document)
    return replace(document, blocks=cut_blocks(document.blocks, plan), dropped=())


def cut_blocks(blocks: Iterable[Block], plan: ReaderPlan) -> Blocks:
    """Give what a plan's readers may read of blocks."""
    return tuple(kept for block in blocks for kept in _cut_block(block, plan))


def demanded_plans(document: Document) -> Mapping[str, int]:
    """Name every plan that a container of the document asks for, with the line where it first does."""
    found: dict[str, int] = {}
    for block in walk_blocks(document.blocks):
        if isinstance(block, Restricted):
            for plan in block.plans:
                found.setdefault(plan, block.line)
    return found


def unknown_plans(document: Document, known: Collection[str]) -> Mapping[str, int]:
    """Name the plans that an issue asks for and the publication does not have, with the line where it first does."""
    on_top = document.front.lines.get("plans", 1)
    asked = {**dict.fromkeys(document.front.plans or (), on_top), **demanded_plans(document)}
    return {plan: line for plan, line in asked.items() if plan not in known}


def _cut_whole(document: Document) -> Document:
    teaser = Teaser(document.front.plans or (), "", items_of(document.blocks), minutes_of(document.blocks), 1)
    # A subject and a preheader were written for those who may read the issue.
    front = replace(document.front, subject=None, preheader=None)
    return replace(document, front=front, blocks=(teaser,), dropped=())


def _cut_block(block: Block, plan: ReaderPlan) -> Iterator[Block]:
    match block:
        case Restricted():
            if plan.may_read(block.plans):
                yield from cut_blocks(block.blocks, plan)
            else:
                yield Teaser(block.plans, block.teaser, items_of(block.blocks), minutes_of(block.blocks), block.line)
        case Callout():
            yield replace(block, title=_cut_line(block.title, plan), blocks=cut_blocks(block.blocks, plan))
        case Quote() | Sponsor():
            yield replace(block, blocks=cut_blocks(block.blocks, plan))
        case Listing():
            yield replace(block, items=tuple(Item(cut_blocks(item.blocks, plan), item.done) for item in block.items))
        case Paragraph() | Heading():
            yield replace(block, inlines=_cut_line(block.inlines, plan))
        case Table():
            rows = tuple(tuple(_cut_line(cell, plan) for cell in row) for row in block.rows)
            yield replace(block, head=tuple(_cut_line(cell, plan) for cell in block.head), rows=rows)
        case _:
            yield block


def _cut_line(inlines: Inlines, plan: ReaderPlan) -> Inlines:
    return tuple(kept for one in inlines for kept in _cut_inline(one, plan))


def _cut_inline(one: Inline, plan: ReaderPlan) -> Iterator[Inline]:
    if isinstance(one, Footnote):
        blocks = cut_blocks(one.blocks, plan)
        # A note of which nothing is left needs no mark; its teaser stands where the note was written.
        if any(not isinstance(block, Teaser) for block in blocks):
            yield replace(one, blocks=blocks)
    elif isinstance(one, Wrapping):
        yield replace(one, children=_cut_line(one.children, plan))
    else:
        yield one
