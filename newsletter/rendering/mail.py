"""One mail for one plan: the third step of the flow, after ``document.parse`` and ``access.cut``. Pure.

Preview, test mail and the real mailing all come from here; the same revision, theme and plan give the same bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from html.parser import HTMLParser
from typing import Any

from newsletter.issues.access import ReaderPlan, cut_blocks
from newsletter.issues.blocks import Paragraph
from newsletter.issues.document import Document, Section, read_text
from newsletter.issues.inline import Strong, plain
from newsletter.rendering.footnotes import Note, notes_of
from newsletter.rendering.frames import MailFrames
from newsletter.rendering.html_blocks import HTML
from newsletter.rendering.html_inlines import InlineHTML
from newsletter.rendering.inlining import BadMJML, slot, to_mail_html
from newsletter.rendering.links import Links
from newsletter.rendering.personalisation import Place, Substitution, Tags
from newsletter.rendering.text_part import TextPart
from newsletter.rendering.themes import Theme
from newsletter.rendering.wording import Wording


#: Longer ones are cut by every mail program anyway; never filler (Google takes hidden text for spam).
PREHEADER_LENGTH = 90
#: Compiling and inlining is most of the work, and preflight, test mails, previews and the freeze ask for the same mail.
RENDERINGS_KEPT = 16


@dataclass(frozen=True)
class Face:
    """A publication as its mails show it.

    Attributes:
        locale: The language of the mail's own words.
        subscribe_url: Where somebody to whom a mail was forwarded can subscribe; else the site.
        upgrade_url: Where a reader gets another plan; without one, teasers have no button.
        logo_url: An image for the masthead, absolute.
        brand_color: The accent, as ``#rrggbb``; else the theme's own.
        standing_footer: Markdown at the end of every issue: a disclaimer, a label for machine-written text.
        plan_names: What readers call each plan, by code.
    """

    name: str
    site_url: str
    postal_address: str
    locale: str
    subscribe_url: str = ""
    upgrade_url: str = ""
    logo_url: str = ""
    brand_color: str = ""
    standing_footer: str = ""
    plan_names: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Rendering:
    """A mail for one plan, with tags where each reader's own values go.

    Attributes:
        links: Every address the mail leads to, in order, once each; without the reader's own.
        substitutions: The tags that stand in it.
    """

    subject: str
    preheader: str
    byline: str
    mjml: str
    html: str
    text: str
    links: tuple[str, ...]
    substitutions: tuple[Substitution, ...]
    plan: str
    locale: str


def render(document: Document, face: Face, plan: ReaderPlan, theme: Theme) -> Rendering:
    """Render a document that was cut for this plan.

    Raises:
        Misconfigured: The theme's templates cannot be filled or compiled; the sentence names file and line.
    """
    sheet = Sheet(document, face, plan, theme)
    mjml, fragments = sheet.mjml()
    try:
        html = _compiled(mjml, fragments)
    except BadMJML as error:
        raise theme.explain("issue.mjml.j2", str(error)) from None
    text = sheet.text()
    subject = sheet.tags.fill(document.subject, Place.subject)
    return Rendering(
        subject=subject,
        preheader=sheet.preheader,
        byline=document.byline,
        mjml=mjml,
        html=html,
        text=text,
        links=tuple(dict.fromkeys(one for one in links_in(html) if document.nonce not in one)),
        substitutions=tuple(one for one in sheet.tags.made if one.tag in html + text + subject),
        plan=plan.code,
        locale=sheet.locale,
    )


@lru_cache(maxsize=RENDERINGS_KEPT)
def _compiled(mjml: str, fragments: tuple[str, ...]) -> str:
    return to_mail_html(mjml, fragments)


@dataclass(frozen=True)
class Sheet:
    """What both parts of one mail are written from, and a page; the step before styles are inlined."""

    document: Document
    face: Face
    plan: ReaderPlan
    theme: Theme

    @cached_property
    def locale(self) -> str:
        """The language of the mail's own words."""
        return self.document.front.locale or self.face.locale

    @cached_property
    def site_url(self) -> str:
        """Where root-relative links point."""
        return (self.document.front.site_url or self.face.site_url).rstrip("/")

    @cached_property
    def wording(self) -> Wording:
        """What the mail itself says."""
        return Wording(self.theme.words_for(self.locale), self.face.plan_names, self.face.upgrade_url)

    @cached_property
    def known(self) -> Mapping[str, str]:
        """The values of the fields that are the same for every reader."""
        front = self.document.front
        return {
            "plan": self.plan.name or self.plan.code,
            "publication": self.face.name,
            "number": "" if front.number is None else str(front.number),
            "date": front.date.isoformat() if front.date else "",
        }

    @cached_property
    def tags(self) -> Tags:
        """The tags where readers' own values go."""
        return Tags(self.document.nonce, str(self.wording.words["nameless"]), self.known)

    @cached_property
    def footer(self) -> Section | None:
        """The publication's standing footer, cut like everything else."""
        said = self.face.standing_footer
        return Section((), cut_blocks(read_text(said), self.plan), 1) if said else None

    @cached_property
    def notes(self) -> Mapping[str, Note]:
        """The footnotes by label."""
        return notes_of((*self.document.blocks, *(self.footer.blocks if self.footer else ())))

    @cached_property
    def preheader(self) -> str:
        """The line beside the subject in the inbox."""
        said = self.document.front.preheader or _preheader(self.document)
        return self.tags.fill(said, Place.subject)

    def mjml(self) -> tuple[str, tuple[str, ...]]:
        """Give the MJML, and the HTML for each of its slots."""
        page = HTML(InlineHTML(Links(self.site_url), self.tags, self.notes), self.wording, MailFrames())
        fragments = [*(page.section(section) for section in self.document.sections), page.notes()]
        footer = page.section(self.footer) if self.footer else ""
        slots = [slot(number) for number, fragment in enumerate([*fragments, footer]) if fragment]
        mjml = self.theme.fill(
            "issue.mjml.j2",
            **self._values(Place.html),
            css=self.theme.css(self.face.brand_color),
            look=self.theme.look(self.face.brand_color),
            slots=slots[:-1] if footer else slots,
            footer=slots[-1] if footer else "",
        )
        return mjml, (*fragments, footer)

    def text(self) -> str:
        """Give the text part."""
        part = TextPart(Links(self.site_url), self.tags, self.notes, self.wording)
        sections = [*(part.section(section) for section in self.document.sections), part.notes()]
        footer = part.section(self.footer) if self.footer else ""
        values = self._values(Place.text) | {"sections": list(filter(None, sections)), "footer": footer}
        return self.theme.fill("issue.txt.j2", **values).strip() + "\n"

    def _values(self, place: Place) -> dict[str, Any]:
        return {
            "title": self.tags.fill(self.document.title, place),
            "subject": self.document.subject,
            "preheader": self.preheader,
            "byline": self.tags.fill(self.document.byline, place),
            "amount": self.wording.amount(self.document.blocks),
            "date": self.document.front.date,
            "number": self.document.front.number,
            "face": self.face,
            "plan": self.plan.name or self.plan.code,
            "locale": self.locale,
            "words": self.wording.words,
            "tags": self.tags,
            "name": self.tags.name(place),
            "address": self.tags.masked_address(place),
            "site_url": self.site_url,
            "subscribe_url": self.face.subscribe_url or self.site_url,
        }


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
