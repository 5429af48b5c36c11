"""Callouts that an author did not mark: a label such as **风险提示** with its list is set apart. Pure."""

from collections.abc import Collection, Iterable

from newsletter.issues.blocks import Block, Blocks, Callout, Listing, Paragraph
from newsletter.issues.inline import Strong, Text, plain


def gathered(blocks: Iterable[Block], labels: Collection[str]) -> Blocks:
    """Make a callout of each paragraph that begins with one of these labels in bold, and of the list below it."""
    found: list[Block] = []
    rest = list(blocks)
    while rest:
        block = rest.pop(0)
        label = _label(block)
        if label is None or label.casefold() not in labels:
            found.append(block)
            continue
        inner: list[Block] = []
        if (said := _without_label(block)) is not None:
            inner.append(said)
        if rest and isinstance(rest[0], Listing):
            inner.append(rest.pop(0))
        found.append(Callout("warning", (Text(label),), tuple(inner), block.line) if inner else block)
    return tuple(found)


def _label(block: Block) -> str | None:
    match block:
        case Paragraph((Strong() as label, *_)):
            return plain([label]).strip().rstrip(":： ")
    return None


def _without_label(block: Block) -> Paragraph | None:
    match block:
        case Paragraph((Strong(), *rest), line) if plain(rest).strip(" :：\u3000"):
            return Paragraph(tuple(rest), line)
    return None
