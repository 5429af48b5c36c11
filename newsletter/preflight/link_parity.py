"""Whether both parts of a mail lead to the same places: who reads plain text must miss nothing."""

import re
from collections.abc import Iterator

from newsletter.preflight.edition import Edition, Finding, Severity, part


_ADDRESS = re.compile(r"https?://[^\s<>]+")


def check(edition: Edition) -> Iterator[Finding]:
    """Find links of the HTML that the text part does not hold."""
    for rendering in edition.renderings:
        said = set(_ADDRESS.findall(rendering.text))
        for link in rendering.links:
            if link not in said and link.removeprefix("mailto:") not in rendering.text:
                message = f"{link} stands in the HTML and not in the text part: the theme must hold it in both"
                yield Finding("link-parity", Severity.warning, message, part(rendering))
