"""Whether both parts go out as UTF-8: SendGrid takes Latin-1 for content that fits it, and Gmail clips such mails."""

from collections.abc import Iterator

from newsletter.preflight.edition import Edition, Finding, Severity, part


LAST_OF_LATIN_1 = "\xff"


def check(edition: Edition) -> Iterator[Finding]:
    """Find parts that fit Latin-1 and not ASCII (sendgrid-python#1011), and control characters that clip a mail."""
    for rendering in edition.renderings:
        for name, content in (("HTML", rendering.html), ("text", rendering.text)):
            if not content.isascii() and max(content) <= LAST_OF_LATIN_1:
                message = (
                    f"the {name} part fits Latin-1, so SendGrid sends it as such and Gmail clips it: keep a U+200C"
                )
                yield Finding("charset", Severity.blocker, message, part(rendering))
            if found := next((one for one in content if "\x80" <= one <= "\x9f"), None):
                message = f"the text holds the control character U+{ord(found):04X}, which clips mails: take it out"
                yield Finding("charset", Severity.blocker, message, part(rendering))
