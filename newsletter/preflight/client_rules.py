"""Whether a mail keeps to what is safe in QQ Mail, NetEase (163, 126), Foxmail and WeChat's reader.

Nobody publishes figures for these. So every row is a rule and not a measurement: those on layout, style blocks and
width come from what Chinese mail writers told between 2016 and 2019, the rest is common caution. Before a new theme is
mailed, a person has to look at it in each of these programs. What images must be, the check of ``images`` tells.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from newsletter.preflight.edition import Edition, Finding, Severity, part
from newsletter.preflight.mail_source import Source, Style, read_mail


WIDEST = 640
SMALLEST = 14
#: Of the thing that breaks a rule, this many characters are shown.
SHOWN = 60

_LAYOUT = re.compile(r"position:(?!static|relative).*|float:(?!none).*|display:.*\b(?:flex|grid)\b.*")
_PICTURE = re.compile(r"background(?:-image)?:.*(?:url|gradient)\(.*")
_WIDE = re.compile(r"(?:min-)?width:(\d+(?:\.\d+)?|\.\d+)px")
_SMALL = re.compile(r"font-size:(\d+(?:\.\d+)?|\.\d+)px")
_ACTIVE = re.compile(
    r"applet|audio|button|canvas|embed|form|frame|iframe|input|math|object|script|select|svg|textarea|video"
)
#: What a mail needs to be read; the rest (a colour under the pointer) may stand in a style block alone.
_ESSENTIAL = re.compile(
    r"(?:color|background|display|width|padding|margin|font|line-height|text-align|border)\b(?!-radius).*"
)


@dataclass(frozen=True)
class Rule:
    """A row: what is asked and how to keep it, why, how much it matters, and what breaks it in a mail."""

    name: str
    what: str
    why: str
    severity: Severity
    broken_by: Callable[[Source], Iterator[str]]


def check(edition: Edition) -> Iterator[Finding]:
    """Find the first thing in each mail that breaks a rule."""
    for rendering in edition.renderings:
        for rule in RULES:
            if (thing := next(rule.broken_by(read_mail(rendering.html)), None)) is not None:
                message = (
                    f"{rule.name}, {_short(thing)}: {rule.what}; {rule.why}"
                    " (a rule for QQ Mail, NetEase, Foxmail and WeChat, not measured)"
                )
                yield Finding("client-rules", rule.severity, message, part(rendering))


def _short(thing: str) -> str:
    return thing if len(thing) <= SHOWN else thing[: SHOWN - 1] + "…"


def _inline(source: Source) -> Iterator[Style]:
    return (style for element in source.elements if not element.hidden for style in element.sheet.styles)


def _matching(pattern: re.Pattern[str]) -> Callable[[Source], Iterator[str]]:
    """Look for inline styles that the pattern fits as a whole."""
    return lambda source: (text for text in map(_text, _inline(source)) if pattern.fullmatch(text))


def _text(style: Style) -> str:
    return f"{style.name}:{style.value.removesuffix('!important').rstrip()}"


def _layout_in_style_blocks(source: Source) -> Iterator[str]:
    """Look for essential styles that stand in a style block outside of @media and of states like :hover."""
    for sheet in source.sheets:
        for style in sheet.styles:
            bare = style.under and not any(rule.startswith("@") or ":" in rule for rule in style.under)
            if bare and _ESSENTIAL.fullmatch(style.name):
                yield f"{style.under[-1]} {{ {_text(style)} }}"


def _web_fonts(source: Source) -> Iterator[str]:
    rules = (rule for sheet in source.sheets for rule in sheet.at_rules)
    return (rule for rule in rules if rule.startswith(("@font-face", "@import")))


def _links(source: Source) -> Iterator[str]:
    linked = (element.attributes for element in source.elements if element.tag == "link")
    return (one.get("href", "") for one in linked if "stylesheet" in one.get("rel", "").lower())


def _active(source: Source) -> Iterator[str]:
    for element in source.elements:
        if _ACTIVE.fullmatch(element.tag):
            yield f"<{element.tag}>"
        yield from (f"{name}=" for name in element.attributes if name.startswith("on"))


def _backgrounds(source: Source) -> Iterator[str]:
    yield from _matching(_PICTURE)(source)
    yield from (one.attributes["background"] for one in source.elements if "background" in one.attributes)


def _without_width(source: Source) -> Iterator[str]:
    sized = (element for element in source.elements if element.tag == "img" and "height" not in element.attributes)
    for picture in sized:
        if not re.fullmatch(r"\s*\d+(?:px)?\s*", picture.attributes.get("width", "")):
            yield picture.attributes.get("src", "") or "<img>"


def _too_wide(source: Source) -> Iterator[str]:
    for style in _inline(source):
        if (match := _WIDE.fullmatch(_text(style))) and float(match[1]) > WIDEST:
            yield match[0]
    for element in source.elements:
        width = element.attributes.get("width", "").strip().removesuffix("px")
        if width.isdecimal() and int(width) > WIDEST:
            yield f'<{element.tag} width="{width}">'


def _too_small(source: Source) -> Iterator[str]:
    # A size of 0 takes away the gaps between cells; whatever holds words then sets its own size again.
    sizes = (_SMALL.fullmatch(_text(style)) for style in _inline(source))
    return (size[0] for size in sizes if size and 0 < float(size[1]) < SMALLEST)


_W, _N = Severity.warning, Severity.note
RULES = (
    Rule(
        "layout",
        "write it as a table",
        "the apps of NetEase and QQ are weak in layout, and webmail shows the mail inside a page of its own",
        _W,
        _matching(_LAYOUT),
    ),
    Rule(
        "style block",
        "write it inline, and keep the block for @media",
        "some drop the head, and Foxmail adds a style sheet of its own",
        _W,
        _layout_in_style_blocks,
    ),
    Rule("style sheet", "write the styles inline", "most programs load nothing but pictures", _W, _links),
    Rule("web font", "name fonts that readers have", "most programs load nothing but pictures", _N, _web_fonts),
    Rule("active content", "link to a page that holds it", "programs cut it out, and filters distrust it", _W, _active),
    Rule(
        "background picture",
        "use a background colour, and an <img> where the picture matters",
        "where a background is missing, the words on it cannot be read",
        _W,
        _backgrounds,
    ),
    Rule(
        "picture without width",
        "give its width, as in ![…](…){width=300}",
        "without one, a large picture stretches the mail",
        _N,
        _without_width,
    ),
    Rule(
        "too wide",
        f"set at most {WIDEST} pixels, or use max-width",
        "NetEase's app shrinks the letters of what is wider than the screen",
        _W,
        _too_wide,
    ),
    Rule(
        "small print",
        f"set at least {SMALLEST} pixels",
        "Chinese characters are hard to read below, and apps shrink them further",
        _N,
        _too_small,
    ),
)
