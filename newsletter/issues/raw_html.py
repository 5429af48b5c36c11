"""Raw HTML in an issue: made safe by nh3 and parsed. Pure; ``raw_nodes`` makes nodes of what survives.

Since what survives becomes nodes of the document like everything else, its links are resolved, both parts of a mail
say the same, and nothing an author writes can break out of the layout. What did not survive is told, by name.
"""

from collections.abc import Iterator
from html.parser import HTMLParser

import lxml.html
import nh3
from lxml.html import HtmlElement

from newsletter.errors import BadIssue


DEEPEST = 50
#: Inline elements of HTML that Markdown has no mark for.
STYLES = {"sub": "sub", "sup": "sup", "u": "u", "ins": "u", "mark": "mark", "kbd": "kbd"}
INLINE = frozenset({"a", "b", "strong", "i", "em", "cite", "s", "del", "strike", "code", "br", "img", "span", *STYLES})
BLOCK = frozenset(
    {"p", "div", "center", "section", "article", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote"}
    | {"pre", "hr", "details", "summary", "figure", "figcaption", "table", "thead", "tbody", "tfoot", "tr", "th", "td"}
    | {"caption", "dl", "dt", "dd", "main", "header", "footer", "nav", "aside", "address"}
)
#: These only change how text looks or is understood by machines: the text stays, and nobody misses the element.
_MERE = frozenset(
    {"small", "big", "font", "abbr", "time", "var", "samp", "tt", "wbr", "nobr", "dfn", "q", "bdi", "bdo", "label"}
    | {"picture", "source", "colgroup", "col", "html", "head", "body", "data"}
)
_ATTRIBUTES = {"a": {"href"}, "img": {"src", "alt", "width"}, "ol": {"start"}, "td": {"align"}, "th": {"align"}}
_SCHEMES = {"http", "https", "mailto"}
#: Mere looks: leaving these out changes nothing that was said.
_LOOKS = frozenset(
    {"align", "valign", "class", "style", "id", "width", "height", "border", "cellpadding", "cellspacing", "bgcolor"}
    | {"color", "target", "rel", "title", "lang", "dir", "open", "type", "loading", "name", "colspan", "rowspan"}
)
_DROPPED_WITH_CONTENT = {"script", "style", "template", "title", "noscript"}


def tree(html: str, line: int) -> HtmlElement:
    """Sanitise HTML, and give one element that holds what is left: text, and elements a document knows.

    Raises:
        BadIssue: It is nested more deeply than anybody writes.
    """
    root = lxml.html.fragment_fromstring(_sanitised(html), create_parent="div")
    depths = {root: 0}
    for element in root.iterdescendants():
        depths[element] = depths[element.getparent()] + 1
    if max(depths.values()) > DEEPEST:
        raise BadIssue(f"the raw HTML is nested more than {DEEPEST} elements deep: close what is open", line)
    return root


def dropped(html: str) -> tuple[str, ...]:
    """Name what does not survive in a piece of HTML: elements, attributes, addresses; not comments, not mere looks."""
    collector = _Collector()
    collector.feed(html)
    collector.close()
    return tuple(dict.fromkeys(collector.dropped))


def _sanitised(html: str) -> str:
    return nh3.clean(
        html,
        tags=set(INLINE | BLOCK),
        clean_content_tags=_DROPPED_WITH_CONTENT,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        link_rel=None,
    )


class _Collector(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.dropped: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _MERE:
            return
        if tag not in INLINE | BLOCK:
            self.dropped.append(f"<{tag}>")
        else:
            self.dropped += _dropped_attributes(tag, attrs)


def _dropped_attributes(tag: str, attrs: list[tuple[str, str | None]]) -> Iterator[str]:
    for name, value in attrs:
        if name not in _ATTRIBUTES.get(tag, ()):
            if name not in _LOOKS:
                yield f"{name} of <{tag}>"
        elif name in {"href", "src"} and value and not _survives(tag, name, value):
            yield f"the address {value[:40]!r} of <{tag}>"


def _survives(tag: str, name: str, value: str) -> bool:
    """Ask nh3 itself whether it lets an address stand."""
    element = lxml.html.Element(tag)
    try:
        element.set(name, value)
    except ValueError:
        # Control characters, which no address has.
        return False
    return f"{name}=" in _sanitised(lxml.html.tostring(element, encoding="unicode"))
