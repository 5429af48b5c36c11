"""Excerpts: one section of an issue under a note, as a document of its own. Pure; for mails that correct an issue.

Between ``document.parse`` and ``access.cut``, so that the one rule of access holds for it like for the whole.
"""

from dataclasses import dataclass, replace

from newsletter.errors import NotFound
from newsletter.issues.blocks import SECTION, Block, Heading, Paragraph, Teaser
from newsletter.issues.document import Document, Section
from newsletter.issues.inline import Link, Text, plain


@dataclass(frozen=True)
class Wrapper:
    """What stands around the section.

    Attributes:
        title: Headline and subject; ``{title}`` is the issue's own.
        note: What was wrong and is right now, in plain text.
        url: Where the whole issue is; empty where it has no page.
        link: What the link to it says.
    """

    title: str
    note: str
    url: str
    link: str


def excerpt(document: Document, wrapper: Wrapper, heading: str = "") -> Document:
    """Give a note, one section of an issue where a heading names it, and a link to the whole.

    Raises:
        NotFound: The issue has no section of this heading.
    """
    blocks: list[Block] = [Paragraph((Text(wrapper.note),), 1)]
    if heading:
        section = section_of(document, heading)
        blocks += [Heading(SECTION, section.heading, section.line), *section.blocks]
    if wrapper.url:
        blocks.append(Paragraph((Link(wrapper.url, (Text(wrapper.link),)),), 1))
    # What the author wrote for the inbox was written for the whole.
    front = replace(document.front, subject=None, preheader=wrapper.note, number=None)
    title = wrapper.title.format(title=document.title)
    return replace(document, title=title, front=front, blocks=tuple(blocks), dropped=())


def section_of(document: Document, heading: str) -> Section:
    """Find a section by its heading; the case of letters, and spaces, do not count.

    Raises:
        NotFound: There is none; the sentence names those that there are.
    """
    wanted = _key(heading)
    found = next((one for one in document.sections if one.heading and _key(plain(one.heading)) == wanted), None)
    if found is None:
        names = "; ".join(plain(one.heading).strip() for one in document.sections if one.heading)
        raise NotFound(f"the issue has no section {heading!r}; there is: {names or 'none with a heading'}")
    return found


def holds_section(document: Document, heading: str) -> bool:
    """Tell whether a document that was cut for a plan holds a section, and not only what teases for it."""
    wanted = _key(heading)
    return any(
        _key(plain(one.heading)) == wanted and any(not isinstance(block, Teaser) for block in one.blocks)
        for one in document.sections
        if one.heading
    )


def _key(heading: str) -> str:
    return "".join(heading.split()).casefold()
