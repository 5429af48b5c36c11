"""Chinese, Japanese and Korean in Markdown: emphasis beside CJK text, and line ends between CJK characters. Pure.

CommonMark decides by spaces and punctuation whether ``**`` opens or closes, and CJK text has neither where it would
need them: ``**重点：**后面`` stays text. The rule here is that of the CJK-friendly amendments to CommonMark: beside a
wide character a mark opens and closes as beside a space, and wide punctuation does not count as punctuation.
"""

from collections.abc import Callable
from unicodedata import east_asian_width

from markdown_it import MarkdownIt
from markdown_it.common.utils import isMdAsciiPunct, isPunctChar, isWhiteSpace
from markdown_it.rules_inline import StateInline, emphasis, strikethrough


_Rule = Callable[[StateInline, bool], bool]


def is_wide(character: str) -> bool:
    """Tell whether a character is Chinese, Japanese or Korean, or of their punctuation (Unicode TR 11)."""
    return character != "" and east_asian_width(character) in "WFH"


def joins_without_space(before: str, after: str) -> bool:
    """Tell whether a line end between two characters is no space: Chinese and Japanese write none."""
    return is_wide(before) and is_wide(after) and not (_is_hangul(before) or _is_hangul(after))


def cjk_emphasis(markdown: MarkdownIt) -> None:
    """Let emphasis and strikethrough open and close beside CJK text."""
    markdown.inline.ruler.at("emphasis", _friendly(emphasis.tokenize))
    markdown.inline.ruler.at("strikethrough", _friendly(strikethrough.tokenize))


def _friendly(rule: _Rule) -> _Rule:
    def friendly(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - markdown-it's own signature
        start, known = state.pos, len(state.delimiters)
        if not rule(state, silent):
            return False
        # `_` stays as it is: it marks emphasis only around whole words.
        if state.src[start] != "_":
            opens, closes = _flanking(state.src, start, state.pos)
            for delimiter in state.delimiters[known:]:
                delimiter.open = delimiter.open or opens
                delimiter.close = delimiter.close or closes
        return True

    return friendly


def _flanking(source: str, start: int, end: int) -> tuple[bool, bool]:
    """Tell whether a run of marks may open, and whether it may close."""
    before = source[start - 1] if start else " "
    after = source[end] if end < len(source) else " "
    opens = not _is_space(after) and (not _is_narrow_punctuation(after) or _lets_through(before))
    closes = not _is_space(before) and (not _is_narrow_punctuation(before) or _lets_through(after))
    return opens, closes


def _lets_through(character: str) -> bool:
    return _is_space(character) or _is_narrow_punctuation(character) or is_wide(character)


def _is_space(character: str) -> bool:
    return isWhiteSpace(ord(character))


def _is_narrow_punctuation(character: str) -> bool:
    return not is_wide(character) and (isMdAsciiPunct(ord(character)) or isPunctChar(character))


def _is_hangul(character: str) -> bool:
    return "\u1100" <= character <= "\u11ff" or "\u3130" <= character <= "\u318f" or "\uac00" <= character <= "\ud7af"
