"""Whether anything of the author's raw HTML was dropped because no mail can hold it."""

from collections.abc import Iterator

from newsletter.preflight.edition import Edition, Finding, Severity, line


def check(edition: Edition) -> Iterator[Finding]:
    """Find what was dropped."""
    for dropped in edition.document.dropped:
        message = f"{dropped.what} was dropped: mails cannot hold it; write it as Markdown, or leave it out"
        yield Finding("dropped-html", Severity.warning, message, line(dropped.line))
