"""Colours: how well one reads on another, and the nearest shade of a brand that does (WCAG 2.2, §1.4.3). Pure."""

import re


#: What text must have against its background, and text that is large (24 px, or 18.66 px and bold).
ENOUGH = 4.5
ENOUGH_WHEN_LARGE = 3.0
WHITE, BLACK = "#ffffff", "#000000"
_STEPS = 20
_HEX = re.compile(r"#[0-9a-fA-F]{6}")


def is_colour(written: str) -> bool:
    """Tell whether this is a colour as settings and themes write them: ``#rrggbb``."""
    return bool(_HEX.fullmatch(written))


def channels(colour: str) -> tuple[int, int, int]:
    """Split ``#rrggbb`` into red, green and blue, 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def contrast(one: str, other: str) -> float:
    """Give the contrast of two colours, from 1 to 21; the order does not matter."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def on(background: str) -> str:
    """Choose black or white for text on a colour, whichever reads better."""
    return max((WHITE, BLACK), key=lambda text: contrast(text, background))


def readable(colour: str, background: str) -> str:
    """Give the nearest shade of a colour in which text reads on a background."""
    towards = on(background)
    shades = (_mixed(colour, towards, step / _STEPS) for step in range(_STEPS + 1))
    return next(shade for shade in shades if contrast(shade, background) >= ENOUGH)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(channel / 255) for channel in channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)  # noqa: PLR2004 - sRGB


def _mixed(colour: str, towards: str, share: float) -> str:
    pairs = zip(channels(colour), channels(towards), strict=True)
    return "#" + "".join(f"{round(mine + (theirs - mine) * share):02x}" for mine, theirs in pairs)
