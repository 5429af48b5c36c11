"""Whether every link can be followed from a mail, and both parts hold the same ones."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from newsletter.preflight.edition import Edition, Finding, Severity


def check(edition: Edition) -> Iterator[Finding]:
    """Find links that are not absolute, and links of the HTML that the text part does not hold."""
    for rendering in edition.renderings:
        where = f"plan {rendering.plan}"
        for link in rendering.links:
            if urlsplit(link).scheme not in {"http", "https", "mailto"}:
                yield Finding("links", Severity.blocker, f"{link!r} is not absolute: give the site's address", where)
            if link not in rendering.text:
                yield Finding("links", Severity.warning, f"{link} stands in the HTML and not in the text part", where)
