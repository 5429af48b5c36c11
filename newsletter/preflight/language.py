"""Whether the mail says its language, for screen readers and fonts, and says the right one."""

from collections.abc import Iterator

from newsletter.issues.cjk import is_wide
from newsletter.issues.inline import plain
from newsletter.preflight.edition import Edition, Finding, Severity, part


_WIDE_LANGUAGES = frozenset({"zh", "ja", "ko"})
#: Of the letters of a Chinese text at least this share is wide, product names and figures taken in.
SHARE = 0.2
#: A text of fewer letters is no proof.
ENOUGH_LETTERS = 40


def check(edition: Edition) -> Iterator[Finding]:
    """Find mails without a language, and a language that the text is not written in."""
    for rendering in edition.renderings:
        if f'lang="{rendering.locale}"' not in rendering.html:
            message = f'the HTML does not say lang="{rendering.locale}": the theme\'s template must'
            yield Finding("language", Severity.blocker, message, part(rendering))
    for locale in dict.fromkeys(rendering.locale for rendering in edition.renderings):
        if _is_of_another(locale, "".join(plain(line) for _, line in edition.lines())):
            message = f"the mail says it is in {locale}, and the text is not: mend `locale:`"
            yield Finding("language", Severity.warning, message, "issue")


def _is_of_another(locale: str, text: str) -> bool:
    letters = [one for one in text if one.isalpha()]
    if len(letters) < ENOUGH_LETTERS:
        return False
    wide = sum(map(is_wide, letters)) / len(letters)
    says_wide = locale.split("-", maxsplit=1)[0].lower() in _WIDE_LANGUAGES
    return wide < SHARE / 4 if says_wide else wide > SHARE
