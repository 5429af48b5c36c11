"""Whether Gmail would clip the mail: it cuts HTML at about 102 kB (observed by many; Google documents no number)."""

from collections.abc import Iterator

from newsletter.preflight.edition import Edition, Finding, Severity, part
from newsletter.rendering.personalisation import SAMPLE, fill, values_by_tag


BLOCKS_FROM = 102_400
WARNS_FROM = 80_000


def check(edition: Edition) -> Iterator[Finding]:
    """Find mails that are, or nearly are, too long, as UTF-8 and with a reader's values filled in."""
    for rendering in edition.renderings:
        size = len(fill(rendering.html, values_by_tag(rendering.substitutions, SAMPLE)).encode())
        if size > WARNS_FROM:
            severity = Severity.blocker if size > BLOCKS_FROM else Severity.warning
            message = f"the HTML has {size:,} bytes; Gmail clips at about {BLOCKS_FROM:,}: shorten the issue"
            yield Finding("size", severity, message, part(rendering))
