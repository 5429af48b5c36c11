"""Whether Gmail reads the mail's `<style>`: it drops what is longer than 16 KB (caniemail.com, html-style, note 6)."""

import re
from collections.abc import Iterator

from newsletter.preflight.edition import Edition, Finding, Severity, part


BLOCKS_FROM = 16_384
#: Gmail's own limit until 2017, which other programs may keep.
WARNS_FROM = 8_192
_STYLE = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL | re.IGNORECASE)


def check(edition: Edition) -> Iterator[Finding]:
    """Find mails whose styles are too long together."""
    for rendering in edition.renderings:
        size = sum(len(style.encode()) for style in _STYLE.findall(rendering.html))
        if size > WARNS_FROM:
            severity = Severity.blocker if size > BLOCKS_FROM else Severity.warning
            message = f"<style> has {size:,} bytes, and Gmail drops it from {BLOCKS_FROM:,}: shorten issue.css.j2"
            yield Finding("style-size", severity, message, part(rendering))
