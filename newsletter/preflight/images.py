"""Whether every image is one that mail programs show, and says what it shows to those who do not see it."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from newsletter.issues.inline import Picture
from newsletter.preflight.edition import Edition, Finding, Severity
from newsletter.rendering.html_inlines import TEXT_WIDTH


#: Formats that Gmail (SVG) or Outlook on Windows (WebP, AVIF) do not show, by caniemail.com.
_UNSHOWN = {".svg": "Gmail", ".webp": "Outlook on Windows", ".avif": "Outlook on Windows and Gmail"}


def check(edition: Edition) -> Iterator[Finding]:
    """Find images without words, of a kind or size that does not show, or that do not come over https."""
    for place, one in edition.inlines():
        if isinstance(one, Picture):
            for message in _findings(one):
                yield Finding("images", Severity.warning, message, place)


def _findings(picture: Picture) -> Iterator[str]:
    name = picture.source.rsplit("/", maxsplit=1)[-1][:40]
    parts = urlsplit(picture.source.strip())
    if not picture.alternative.strip():
        yield f"{name} has no words for who does not see it: write ![what it shows](…)"
    if parts.scheme == "http":
        yield f"{name} comes over http, which mail programs warn of: use https"
    if parts.scheme == "data" or not picture.source.strip():
        yield "an image stands in the text itself, which no mail can show: put it on the site and write its address"
    for ending, client in _UNSHOWN.items():
        if parts.path.lower().endswith(ending):
            yield f"{name} does not show in {client}: use PNG or JPEG"
    if picture.width and picture.width > TEXT_WIDTH:
        yield f"{name} is to be {picture.width} px wide, and the text is {TEXT_WIDTH}: it is shown at that width"
