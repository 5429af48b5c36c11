"""Whether every advertisement says that it is one (China's Measures for Internet Advertising, 2023, article 9)."""

import re
from collections.abc import Iterator

from newsletter.issues.blocks import Sponsor, walk_blocks
from newsletter.preflight.edition import Edition, Finding, Severity, line


_LABEL = re.compile(r"广告|広告|광고|\bads?\b|\badvert(?:isement)?\b|\badvertising\b", re.IGNORECASE)


def check(edition: Edition) -> Iterator[Finding]:
    """Find sponsors' blocks with a label of their own that does not say so."""
    for block in walk_blocks(edition.document.blocks):
        if isinstance(block, Sponsor) and block.label and not _LABEL.search(block.label):
            message = f"the label “{block.label}” does not say that this is an advertisement: write 广告 or AD"
            yield Finding("sponsor-label", Severity.blocker, message, line(block.line))
