"""Whether Markdown is left in what readers see: marks that did not become anything."""

import re
from collections.abc import Iterator

from newsletter.issues.inline import Text
from newsletter.preflight.edition import Edition, Finding, Severity, around


_MARKS = {
    "**": re.compile(r"\*\*(?=\S)|(?<=\S)\*\*"),
    "](": re.compile(r"\]\("),
    ":::": re.compile(r"[:：]{3,}[ \t]*(?:plan|sponsor|tip|note|info|warning|danger|details|important|caution)\b"),
    "~~": re.compile(r"~~(?=\S)"),
    "```": re.compile(r"```"),
    "[^": re.compile(r"\[\^[^\]\s]+\]"),
    "{.": re.compile(r"\{\.[A-Za-z]"),
}


def check(edition: Edition) -> Iterator[Finding]:
    """Find marks in the text; code is left alone."""
    texts = ((place, one.text) for place, one in edition.inlines() if isinstance(one, Text))
    for place, text in (*texts, *edition.head_lines()):
        for mark, pattern in _MARKS.items():
            if match := pattern.search(text):
                quoted = around(text, match.start(), match.end())
                severity = Severity.blocker if mark == ":::" else Severity.warning
                message = f"{mark} is left in {quoted}: close or complete the mark, or escape it with a backslash"
                yield Finding("leftover-markdown", severity, message, place)
