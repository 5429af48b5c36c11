"""One mail for one plan: the third step of the flow, after ``document.parse`` and ``access.cut``. Pure.

Preview, test mail and the real mailing all come from here; the same revision, theme and plan give the same bytes.
"""

from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from newsletter.issues.access import ReaderPlan
from newsletter.issues.blocks import Paragraph
from newsletter.issues.document import Document
from newsletter.issues.inline import Strong, plain
from newsletter.rendering.html_blocks import HTML
from newsletter.rendering.inlining import slot, to_mail_html
from newsletter.rendering.links import Links
from newsletter.rendering.personalisation import Place, Tags
from newsletter.rendering.text_part import TextPart
from newsletter.rendering.themes import Theme


#: Longer ones are cut by every mail program anyway; never filler (Google takes hidden text for spam).
PREHEADER_LENGTH = 90


@dataclass(frozen=True)
class Face:
    """A publication as its mails show it; ``locale`` is the language of the mail's own words."""

    name: str
    site_url: str
    postal_address: str
    locale: str


@dataclass(frozen=True)
class Rendering:
    """A mail for one plan, with tags where each reader's own values go.

    Attributes:
        links: Every address the mail leads to, in order, once each; without the reader's own.
    """

    subject: str
    preheader: str
    byline: str
    mjml: str
    html: str
    text: str
    links: tuple[str, ...]
    tags: Tags
    plan: str


def render(document: Document, face: Face, plan: ReaderPlan, theme: Theme) -> Rendering:
    """Render a document that was cut for this plan.

    Raises:
        NewsletterError: The theme's templates cannot be compiled.
    """
    locale = document.front.locale or face.locale
    words = theme.words_for(locale)
    tags = Tags(document.nonce, words["nameless"])
    links = Links((document.front.site_url or face.site_url).rstrip("/"))
    values = _values(document, face, plan, locale) | {"words": words, "tags": tags, "Place": Place}
    mjml = theme.environment.get_template("issue.mjml.j2").render(
        **values,
        css=theme.css,
        slots=[slot(number) for number, _ in enumerate(document.sections)],
    )
    writer = HTML(links)
    html = to_mail_html(mjml, [writer.section(section) for section in document.sections])
    text = _text(document, links, theme, values)
    found = tuple(dict.fromkeys(one for one in links_in(html) if document.nonce not in one))
    return Rendering(document.subject, values["preheader"], document.byline, mjml, html, text, found, tags, plan.code)


def _values(document: Document, face: Face, plan: ReaderPlan, locale: str) -> dict[str, Any]:
    return {
        "title": document.title,
        "subject": document.subject,
        "preheader": document.front.preheader or _preheader(document),
        "byline": document.byline,
        "date": document.front.date,
        "number": document.front.number,
        "face": face,
        "plan": plan.name or plan.code,
        "locale": locale,
    }


def _text(document: Document, links: Links, theme: Theme, values: dict[str, Any]) -> str:
    part = TextPart(links)
    sections = [part.section(section) for section in document.sections]
    # Text needs no escaping: what the template writes stands as it is.
    template = theme.environment.overlay(autoescape=False).get_template("issue.txt.j2")
    return template.render(**values, sections=sections).strip() + "\n"


def _preheader(document: Document) -> str:
    """Choose the line beside the subject in the inbox: the issue's own line of keywords, else its first paragraph."""
    paragraphs = [block for section in document.sections for block in section.blocks if isinstance(block, Paragraph)]
    labelled = [
        one for one in paragraphs if one.inlines and isinstance(one.inlines[0], Strong) and len(one.inlines) > 1
    ]
    for paragraph in [*labelled, *paragraphs]:
        if text := " ".join(plain(paragraph.inlines).split()):
            return text if len(text) <= PREHEADER_LENGTH else text[: PREHEADER_LENGTH - 1] + "…"
    return document.title


def links_in(html: str) -> list[str]:
    """List the targets of all links of an HTML mail, in order."""
    collector = _LinkCollector()
    collector.feed(html)
    return collector.targets


class _LinkCollector(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.targets += [value for name, value in attrs if name == "href" and value]
