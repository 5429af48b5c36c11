"""Whether every mail holds the reader's own way out, in both parts, and nobody counts who takes it."""

import re
from collections.abc import Iterator

from newsletter.preflight.edition import Edition, Finding, Severity, part
from newsletter.rendering.mail import Rendering


def check(edition: Edition) -> Iterator[Finding]:
    """Find parts without an unsubscribe link, and links out that SendGrid would rewrite to count clicks."""
    for rendering in edition.renderings:
        for severity, message in _findings(rendering):
            yield Finding("unsubscribe", severity, message, part(rendering))


def _findings(rendering: Rendering) -> Iterator[tuple[Severity, str]]:
    tag = next((one.tag for one in rendering.substitutions if one.field == "unsubscribe_url"), None)
    for name, content in (("HTML", rendering.html), ("text", rendering.text)):
        if tag is None or tag not in content:
            yield Severity.blocker, f"the {name} part has no unsubscribe link: the theme's template must hold it"
    # What stands before `href`: SendGrid heeds it only there.
    anchors = re.findall(rf'<a ([^>]*)href="{re.escape(tag)}"', rendering.html) if tag else []
    if any('clicktracking="off"' not in anchor for anchor in anchors):
        yield (
            Severity.warning,
            'an unsubscribe link lacks clicktracking="off" before href: SendGrid would lead it through its own host',
        )
