"""Whether both parts of a mail say the same and lead to the same places: who reads plain text must miss nothing."""

import re
from collections.abc import Iterator

from newsletter.preflight.edition import Edition, Finding, Severity, part
from newsletter.rendering.mail import Rendering


#: Labels and notes are written otherwise in text, but not left out.
LEAST = 0.6
_ADDRESS = re.compile(r"https?://[^\s<>]+")


def check(edition: Edition) -> Iterator[Finding]:
    """Find links of the HTML that the text part does not hold, and text parts that leave out much of the text."""
    for rendering in edition.renderings:
        if _letters(rendering.text) < LEAST * _letters(re.sub(r"<style.*?</style>|<[^>]+>", "", _body(rendering))):
            message = "the text part says far less than the HTML: the theme's issue.txt.j2 must hold `sections`"
            yield Finding("link-parity", Severity.warning, message, part(rendering))
        said = set(_ADDRESS.findall(rendering.text))
        for link in rendering.links:
            if link not in said and link.removeprefix("mailto:") not in rendering.text:
                message = f"{link} stands in the HTML and not in the text part: the theme must hold it in both"
                yield Finding("link-parity", Severity.warning, message, part(rendering))


def _body(rendering: Rendering) -> str:
    return re.sub(r"<!--.*?-->|<head>.*?</head>", "", rendering.html, flags=re.DOTALL)


def _letters(text: str) -> int:
    return sum(one.isalpha() for one in text)
