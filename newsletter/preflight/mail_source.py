"""A mail's HTML and CSS as plain rows, for the checks of what mail programs can show. Pure.

The CSS is split here and not by cssutils, which came with premailer: that one drops what it does not know, and
what it does not know (nesting, ``rgb(0 0 0)``, ``@supports``) is what the checks look for.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from html.parser import HTMLParser


_TOKEN = re.compile(
    r"""/\*.*?(?:\*/|\Z) | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    | url\(\s*["']?(?P<url>[^()"']*)["']?\s*\) | (?P<mark>[{};]) | (?P<rest>.)""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True)
class Style:
    """One declaration, in lower case, without the words in its strings and the addresses in its ``url()``.

    Attributes:
        under: What opens the rules around it, outermost first: none in a style attribute.
    """

    name: str
    value: str
    under: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sheet:
    """A style block or attribute: its declarations, its addresses, what opens its rules (``@media …``, selectors)."""

    styles: tuple[Style, ...]
    urls: tuple[str, ...]
    at_rules: tuple[str, ...]
    selectors: tuple[str, ...]
    nested: bool


@dataclass(frozen=True)
class Element:
    """A start tag. ``sheet`` is its style attribute."""

    tag: str
    attributes: dict[str, str]
    sheet: Sheet

    @property
    def hidden(self) -> bool:
        """Whether its own style hides it, like the line for the inbox."""
        return any(style.name == "display" and style.value.startswith("none") for style in self.sheet.styles)


@dataclass(frozen=True)
class Source:
    """A whole mail: its elements in order, and its style blocks. What stands in comments for Outlook is not in it."""

    elements: tuple[Element, ...]
    sheets: tuple[Sheet, ...]


@lru_cache(maxsize=64)
def read_mail(html: str) -> Source:
    """Read a mail's HTML; never fails, whatever stands in it."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return Source(tuple(reader.elements), tuple(reader.sheets))


@lru_cache(maxsize=4096)
def read_css(css: str) -> Sheet:
    """Read CSS with or without rules around the declarations; what is no valid CSS is kept as it stands."""
    styles: list[Style] = []
    at_rules: list[str] = []
    selectors: list[str] = []
    open_rules: list[str] = []
    nested = False
    for words, mark in _pieces(css):
        if mark == "{":
            nested |= any(not rule.startswith("@") for rule in open_rules)
            # The steps of an animation look like selectors.
            if not any("keyframes" in rule for rule in open_rules):
                (at_rules if words.startswith("@") else selectors).append(words)
            open_rules.append(words)
        elif words.startswith("@"):
            at_rules.append(words)
        elif ":" in words:
            name, _, value = words.partition(":")
            styles.append(Style(name.strip(), value.strip(), tuple(open_rules)))
        if mark == "}" and open_rules:
            open_rules.pop()
    return Sheet(tuple(styles), tuple(_urls(css)), tuple(at_rules), tuple(selectors), nested)


def _pieces(css: str) -> Iterator[tuple[str, str]]:
    """Split CSS at its braces and semicolons; each piece comes with the mark that ends it."""
    words = ""
    for token in _TOKEN.finditer(css):
        if token["mark"]:
            yield words.strip(), token["mark"]
            words = ""
        elif token["rest"]:
            words += token["rest"].lower()
        elif token["text"]:
            words += '""'
        elif token["url"] is not None:
            words += "url()"
        else:
            words += " "
    yield words.strip(), ""


def _urls(css: str) -> Iterator[str]:
    return (token["url"].strip() for token in _TOKEN.finditer(css) if token["url"])


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.sheets: list[Sheet] = []
        self._media = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append(Element(tag, attributes, read_css(attributes.get("style", ""))))
        self._media = attributes.get("media", "")

    def handle_data(self, data: str) -> None:
        # html.parser takes nothing in a style element for a tag, and hands all of it over at once.
        if self.cdata_elem == "style":
            self.sheets.append(read_css(f"@media {self._media} {{ {data} }}" if self._media else data))
