"""One issue as an article for the web: archive and feeds. Pure; the same first two steps as the mail, another third.

What a plan's readers may read of it, and what ``anonymous`` may, comes from ``access.cut`` like everywhere. Nobody's
own values stand in it: it is the same for everybody of a plan.
"""

import html
import re
from dataclasses import dataclass
from functools import cached_property

from newsletter.issues.access import ANONYMOUS, ReaderPlan
from newsletter.issues.document import Document
from newsletter.rendering.frames import WebFrames
from newsletter.rendering.html_blocks import HTML
from newsletter.rendering.html_inlines import InlineHTML
from newsletter.rendering.links import Links
from newsletter.rendering.mail import Face, Sheet
from newsletter.rendering.personalisation import Place, PublicTags, Tags
from newsletter.rendering.themes import Theme
from newsletter.rendering.wording import Wording


@dataclass(frozen=True)
class Article:
    """An issue as its page shows it. Everything but ``body`` and ``footer``, which are HTML, is plain text.

    Attributes:
        number: What the language calls this number of the publication, where the issue has one.
        amount: How much there is to read of what is shown.
        summary: The line for lists and feeds, as the inbox has it.
        footer: The publication's standing footer.
        text: What the body says, without its marks: what a search looks through.
    """

    title: str
    byline: str
    number: str
    amount: str
    summary: str
    locale: str
    body: str
    footer: str
    text: str


def article(document: Document, face: Face, plan: ReaderPlan, theme: Theme, *, sign_in_url: str = "") -> Article:
    """Write a document that was cut for this plan as an article.

    Args:
        document: The issue.
        face: The publication as readers see it.
        plan: Whose readers it is for; ``anonymous`` for everybody.
        theme: For its words.
        sign_in_url: Where a teaser leads who has the plan already.
    """
    sheet = _Sheet(document, face, plan, theme, sign_in_url)
    page = HTML(InlineHTML(Links(sheet.site_url), sheet.tags, sheet.notes), sheet.wording, WebFrames())
    parts = [*(page.section(section) for section in document.sections), page.notes()]
    body = "".join(f"<section>{part}</section>" for part in parts if part)
    front = document.front
    return Article(
        title=sheet.tags.fill(document.title, Place.text),
        byline=sheet.tags.fill(document.byline, Place.text),
        number="" if front.number is None else str(sheet.wording.words["number"]).format(number=front.number),
        amount=sheet.wording.amount(document.blocks),
        summary=sheet.preheader,
        locale=sheet.locale,
        body=body,
        footer=page.section(sheet.footer) if sheet.footer else "",
        text=_said(body),
    )


@dataclass(frozen=True)
class _Sheet(Sheet):
    """What an article is written from."""

    sign_in_url: str = ""

    @cached_property
    def wording(self) -> Wording:
        words = self.theme.words_for(self.locale)
        return Wording(words, self.face.plan_names, self.face.upgrade_url, self.sign_in_url)

    @cached_property
    def tags(self) -> Tags:
        # Whoever has no plan reads what the author says instead.
        known = {**self.known, **({"plan": ""} if self.plan == ANONYMOUS else {})}
        return PublicTags(self.document.nonce, str(self.wording.words["nameless"]), known)


#: Where the HTML of our own blocks begins another line.
_LINE_ENDS = re.compile(r"</(?:p|h[1-6]|li|td|th|tr|pre)>|<[bh]r\b[^>]*>")
_TAG = re.compile(r"<[^>]*>")


def _said(body: str) -> str:
    lines = _TAG.sub("", _LINE_ENDS.sub("\n", body)).splitlines()
    return "\n".join(" ".join(html.unescape(line).split()) for line in lines if line.strip())
