"""Reading: markdown-it's tree becomes our blocks and inline nodes. The second half of ``document.parse``; pure."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from markdown_it.tree import SyntaxTreeNode

from newsletter.errors import BadIssue
from newsletter.issues import raw_html
from newsletter.issues.blocks import (
    Block,
    Blocks,
    Callout,
    Code,
    Enclosing,
    Heading,
    Item,
    Listing,
    Paragraph,
    Quote,
    Rule,
    Table,
)
from newsletter.issues.containers import CALLOUTS, Opening, read_opening
from newsletter.issues.fields import split
from newsletter.issues.inline import (
    Break,
    CodeSpan,
    Emphasis,
    Footnote,
    Inline,
    Inlines,
    Link,
    Picture,
    Strong,
    Struck,
    Text,
    plain,
)
from newsletter.issues.lines import joined
from newsletter.issues.raw_nodes import RawNodes, hold, paragraph, pixels


@dataclass(frozen=True)
class Dropped:
    """Something of the author's HTML that no mail can hold."""

    what: str
    line: int


_WRAPPING: Mapping[str, Callable[[Inlines], Inline]] = {"em": Emphasis, "strong": Strong, "s": Struck}
_ALERT = re.compile(r"\[!(?P<kind>[A-Za-z]+)\][ \t]*$")
#: A container's fence, also behind the marks of quotes and lists.
_FENCE = re.compile(r"^[ \t>*+-]*(?:\d+[.)][ \t]+)?[:：]{3,}[ \t]*(?P<words>\S?)", re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
#: The lines that open and close a block of code.
LINES_OF_FENCES = 2
_TASK = re.compile(r"\[(?P<mark>[ xX])\]\s+")


@dataclass
class Reader:
    """Reads the nodes of one source; remembers what of the author's HTML was dropped."""

    dropped: list[Dropped] = field(default_factory=list)
    _notes: dict[int, Blocks] = field(default_factory=dict)
    _unread_notes: dict[int, Sequence[SyntaxTreeNode]] = field(default_factory=dict)
    _walls: list[tuple[range, Opening]] = field(default_factory=list)
    _line: int = 1

    def read(self, nodes: Iterable[SyntaxTreeNode]) -> Blocks:
        """Read a whole tree.

        Raises:
            BadIssue: A container is of no kind we know, or its fence became text.
        """
        text = []
        for node in nodes:
            if node.type == "footnote_block":
                self._unread_notes = {int(note.meta["id"]): note.children for note in node.children}
            else:
                text.append(node)
        self._remember_walls(text)
        return self.blocks(text)

    def blocks(self, nodes: Iterable[SyntaxTreeNode]) -> Blocks:
        """Read blocks."""
        return tuple(block for node in nodes for block in self._blocks_of(node))

    def inlines(self, node: SyntaxTreeNode) -> Inlines:
        """Read the text of a block that has one."""
        return self._inlines(node.children[0].children) if node.children else ()

    def _blocks_of(self, node: SyntaxTreeNode) -> Blocks:
        line = self._line = node.map[0] + 1 if node.map else self._line
        match node.type:
            case "paragraph":
                return self._paragraph(node, line)
            case "blockquote":
                return (_quote(self.blocks(node.children), line),)
            case "container":
                return (self._enclosed(node, line),)
            case "html_block":
                return self._raw(node.content, line)
        reader = _READERS.get(node.type)
        return (reader(self, node, line),) if reader else ()

    def _enclosed(self, node: SyntaxTreeNode, line: int) -> Enclosing:
        opening = read_opening(node.info, line)
        words, *rest = node.children
        return opening.enclose(self.inlines(words), self.blocks(rest))

    def _paragraph(self, node: SyntaxTreeNode, line: int) -> Blocks:
        inlines = self.inlines(node)
        _refuse_fence(node.children[0].content if node.children else "", line)
        return (paragraph(inlines, line),) if inlines else ()

    def _raw(self, html: str, line: int) -> Blocks:
        self._drop(html)
        # A container may be commented out as a whole; half of one would let the rest of it out.
        for comment in _COMMENT.findall(html):
            if sum(1 if fence["words"] else -1 for fence in _FENCE.finditer(comment)):
                _refuse_fence(comment, line)
        _refuse_fence(_COMMENT.sub("", html), line)
        return RawNodes(line).blocks(raw_html.tree(html, line))

    def _inlines(self, nodes: Sequence[SyntaxTreeNode], *, in_link: bool = False) -> Inlines:
        if not any(node.type == "html_inline" for node in nodes):
            return joined((self._inline(node) for node in nodes), in_link=in_link)
        tags = [node for node in nodes if node.type == "html_inline"]
        self._drop("".join(tag.content for tag in tags))
        held = [Text("") if node in tags else self._inline(node) for node in nodes]
        html = "".join(node.content if node in tags else hold(number) for number, node in enumerate(nodes))
        return joined(RawNodes(self._line, held).inlines(raw_html.tree(html, self._line)), in_link=in_link)

    def _inline(self, node: SyntaxTreeNode) -> Inline:
        if wrapping := _WRAPPING.get(node.type):
            return wrapping(self._inlines(node.children))
        match node.type:
            case "link":
                button = "button" in str(node.attrs.get("class", "")).split()
                inner = self._inlines(node.children, in_link=True)
                return Link(str(node.attrs.get("href", "")), inner, button=button)
            case "image":
                width = pixels(str(node.attrs.get("width", "")))
                return Picture(str(node.attrs.get("src", "")), plain(self._inlines(node.children)), width)
            case "code_inline":
                return CodeSpan(node.content)
            case "field":
                (one,) = split(node.content)
                return one
            case "footnote_ref":
                return self._footnote(int(node.meta["id"]), node.meta.get("label"))
            case "softbreak" | "hardbreak":
                return Break(hard=node.type == "hardbreak")
        return Text(node.content)

    def _footnote(self, number: int, label: str | None) -> Footnote:
        # Taken out first: a note may hold its own mark.
        if content := self._unread_notes.pop(number, None):
            self._notes[number] = ()
            here = self._line
            self._notes[number] = self._walled(content)
            self._line = here
        return Footnote(label or f"^{number}", self._notes.get(number, ()))

    def _remember_walls(self, nodes: Iterable[SyntaxTreeNode]) -> None:
        """Note which lines a plan's container holds: a footnote written there stays there, wherever its mark is."""
        for node in nodes:
            if node.type == "container" and node.map:
                opening = read_opening(node.info, node.map[0] + 1)
                if opening.kind == "plan":
                    self._walls.append((range(*node.map), opening))
            self._remember_walls(node.children)

    def _walled(self, content: Sequence[SyntaxTreeNode]) -> Blocks:
        blocks = self.blocks(content)
        first = next((node.map[0] for node in content if node.map), None)
        for lines, opening in reversed(self._walls):
            if first is not None and first in lines:
                blocks = (opening.enclose((), blocks),)
        return blocks

    def _drop(self, html: str) -> None:
        self.dropped += [Dropped(what, self._line) for what in raw_html.dropped(html)]

    def heading(self, node: SyntaxTreeNode, line: int) -> Heading:
        """Read a heading, with the author's own level."""
        _refuse_fence(node.children[0].content if node.children else "", line)
        return Heading(int(node.tag[1]), self.inlines(node), line)

    def listing(self, node: SyntaxTreeNode, line: int) -> Listing:
        """Read a list."""
        items = tuple(_item(self.blocks(item.children)) for item in node.children)
        return Listing(node.type == "ordered_list", int(node.attrs.get("start", 1)), items, line)

    def table(self, node: SyntaxTreeNode, line: int) -> Table:
        """Read a table."""
        rows = [[self.inlines(cell) for cell in row.children] for part in node.children for row in part.children]
        head, *body = rows
        width = len(head)
        cells = node.children[0].children[0].children
        # markdown-it cuts long rows and leaves short ones short.
        padded = tuple(tuple(row[:width]) + ((),) * (width - len(row)) for row in body)
        return Table(tuple(head), padded, tuple(_alignment(cell) for cell in cells), line)


def _indented_code(_: Reader, node: SyntaxTreeNode, line: int) -> Code:
    _refuse_fence(node.content, line)
    return _code(node, line)


def _fenced_code(_: Reader, node: SyntaxTreeNode, line: int) -> Code:
    begin, end = node.map or (0, 0)
    if end - begin < len(node.content.splitlines()) + LINES_OF_FENCES:
        # A block of code that was never closed takes everything for code, paid parts too.
        _refuse_fence(node.content, line)
    return _code(node, line)


def _refuse_fence(text: str, line: int) -> None:
    """Refuse a container's fence that became text: what it was to hold back would be public."""
    if _FENCE.search(text):
        raise BadIssue(
            "a line of `:::` here opens or closes nothing: put an empty line before it, do not indent it, and keep it "
            "out of raw HTML and of code that is not closed",
            line,
        )


def _code(node: SyntaxTreeNode, line: int) -> Code:
    return Code(node.content.rstrip("\n"), (node.info or "").split(" ")[0], line)


_READERS: Mapping[str, Callable[[Reader, SyntaxTreeNode, int], Block]] = {
    "heading": Reader.heading,
    "bullet_list": Reader.listing,
    "ordered_list": Reader.listing,
    "table": Reader.table,
    "fence": _fenced_code,
    "code_block": _indented_code,
    "hr": lambda _reader, _node, line: Rule(line),
}


def _quote(blocks: Blocks, line: int) -> Quote | Callout:
    """Make a quote; one that begins with a line `[!NOTE]` is a callout, as on GitHub."""
    match blocks:
        case (Paragraph((Text(text), *rest)), *others) if (match := _ALERT.match(text)) and (not rest or _ends(rest)):
            kind = CALLOUTS.get(match["kind"].lower(), "note")
            inner = (Paragraph(tuple(rest[1:]), line + 1),) if rest else ()
            return Callout(kind, (), (*inner, *others), line)
    return Quote(blocks, line)


def _ends(rest: Sequence[Inline]) -> bool:
    return isinstance(rest[0], Break)


def _item(blocks: Blocks) -> Item:
    """Make an item; one that begins with `[ ]` or `[x]` is a task."""
    match blocks:
        case (Paragraph((Text(text), *rest), line), *others) if match := _TASK.match(text):
            begun = Text(text[match.end() :])
            inlines = tuple(rest) if begun == Text("") else (begun, *rest)
            return Item((Paragraph(inlines, line), *others), done=match["mark"] != " ")
    return Item(blocks)


def _alignment(cell: SyntaxTreeNode) -> str:
    style = str(cell.attrs.get("style", ""))
    return style.removeprefix("text-align:") if style.startswith("text-align:") else ""
