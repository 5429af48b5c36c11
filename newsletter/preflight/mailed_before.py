"""Whether this very revision was mailed before: a second mailing reaches only who was not reached (DESIGN §4.2)."""

from collections.abc import Iterator

from newsletter.preflight.edition import Edition, Finding, Severity


def check(edition: Edition) -> Iterator[Finding]:
    """Find a revision that was mailed already."""
    if at := edition.moment.mailed_at:
        message = f"this revision was mailed on {at:%Y-%m-%d}: mailing it again reaches only who was not reached then"
        yield Finding("mailed-before", Severity.warning, message, "issue")
