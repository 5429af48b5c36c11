"""Whether every mail holds the reader's own way out, in both parts."""

from collections.abc import Iterator

from newsletter.preflight.edition import Edition, Finding, Severity


def check(edition: Edition) -> Iterator[Finding]:
    """Find parts without an unsubscribe link."""
    for rendering in edition.renderings:
        for part, content in (("HTML", rendering.html), ("text", rendering.text)):
            if rendering.tags.unsubscribe_url not in content:
                message = f"the {part} part has no unsubscribe link: the theme's template must hold it"
                yield Finding("unsubscribe", Severity.blocker, message, f"plan {rendering.plan}")
