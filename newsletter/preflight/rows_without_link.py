"""Whether a row of a table lacks the link that the others have: forgotten, most of the time."""

from collections.abc import Iterator

from newsletter.issues.blocks import Table, walk_blocks
from newsletter.issues.inline import Inlines, Link, plain, walk
from newsletter.preflight.edition import Edition, Finding, Severity, line


#: Of this many rows one may lack a link by mistake; where more do, it is meant.
ROWS_FOR_ONE_MISTAKE = 3


def check(edition: Edition) -> Iterator[Finding]:
    """Find the rows without a link in tables where nearly all rows have one."""
    for block in walk_blocks(edition.document.blocks):
        if isinstance(block, Table):
            without = [number for number, row in enumerate(block.rows) if not _has_link(row)]
            if len(without) <= len(block.rows) // ROWS_FOR_ONE_MISTAKE:
                for number in without:
                    name = plain(block.rows[number][0])
                    message = f"“{name}” has no link, and the other rows have one: link it if there is something to"
                    yield Finding("rows-without-link", Severity.warning, message, line(block.line + 2 + number))


def _has_link(row: tuple[Inlines, ...]) -> bool:
    return any(isinstance(one, Link) for cell in row for one in walk(cell))
