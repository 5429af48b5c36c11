"""Whether the publication says what every mail must say (CAN-SPAM asks for a postal address; readers for replies)."""

from collections.abc import Iterator

from newsletter.preflight.edition import Edition, Finding, Severity


def check(edition: Edition) -> Iterator[Finding]:
    """Find what is missing of the publication."""
    needed = {
        "postal address": edition.face.postal_address,
        "Reply-To": edition.reply_to,
        "site address": edition.document.front.site_url or edition.face.site_url,
    }
    for name, value in needed.items():
        if not value:
            message = f"the publication has no {name}: set it with `newsletter publication set`"
            yield Finding("publication", Severity.blocker, message, "publication")
