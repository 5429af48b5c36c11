"""Whether the publication says what every mail must say (CAN-SPAM asks for a postal address; readers for replies)."""

from collections.abc import Iterator
from html import escape

from newsletter.issues.access import demanded_plans
from newsletter.preflight.edition import Edition, Finding, Severity, part


def check(edition: Edition) -> Iterator[Finding]:
    """Find what is missing of the publication, or of what a mail must show of it."""
    needed = {
        "postal address": edition.face.postal_address,
        "Reply-To": edition.reply_to,
        "site address": edition.document.front.site_url or edition.face.site_url,
    }
    for name, value in needed.items():
        if not value:
            message = f"the publication has no {name}: set it with `newsletter publication set`"
            yield Finding("publication", Severity.blocker, message, "publication")
    yield from _address_not_shown(edition)
    if demanded_plans(edition.document) and not edition.face.upgrade_url:
        message = "teasers lead nowhere: set `newsletter publication set --upgrade-url`"
        yield Finding("publication", Severity.warning, message, "publication")


def _address_not_shown(edition: Edition) -> Iterator[Finding]:
    address = edition.face.postal_address
    for rendering in edition.renderings:
        for name, shown in (("HTML", escape(address) in rendering.html), ("text", address in rendering.text)):
            if not shown:
                message = f"the {name} part does not show the postal address: the theme's template must hold it"
                yield Finding("publication", Severity.blocker, message, part(rendering))
