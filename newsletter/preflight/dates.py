"""Whether the date that readers see is past: last week's front matter, most of the time."""

from collections.abc import Iterator

from newsletter.preflight.edition import Edition, Finding, Severity


def check(edition: Edition) -> Iterator[Finding]:
    """Find a date in the past."""
    said = edition.document.front.date
    if said and said < edition.moment.today:
        message = f"the issue says {said}, which is past (today is {edition.moment.today}): mend `date:`"
        yield Finding("date", Severity.warning, message, edition.place("date"))
