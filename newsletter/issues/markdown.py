"""Markdown as we read it: CommonMark, with the additions that weeklies use. The first half of ``document.parse``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.helpers import parseLinkLabel
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock, html_block
from markdown_it.rules_inline import StateInline
from markdown_it.tree import SyntaxTreeNode
from mdit_py_plugins.attrs import attrs_plugin
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.front_matter import front_matter_plugin

from newsletter.errors import BadIssue
from newsletter.issues.cjk import cjk_emphasis
from newsletter.issues.fields import FIELD


#: Beyond its own bound markdown-it leaves out what is nested deeper, without a word; ours is an error before that.
DEEPEST = 100
#: A fence of colons, also as a Chinese keyboard writes them; with words it opens, alone it closes.
_COLONS = re.compile(r"(?P<colons>[:：]{3,})[ \t]*(?P<words>.*?)[ \t]*$")
_FIELD_TARGET = re.compile(rf"\([ \t]*({FIELD.pattern})[ \t]*\)")
#: Raw HTML that has an end of its own, before which no empty line ends it.
_ENDS_BY_ITSELF = re.compile(r"<(?:script|pre|style|textarea)\b|<[!?]", re.IGNORECASE)
_INDENTED_CODE = 4


@dataclass
class _Open:
    """A container whose closing line is being looked for, at the level where it was opened."""

    level: int
    closing: int | None = None


def syntax_tree(source: str) -> Sequence[SyntaxTreeNode]:
    """Read a source into markdown-it's tree.

    Raises:
        BadIssue: A container is not closed, or a footnote stands in another one.
    """
    markdown = MarkdownIt("commonmark", {"maxNesting": 2 * DEEPEST}).enable(["table", "strikethrough"])
    markdown.use(front_matter_plugin).use(footnote_plugin).use(cjk_emphasis)
    markdown.use(attrs_plugin, after=("image", "link_close"), allowed=("class", "width"))
    markdown.block.ruler.before("table", "depth", _depth)
    interrupts: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    markdown.block.ruler.before("fence", "container", _container, interrupts)
    markdown.block.ruler.before("container", "container_end", _container_end, interrupts)
    markdown.block.ruler.at("html_block", _html_block, {"alt": ["paragraph", "reference", "blockquote"]})
    # Before emphasis: the default in a field may hold `*` and `_`.
    markdown.inline.ruler.before("escape", "field", _field)
    markdown.inline.ruler.before("link", "field_link", _field_link)
    try:
        return SyntaxTreeNode(markdown.parse(source)).children
    except ValueError:
        # The plugin takes a note out of the text it stands in, and a note inside a note is left with half its tokens.
        raise BadIssue("a footnote is defined inside another one: give each a line of its own at the margin") from None


def _depth(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: ARG001, FBT001 - as below
    """Refuse what no mail program shows: it takes no part in reading otherwise."""
    if state.level > DEEPEST:
        raise BadIssue(f"it is nested more than {DEEPEST} levels deep here", start + 1)
    return False


def _field(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - markdown-it's own signature
    match = FIELD.match(state.src, state.pos)
    if match is None:
        return False
    if not silent:
        state.push("field", "", 0).content = match[0]
    state.pos = match.end()
    return True


def _field_link(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - as above
    """Read a link whose target is a field: ``[leave]({{ unsubscribe_url }})``, which CommonMark's spaces forbid."""
    if state.src[state.pos] != "[":
        return False
    start, last = state.pos, state.posMax
    end = parseLinkLabel(state, start, disableNested=True)
    target = _FIELD_TARGET.match(state.src, end + 1) if end >= 0 else None
    if target is None:
        return False
    if not silent:
        token = state.push("link_open", "a", 1)
        token.attrs = {"href": target[1]}
        state.pos, state.posMax = start + 1, end
        state.md.inline.tokenize(state)
        state.push("link_close", "a", -1)
    state.pos, state.posMax = target.end(), last
    return True


def _container(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: FBT001 - as above
    """Read a container: its opening line, blocks, and the line that closes it.

    A closing line closes the container that was opened last, whatever their lengths, as in Pandoc. In markdown-it's
    own plugin the first closing line of the same length ends the outer container, and what follows would be public.
    """
    opening = _colons(state, start)
    if opening is None or not opening["words"]:
        return False
    if silent:
        return True
    token = state.push("container_open", "div", 1)
    token.info = opening["words"]
    state.push("container_words_open", "p", 1)
    words = state.push("inline", "", 0)
    words.content, words.map, words.children = _after_kind(opening["words"]), [start, start + 1], []
    state.push("container_words_close", "p", -1)
    closing = _read_to_closing_line(state, start, end)
    token.map = [start, closing]
    state.push("container_close", "div", -1)
    state.line = closing + 1
    return True


def _read_to_closing_line(state: StateBlock, start: int, end: int) -> int:
    """Read the blocks of a container, and give the line that closes it."""
    open_containers: list[_Open] = state.env.setdefault("open_containers", [])
    mine = _Open(state.level)
    open_containers.append(mine)
    parent, state.parentType = state.parentType, "container"
    state.md.block.tokenize(state, start + 1, end)
    state.parentType = parent
    open_containers.pop()
    if mine.closing is None:
        opened = _text_of(state, start).rstrip()
        raise BadIssue(f"`{opened}` is never closed: end it with a line of ::: that stands where it does", start + 1)
    return mine.closing


def _container_end(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: FBT001 - as above
    """End the blocks of the container that was opened last, if its closing line stands where it was opened."""
    open_containers: list[_Open] = state.env.get("open_containers", [])
    if not open_containers or not _is_closing(state, start):
        return False
    if silent:
        return True
    if state.level != open_containers[-1].level:
        return False
    open_containers[-1].closing = start
    # To the parser this container's text is at its end; its opening rule takes up the rest.
    state.line = end
    return True


def _html_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: FBT001 - as above
    """Read raw HTML, which goes on to the next empty line; but not over the line that closes its container."""
    if not html_block(state, start, end, silent):
        return False
    lines = range(start + 1, state.line)
    if not silent and state.env.get("open_containers") and not _ENDS_BY_ITSELF.match(_text_of(state, start)):
        closing = next((line for line in lines if _is_closing(state, line)), None)
        if closing is not None:
            token = state.tokens[-1]
            token.map, token.content = (
                [start, closing],
                state.getLines(start, closing, state.blkIndent, keepLastLF=True),
            )
            state.line = closing
    return True


def _is_closing(state: StateBlock, line: int) -> bool:
    match = _colons(state, line)
    return match is not None and not match["words"]


def _after_kind(words: str) -> str:
    return words.partition(" ")[2].strip()


def _colons(state: StateBlock, line: int) -> re.Match[str] | None:
    if state.sCount[line] - state.blkIndent >= _INDENTED_CODE:
        return None
    return _COLONS.match(_text_of(state, line))


def _text_of(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]
