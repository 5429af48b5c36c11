"""What colours a mail's text really has, in light and in dark: the cascade, as far as mails use it. Pure.

premailer has inlined everything that is no media query; so an element has its own inline style, what it inherits, and
in the dark what the dark rules say, all of which premailer made ``!important``: among them the more specific and then
the later one wins (CSS Cascading 4).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import lxml.html
from cssselect import HTMLTranslator, SelectorError, parse
from lxml.etree import XPath
from lxml.html import HtmlElement


_DARK = re.compile(r"@media\s*\(prefers-color-scheme:\s*dark\)\s*\{((?:[^{}]*\{[^{}]*\})*)", re.DOTALL)
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_HEX = re.compile(r"#([0-9a-f]{3}|[0-9a-f]{6})$")
_RGB = re.compile(r"rgba?\(\s*(\d+)\s*[, ]\s*(\d+)\s*[, ]\s*(\d+)\s*(?:[,/]\s*([\d.]+%?)\s*)?\)$")
_NAMED = {"white": "#ffffff", "black": "#000000", "red": "#ff0000", "gray": "#808080", "silver": "#c0c0c0"}
_UNSEEN = frozenset({"head", "style", "script", "title", "img", "hr"})
#: What browsers and mail programs make of the elements that mails size by themselves.
_LARGE_FROM, _LARGE_BOLD_FROM = 24.0, 18.66


@dataclass(frozen=True)
class Paint:
    """How text is painted: ``#rrggbb`` on ``#rrggbb``."""

    colour: str = "#000000"
    background: str = "#ffffff"
    size: float = 16.0
    bold: bool = False

    @property
    def is_large(self) -> bool:
        """Whether it is large by WCAG: 24 px, or 18.66 px and bold."""
        return self.size >= (_LARGE_BOLD_FROM if self.bold else _LARGE_FROM)


def painted(html: str, *, dark: bool) -> Iterator[tuple[str, Paint]]:
    """Go through every piece of text that is seen, and how it is painted."""
    root = lxml.html.document_fromstring(html.encode(), parser=lxml.html.HTMLParser(encoding="utf-8"))
    body = root.find("body")
    if body is not None:
        yield from _painted(body, Paint(), _dark_styles(root, html) if dark else {})


def _painted(
    element: HtmlElement, above: Paint, dark: Mapping[HtmlElement, dict[str, str]]
) -> Iterator[tuple[str, Paint]]:
    style = _inline_style(element) | dark.get(element, {})
    if element.tag in _UNSEEN or style.get("display", "").startswith("none"):
        return
    paint = _paint(element, style, above)
    if element.text and element.text.strip():
        yield element.text.strip(), paint
    for child in element:
        if isinstance(child.tag, str):
            yield from _painted(child, paint, dark)
        if child.tail and child.tail.strip():
            yield child.tail.strip(), paint


def _paint(element: HtmlElement, style: Mapping[str, str], above: Paint) -> Paint:
    background = (
        style.get("background-color") or _first_colour(style.get("background", "")) or element.get("bgcolor", "")
    )
    size = re.match(r"([\d.]+)px", style.get("font-size", ""))
    weight = style.get("font-weight", "bold" if element.tag in {"strong", "b", "th", "h1", "h2", "h3"} else "")
    on = _blended(background, above.background) or above.background
    return Paint(
        colour=_blended(style.get("color", ""), on) or above.colour,
        background=on,
        size=float(size[1]) if size and float(size[1]) else above.size,
        bold=weight in {"bold", "600", "700", "800", "900"} if weight else above.bold,
    )


def _dark_styles(root: HtmlElement, html: str) -> dict[HtmlElement, dict[str, str]]:
    """Say what the dark rules make of each element: specific ones over general ones, later ones over earlier ones."""
    weighed = []
    for order, (selectors, declarations) in enumerate(
        _rule for block in _DARK.findall(html) for _rule in _RULE.findall(block)
    ):
        for path, weight in _compiled(selectors.strip()):
            weighed.append((weight, order, path, _declared(declarations)))
    styles: dict[HtmlElement, dict[str, str]] = {}
    for _, _, path, declared in sorted(weighed, key=lambda one: one[:2]):
        for element in path(root):
            styles.setdefault(element, {}).update(declared)
    return styles


@lru_cache(maxsize=512)
def _compiled(selectors: str) -> tuple[tuple[XPath, tuple[int, int, int]], ...]:
    try:
        found = parse(selectors)
    except SelectorError:
        return ()
    return tuple((XPath(HTMLTranslator().selector_to_xpath(one)), one.specificity()) for one in found)


def _inline_style(element: HtmlElement) -> dict[str, str]:
    return _declared(element.get("style", ""))


def _declared(declarations: str) -> dict[str, str]:
    pairs = (one.partition(":") for one in declarations.lower().split(";"))
    return {name.strip(): value.replace("!important", "").strip() for name, _, value in pairs if name.strip()}


def _first_colour(background: str) -> str:
    return next((word for word in background.split() if _HEX.match(word) or word in _NAMED), "")


def _blended(colour: str, over: str) -> str | None:
    """Read a colour as ``#rrggbb``, mixed with what lies below where it is not opaque; nothing where it is unknown."""
    colour = _NAMED.get(colour, colour)
    if match := _HEX.match(colour):
        return "#" + (match[1] if len(match[1]) == 6 else "".join(2 * digit for digit in match[1]))  # noqa: PLR2004
    if match := _RGB.match(colour):
        opacity = float(match[4].rstrip("%")) / (100 if match[4].endswith("%") else 1) if match[4] else 1.0
        below = (int(over[start : start + 2], 16) for start in (1, 3, 5))
        mixed = (
            round(int(mine) * opacity + theirs * (1 - opacity))
            for mine, theirs in zip(match.groups()[:3], below, strict=True)
        )
        return "#" + "".join(f"{min(255, channel):02x}" for channel in mixed)
    return None
