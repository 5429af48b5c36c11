"""Whether a table is one that a mail can hold."""

from collections.abc import Iterator

from newsletter.issues.blocks import Table, walk_blocks
from newsletter.preflight.edition import Edition, Finding, Severity, line


#: What is tried on real screens; beyond it nobody reads a table in a mail.
MOST_COLUMNS = 12
MOST_ROWS = 200


def check(edition: Edition) -> Iterator[Finding]:
    """Find tables beyond the bounds."""
    for block in walk_blocks(edition.document.blocks):
        if isinstance(block, Table) and (len(block.head) > MOST_COLUMNS or len(block.rows) > MOST_ROWS):
            message = (
                f"the table has {len(block.head)} columns and {len(block.rows)} rows; mails hold {MOST_COLUMNS} and "
                f"{MOST_ROWS}: cut it, or link to the whole"
            )
            yield Finding("tables", Severity.warning, message, line(block.line))
