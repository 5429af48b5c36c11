"""Whether text can be read on its background, in light and in dark (WCAG 2.2, §1.4.3: 4.5 to 1, large text 3 to 1)."""

from collections.abc import Iterator

from newsletter.preflight.edition import Edition, Finding, Severity, part
from newsletter.preflight.painted import Paint, painted
from newsletter.rendering.colours import ENOUGH, ENOUGH_WHEN_LARGE, contrast
from newsletter.rendering.mail import Rendering


#: Below this nobody reads it.
UNREADABLE = 2.0
#: Of the text this many characters are quoted.
QUOTED = 20


def check(edition: Edition) -> Iterator[Finding]:
    """Find pairs of colours in which text does not read."""
    for rendering in edition.renderings:
        for severity, message in _findings(rendering):
            yield Finding("contrast", severity, message, part(rendering))


def _findings(rendering: Rendering) -> Iterator[tuple[Severity, str]]:
    for scheme in ("light", "dark") if "prefers-color-scheme" in rendering.html else ("light",):
        pale: dict[tuple[str, str], str] = {}
        for text, paint in painted(rendering.html, dark=scheme == "dark"):
            if contrast(paint.colour, paint.background) < _enough(paint):
                pale.setdefault((paint.colour, paint.background), text)
        for (colour, background), text in pale.items():
            ratio = contrast(colour, background)
            message = (
                f"“{text[:QUOTED]}” in {scheme} is {colour} on {background}, {ratio:.1f} to 1: "
                f"readers need {ENOUGH} to 1, so choose other colours in theme.yaml or issue.css.j2"
            )
            yield Severity.blocker if ratio < UNREADABLE else Severity.warning, message


def _enough(paint: Paint) -> float:
    return ENOUGH_WHEN_LARGE if paint.is_large else ENOUGH
