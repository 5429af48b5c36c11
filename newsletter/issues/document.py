"""A document: an issue's Markdown read into values. The first step of the flow, and pure.

The real weekly has neither front matter nor a `#` title: its first line is ``title--byline``, its sections are `##`
with an emoji, its body is tables. So the title is, in this order: the front matter's, a `#` heading that comes first,
or the first line where it stands alone as a paragraph.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from mdit_py_cjk_friendly import cjk_friendly
from mdit_py_plugins.front_matter import front_matter_plugin

from newsletter.errors import BadIssue
from newsletter.issues.blocks import Block, Blocks, Code, Heading, Image, Listing, Paragraph, Quote, Rule, Table
from newsletter.issues.front_matter import FrontMatter, read_front_matter
from newsletter.issues.inline import Inlines, Picture, plain, read_inlines


@dataclass(frozen=True)
class Section:
    """Blocks under one heading; the first section of an issue may have none."""

    heading: Inlines
    blocks: Blocks
    line: int


@dataclass(frozen=True)
class Document:
    """An issue as the renderer, the access rule and preflight see it.

    Attributes:
        title: The headline.
        byline: Who made it, where that is said; else empty.
        front: What the front matter said, for everything that overrides what is found.
        sections: The text.
        nonce: Made from the source, so that the source cannot contain it.
    """

    title: str
    byline: str
    front: FrontMatter
    sections: tuple[Section, ...]
    nonce: str

    @property
    def subject(self) -> str:
        """The subject line."""
        return self.front.subject or self.title


NONCE_LENGTH = 12
_TITLE_AND_BYLINE = re.compile(r"^(?P<title>.+?)\s*(?:--|——)\s*(?P<byline>.+)$")


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
        BadIssue: The front matter cannot be read, or there is no title.
    """
    nodes = list(SyntaxTreeNode(_markdown().parse(source.removeprefix("\ufeff"))).children)
    front = FrontMatter()
    if nodes and nodes[0].type == "front_matter":
        front = read_front_matter(nodes.pop(0).content)
    elif source.startswith("---\n") and not nodes:
        raise BadIssue("the front matter is not closed: end it with a line of ---", 1)
    title, byline, rest = _title(front, nodes)
    nonce = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()[:NONCE_LENGTH]
    return Document(title, front.byline or byline, front, _sections(rest), nonce)


def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    return markdown.use(front_matter_plugin).use(cjk_friendly)


def _title(front: FrontMatter, nodes: Sequence[SyntaxTreeNode]) -> tuple[str, str, Sequence[SyntaxTreeNode]]:
    """Find title and byline, and give what is left of the text."""
    first = nodes[0] if nodes else None
    if first is not None and first.type == "heading" and first.tag == "h1":
        title, byline = _apart(_plain_text(first))
        rest = nodes[1:]
    elif first is not None and (line := _lone_line(first, nodes)):
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


def _lone_line(first: SyntaxTreeNode, nodes: Sequence[SyntaxTreeNode]) -> str:
    """Give the first paragraph where it is a title: one line, with a byline, or with a section right after it."""
    if first.type != "paragraph":
        return ""
    text = _plain_text(first)
    one_line = first.map is not None and first.map[1] - first.map[0] == 1
    followed_by_section = len(nodes) > 1 and nodes[1].type == "heading"
    return text if one_line and (_TITLE_AND_BYLINE.match(text) or followed_by_section) else ""


def _apart(line: str) -> tuple[str, str]:
    if match := _TITLE_AND_BYLINE.match(line):
        return match["title"], match["byline"]
    return line, ""


def _plain_text(node: SyntaxTreeNode) -> str:
    return " ".join(plain(_inlines(node)).split())


def _sections(nodes: Sequence[SyntaxTreeNode]) -> tuple[Section, ...]:
    """Group blocks under the headings of the highest level in use (`##`, as a rule)."""
    levels = [int(node.tag[1]) for node in nodes if node.type == "heading"]
    top = min(levels, default=0)
    sections: list[Section] = []
    heading: Inlines = ()
    line, blocks = 1, list[Block]()
    for node in nodes:
        if node.type == "heading" and int(node.tag[1]) == top:
            if heading or blocks:
                sections.append(Section(heading, tuple(blocks), line))
            heading, line, blocks = _inlines(node), _line(node), []
        else:
            blocks += _blocks([node])
    if heading or blocks:
        sections.append(Section(heading, tuple(blocks), line))
    return tuple(sections)


def _blocks(nodes: Sequence[SyntaxTreeNode]) -> Blocks:
    return tuple(block for node in nodes if (block := _block(node)) is not None)


def _block(node: SyntaxTreeNode) -> Block | None:
    reader = _READERS.get(node.type)
    return reader(node, _line(node)) if reader else None


def _paragraph(node: SyntaxTreeNode, line: int) -> Paragraph | Image:
    inlines = _inlines(node)
    match inlines:
        case (Picture() as picture,):
            return Image(picture, line)
    return Paragraph(inlines, line)


def _table(node: SyntaxTreeNode, line: int) -> Table:
    rows = [[_inlines(cell) for cell in row.children] for part in node.children for row in part.children]
    head, *body = rows
    width = len(head)
    cells = node.children[0].children[0].children
    # markdown-it cuts long rows and leaves short ones short.
    padded = tuple(tuple(row[:width]) + ((),) * (width - len(row)) for row in body)
    return Table(tuple(head), padded, tuple(_alignment(cell) for cell in cells), line)


def _listing(node: SyntaxTreeNode, line: int) -> Listing:
    items = tuple(_blocks(item.children) for item in node.children)
    return Listing(node.type == "ordered_list", int(node.attrs.get("start", 1)), items, line)


def _code(node: SyntaxTreeNode, line: int) -> Code:
    return Code(node.content.rstrip("\n"), (node.info or "").split(" ")[0], line)


def _alignment(cell: SyntaxTreeNode) -> str:
    style = str(cell.attrs.get("style", ""))
    return style.removeprefix("text-align:") if style.startswith("text-align:") else ""


def _inlines(node: SyntaxTreeNode) -> Inlines:
    """Read the text of a block that has one."""
    return read_inlines(node.children[0].children) if node.children else ()


def _line(node: SyntaxTreeNode) -> int:
    return node.map[0] + 1 if node.map else 1


_READERS: Mapping[str, Callable[[SyntaxTreeNode, int], Block]] = {
    "paragraph": _paragraph,
    "heading": lambda node, line: Heading(int(node.tag[1]), _inlines(node), line),
    "bullet_list": _listing,
    "ordered_list": _listing,
    "table": _table,
    "blockquote": lambda node, line: Quote(_blocks(node.children), line),
    "fence": _code,
    "code_block": _code,
    "hr": lambda _, line: Rule(line),
}
