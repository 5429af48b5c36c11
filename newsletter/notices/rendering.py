"""A notice as a mail: subject, HTML and text, in the reader's language and the publication's colours. Pure.

The sending and ``newsletter notices render`` come here with a :class:`Letter`; equal letters give equal bytes, so that
a second try sends what the first would have.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from newsletter.outbox import NoticeKind
from newsletter.rendering.inlining import BadMJML, to_mail_html
from newsletter.rendering.mail import Face
from newsletter.rendering.themes import Theme


#: Facts that are shown by themselves, with a label; the other ones stand in sentences.
_LABELLED: Mapping[NoticeKind, tuple[str, ...]] = {
    NoticeKind.confirm: ("plan", "frequency"),
    NoticeKind.welcome: ("plan", "frequency"),
}


@dataclass(frozen=True)
class Letter:
    """What one notice's mail is made from.

    Attributes:
        locale: The language of its words.
        link: Where its button leads; without one it has no button.
        preferences_url: Shown at its end, like ``unsubscribe_url``, where it is not empty.
        masked_address: To whom it goes, as its end shows it.
        facts: What is filled into its words, by name.
    """

    kind: NoticeKind
    face: Face
    locale: str
    link: str
    preferences_url: str
    unsubscribe_url: str
    masked_address: str
    facts: Mapping[str, str]


@dataclass(frozen=True)
class NoticeMail:
    """A rendered notice."""

    subject: str
    mjml: str
    html: str
    text: str


def render_notice(letter: Letter, theme: Theme) -> NoticeMail:
    """Render a notice.

    Raises:
        Misconfigured: The theme's templates cannot be filled or compiled; the sentence names file and line.
    """
    values = _values(letter, theme)
    look = theme.look(letter.face.brand_color)
    mjml = theme.fill("notice.mjml.j2", **values, css=theme.css(letter.face.brand_color), look=look)
    try:
        html = to_mail_html(mjml, ())
    except BadMJML as error:
        raise theme.explain("notice.mjml.j2", str(error)) from None
    text = theme.fill("notice.txt.j2", **values).strip() + "\n"
    return NoticeMail(values["subject"], mjml, html, text)


def _values(letter: Letter, theme: Theme) -> dict[str, Any]:
    words = theme.words_for(letter.locale)
    # A line end in a name or title would end a header.
    facts = {name: " ".join(value.split()) for name, value in letter.facts.items()}
    facts |= {"publication": letter.face.name, "address": letter.masked_address}
    own = {name: _filled(said, facts) for name, said in words[letter.kind].items()}
    return own | {
        "shown": [(words[name], facts[name]) for name in _LABELLED.get(letter.kind, ()) if facts[name]],
        "sent_to": _filled(words["sent_to"], facts),
        "link": letter.link,
        "preferences_url": letter.preferences_url,
        "unsubscribe_url": letter.unsubscribe_url,
        "face": letter.face,
        "words": words,
        "locale": letter.locale if theme.speaks(letter.locale) else "en",
    }


def _filled(said: Any, facts: Mapping[str, str]) -> Any:
    """Fill a word, or each of a list of them."""
    return [one.format(**facts) for one in said] if isinstance(said, list) else str(said).format(**facts)
