"""Whether the line beside the subject says something of its own."""

from collections.abc import Iterator

from newsletter.preflight.edition import Edition, Finding, Severity
from newsletter.rendering.mail import PREHEADER_LENGTH


def check(edition: Edition) -> Iterator[Finding]:
    """Find a preheader that is missing, repeats the subject, or is cut."""
    said = edition.document.front.preheader
    if said is None:
        for chosen in dict.fromkeys(rendering.preheader for rendering in edition.renderings):
            message = f"none is written, so inboxes show “{chosen}”; `preheader:` on top says it better"
            yield Finding("preheader", Severity.note, message, "front matter")
    elif said == edition.document.subject:
        yield Finding(
            "preheader", Severity.warning, "it repeats the subject: say what else there is", edition.place("preheader")
        )
    elif len(said) > PREHEADER_LENGTH:
        message = f"it has {len(said)} characters, and inboxes show {PREHEADER_LENGTH} at most: shorten it"
        yield Finding("preheader", Severity.warning, message, edition.place("preheader"))
