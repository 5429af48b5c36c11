"""A document: an issue's Markdown read into values. The first step of the flow, and pure.

The real weekly has neither front matter nor a `#` title: its first line is ``title--byline``, its sections are `##`
with an emoji, its body is tables. So the title is, in this order: the front matter's, a `#` heading that comes first,
or the first line where it stands alone as a paragraph.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from markdown_it.tree import SyntaxTreeNode

from newsletter.errors import BadIssue
from newsletter.issues.blocks import (
    SECTION,
    Block,
    Blocks,
    Callout,
    Heading,
    Item,
    Listing,
    Quote,
    Restricted,
    Sponsor,
    walk_blocks,
)
from newsletter.issues.characters import fit
from newsletter.issues.front_matter import FrontMatter, read_front_matter
from newsletter.issues.inline import Inlines, plain
from newsletter.issues.markdown import syntax_tree
from newsletter.issues.reading import Dropped, Reader


@dataclass(frozen=True)
class Section:
    """Blocks under one heading; the first section of an issue may have none."""

    heading: Inlines
    blocks: Blocks
    line: int


@dataclass(frozen=True)
class Document:
    """An issue as the access rule, the renderer and preflight see it.

    Attributes:
        title: The headline, in one line; it may hold personal fields.
        byline: Who made it, where that is said; else empty.
        front: What the front matter said, for everything that overrides what is found.
        blocks: The text.
        nonce: Made from the source, so that the source cannot contain it.
        dropped: What of the author's raw HTML did not survive.
    """

    title: str
    byline: str
    front: FrontMatter
    blocks: Blocks
    nonce: str
    dropped: tuple[Dropped, ...] = ()

    @property
    def subject(self) -> str:
        """The subject line."""
        return self.front.subject or self.title

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The text, divided at its main headings."""
        sections: list[Section] = []
        heading: Inlines = ()
        line, blocks = 1, list[Block]()
        for block in self.blocks:
            if isinstance(block, Heading) and block.level == SECTION:
                if heading or blocks:
                    sections.append(Section(heading, tuple(blocks), line))
                heading, line, blocks = block.inlines, block.line, []
            else:
                blocks.append(block)
        if heading or blocks:
            sections.append(Section(heading, tuple(blocks), line))
        return tuple(sections)


NONCE_LENGTH = 12
#: A first line longer than this is the issue's first sentence, not its title.
LONGEST_LONE_TITLE = 60
_TITLE_AND_BYLINE = re.compile(r"^(?P<title>.+?)\s*(?:--|——)\s*(?P<byline>.+)$")
_SENTENCE_ENDS = tuple("。．.！!？?；;…：:，,")


def decode(data: bytes) -> str:
    """Read an issue's bytes as text.

    Raises:
        BadIssue: It is empty, binary, or not UTF-8; the sentence says where.
    """
    if b"\0" in data:
        raise BadIssue(
            "the file is binary, not Markdown: it holds a zero byte", data[: data.index(b"\0")].count(b"\n") + 1
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadIssue(
            f"the file is not UTF-8 (byte {error.start + 1}): save it as UTF-8 and try again", line
        ) from None
    if not text.strip():
        raise BadIssue("the file is empty: an issue needs a title and a text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse(source: str) -> Document:
    """Read Markdown into a document. The same source gives the same document.

    Raises:
        BadIssue: The front matter or a container cannot be read, or there is no title.
    """
    try:
        return _parse(source)
    except RecursionError:
        raise BadIssue("the issue is nested too deeply: no mail program shows so many levels") from None


def _parse(source: str) -> Document:
    nodes = list(syntax_tree(fit(source.removeprefix("\ufeff"))))
    front = FrontMatter()
    if nodes and nodes[0].type == "front_matter":
        front = read_front_matter(nodes.pop(0).content)
    elif source.startswith("---\n") and not nodes:
        raise BadIssue("the front matter is not closed: end it with a line of ---", 1)
    reader = Reader()
    title, byline, rest = _title(front, nodes, reader)
    blocks = reader.read(rest)
    nonce = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()[:NONCE_LENGTH]
    return Document(title, front.byline or byline, front, _levelled(blocks), nonce, tuple(reader.dropped))


def read_text(source: str) -> Blocks:
    """Read Markdown that is no issue and has no title, such as a publication's standing footer.

    Raises:
        BadIssue: A container cannot be read.
    """
    nodes = [node for node in syntax_tree(fit(source)) if node.type != "front_matter"]
    return _levelled(Reader().read(nodes))


def _title(
    front: FrontMatter, nodes: Sequence[SyntaxTreeNode], reader: Reader
) -> tuple[str, str, Sequence[SyntaxTreeNode]]:
    """Find title and byline, and give what is left of the text."""
    first = nodes[0] if nodes else None
    if first is not None and first.type == "heading" and first.tag == "h1":
        title, byline = _apart(_one_line(first, reader))
        rest = nodes[1:]
    elif first is not None and (line := _lone_line(first, nodes, reader)):
        title, byline = _apart(line)
        rest = nodes[1:]
    else:
        title, byline, rest = "", "", nodes
    if front.title:
        # A first line that is not this title is text of the issue.
        return (front.title, byline, rest) if title == front.title or byline else (front.title, "", nodes)
    if not title:
        raise BadIssue(
            "the issue has no title: begin with a line `title--byline`, `# title`, or front matter with `title:`",
            1,
        )
    return title, byline, rest


def _lone_line(first: SyntaxTreeNode, nodes: Sequence[SyntaxTreeNode], reader: Reader) -> str:
    """Give the first paragraph where it is a title: one line with a byline, before a section, or short."""
    if first.type != "paragraph" or first.map is None or first.map[1] - first.map[0] != 1:
        return ""
    text = _one_line(first, reader)
    followed_by_section = len(nodes) > 1 and nodes[1].type == "heading"
    short = len(nodes) > 1 and len(text) <= LONGEST_LONE_TITLE and not text.endswith(_SENTENCE_ENDS)
    return text if _TITLE_AND_BYLINE.match(text) or followed_by_section or short else ""


def _apart(line: str) -> tuple[str, str]:
    if match := _TITLE_AND_BYLINE.match(line):
        return match["title"], match["byline"]
    return line, ""


def _one_line(node: SyntaxTreeNode, reader: Reader) -> str:
    return " ".join(plain(reader.inlines(node)).split())


def _levelled(blocks: Blocks) -> Blocks:
    """Give headings their place below the title, whichever level the author began with."""
    levels = [block.level for block in walk_blocks(blocks) if isinstance(block, Heading)]
    return _lowered(blocks, SECTION - min(levels, default=SECTION))


def _lowered(blocks: Iterable[Block], by: int) -> Blocks:
    return tuple(_lowered_block(block, by) for block in blocks)


def _lowered_block(block: Block, by: int) -> Block:
    match block:
        case Heading():
            return replace(block, level=min(6, block.level + by))
        case Quote() | Callout() | Sponsor() | Restricted():
            return replace(block, blocks=_lowered(block.blocks, by))
        case Listing():
            return replace(block, items=tuple(Item(_lowered(item.blocks, by), item.done) for item in block.items))
        case _:
            return block
