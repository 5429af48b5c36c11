"""Whether Markdown is left in what readers see: marks that did not become anything."""

import re
from collections.abc import Iterator

from newsletter.preflight.edition import Edition, Finding, Severity


_MARKS = {"**": re.compile(r"\*\*\S"), "](": re.compile(r"\]\("), ":::": re.compile(r"^:::", re.MULTILINE)}


def check(edition: Edition) -> Iterator[Finding]:
    """Find marks in the text part, which shows what the HTML shows."""
    for rendering in edition.renderings:
        for mark, pattern in _MARKS.items():
            if match := pattern.search(rendering.text):
                around = " ".join(rendering.text[max(0, match.start() - 15) : match.end() + 15].split())
                message = f"{mark} is left in “…{around}…”: close the mark, or escape it with a backslash"
                yield Finding("leftover-markdown", Severity.warning, message, f"plan {rendering.plan}")
