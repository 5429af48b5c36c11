"""Whether headings follow one another level by level, as people who hear a mail find their way by them."""

from collections.abc import Iterator

from newsletter.issues.blocks import SECTION, Heading, walk_blocks
from newsletter.issues.inline import plain
from newsletter.preflight.edition import Edition, Finding, Severity, line


def check(edition: Edition) -> Iterator[Finding]:
    """Find levels that were left out, and headings without words."""
    above = SECTION - 1
    for block in walk_blocks(edition.document.blocks):
        if not isinstance(block, Heading):
            continue
        words = plain(block.inlines).strip()
        if not words:
            yield Finding(
                "headings", Severity.warning, "a heading has no words: write some, or take it out", line(block.line)
            )
        elif block.level > above + 1:
            message = f"“{words}” leaves a level out: give it {block.level - above - 1} # less"
            yield Finding("headings", Severity.warning, message, line(block.line))
        above = block.level
