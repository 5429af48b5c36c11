"""Tables on the page: how figures share the width and are aligned, and what a card's heading is. Pure."""

import re

from newsletter.issues.blocks import Table
from newsletter.issues.inline import Inline, Inlines, Link, plain, walk
from newsletter.issues.table_forms import width_of


#: No column of figures is narrower, in percent; nor does one take more than its share below makes sense.
NARROWEST = 14
_NUMBER = re.compile(
    r"^[~≈约<>≤≥]?\s*[-+−±▲▼↑↓]?\s*(?:[$€£¥￥₩]|US\$|HK\$|RMB|USD|CNY)?\s*[-+−]?\d[\d,.\s]*"
    r"(?:\s*[%‰％x×]|\s*(?:pp|bp|bps|k|K|M|B|T|w|万|亿|万亿|千|元|美元|万元|亿元|亿美元|万美元|倍|个|家|人|天|分))?$"
)
_DATE = re.compile(r"^[\d年月日号时分秒周星期一二三四五六日天/.:\-–—~至 ]+$")
_NOTHING = {"", "-", "–", "—", "n/a", "N/A", "/", "…"}


def shares(table: Table) -> tuple[int, ...]:
    """Share the width among columns of figures by their widest cells, in percent; together 100."""
    widest = [max(width_of(plain(cell)) for cell in column) + 2 for column in zip(table.head, *table.rows, strict=True)]
    count = len(widest)
    floor = min(NARROWEST, 100 // count)
    spare = 100 - floor * count
    given = [floor + spare * width // sum(widest) for width in widest]
    return (given[0] + 100 - sum(given), *given[1:])


def alignments(table: Table) -> tuple[str, ...]:
    """Say how each column is aligned: as its author said, else numbers to the right."""
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.head)
    return tuple(
        said or ("right" if number and _is_numbers(column) else "")
        for number, (said, column) in enumerate(zip(table.alignments, columns, strict=True))
    )


def _is_numbers(column: tuple[Inlines, ...]) -> bool:
    said = [text for cell in column if (text := plain(cell).strip()) not in _NOTHING]
    return bool(said) and all(_NUMBER.match(text) for text in said)


def heading_target(cell: Inlines) -> str:
    """Give where a card's heading leads as a whole: the only target of its cell, or nothing."""
    targets = {one.target for one in walk(cell) if isinstance(one, Link)}
    return targets.pop() if len(targets) == 1 else ""


def needs_label(cell: Inlines) -> bool:
    """Tell whether a card's heading says too little without its column's name: a number, a date, a time."""
    return bool(_NUMBER.match(text := plain(cell).strip()) or _DATE.match(text))


def without_links(inlines: Inlines) -> Inlines:
    """Give a line with the texts of its links in their place, for a heading that leads somewhere as a whole."""
    flat: list[Inline] = []
    for one in inlines:
        flat += without_links(one.children) if isinstance(one, Link) else [one]
    return tuple(flat)
