"""Charts as SVG for the pages of reports, in the pages' own colours; the pages themselves say what each colour means.

Each is drawn twice, for a phone and for a desk, of which the page shows one: so their words are as large as the page's,
whatever its width. Drawn by pygal, which is asked for when a chart is: it hooks into Python's imports in a way that
Python 3.11 warns of and later ones ignore, and writes a script into each chart. Both are taken out here.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from math import ceil
from typing import Any

from markupsafe import Markup

from newsletter.reports.lines import LINES, line_reached


_SCRIPT = re.compile(r"<script.*?</script>", re.DOTALL)
#: What a page has room for, in its own pixels.
_WIDTHS = {"narrow": 310, "wide": 880}
#: Each label has so much room at least.
_LABEL = {"narrow": 52, "wide": 70}
#: Marks of a column stand apart by more than its height divided by this.
_MARKS_APART = 6
#: Complaints are drawn up to here, in percent: what is far over the lines must not hide them.
_MOST_COMPLAINTS = 0.5
_COLOR_OF_LINE = dict(zip((None, *LINES), ("var(--good)", "var(--wait)", "var(--bad)"), strict=True))


def stacked_bars(labels: Sequence[str], parts: Mapping[str, Sequence[float | None]], colors: Sequence[str]) -> Markup:
    """Draw a bar of 100 percent for each label, cut into its parts, which have the colours in their order."""

    def draw(look: str) -> Any:
        chart = _bars("HorizontalStackedBar", look, colors, len(labels), range=(0, 100))
        # pygal draws from below.
        chart.x_labels = list(reversed(labels))
        chart.y_labels = [{"value": one, "label": f"{one} %"} for one in (0, 25, 50, 75, 100)]
        # All alike: else pygal marks some.
        chart.y_labels_major = [0, 25, 50, 75, 100]
        for name, shares in parts.items():
            chart.add(name, list(reversed(shares)))
        return chart

    return _both(draw)


def complaint_bars(shares: Sequence[tuple[str, float]], name: str) -> Markup:
    """Draw each label's share of complaints beside the lines that mailbox providers draw, with its number."""

    def draw(look: str) -> Any:
        chart = _bars(
            "HorizontalBar", look, ["var(--good)"], len(shares), line="var(--mark)", range=(0, _MOST_COMPLAINTS)
        )
        chart.x_labels = [f"{label} {share:.2%}" for label, share in reversed(shares)]
        lines = [round(100 * line, 3) for line in LINES]
        chart.y_labels = [{"value": one, "label": f"{one:g} %"} for one in (0, *lines, _MOST_COMPLAINTS)]
        chart.y_labels_major = lines
        chart.add(name, [_drawn(share) for _, share in reversed(shares)])
        return chart

    return _both(draw)


def columns(labels: Sequence[str], counts: Sequence[int], name: str, color: str) -> Markup:
    """Draw a column for each label."""
    return stacked_columns(labels, {name: counts}, [color])


def stacked_columns(labels: Sequence[str], parts: Mapping[str, Sequence[int]], colors: Sequence[str]) -> Markup:
    """Draw for each label its parts above each other; those below nothing hang down.

    As many labels are written as there is room for.
    """
    over = max((sum(max(0, one) for one in column) for column in zip(*parts.values(), strict=True)), default=0)
    under = min((sum(min(0, one) for one in column) for column in zip(*parts.values(), strict=True)), default=0)
    room = (over - under) // 8 if under else 0
    # A mark that would touch its neighbour is left out, and nothing stands where the labels begin.
    marks = [one for one in sorted({under, over // 2, over}) if abs(one) * _MARKS_APART > over - under]

    def draw(look: str) -> Any:
        chart = _chart("StackedBar", look, colors, height=200, show_minor_x_labels=False, range=(under - room, over))
        chart.x_labels = list(labels)
        every = ceil(len(labels) * _LABEL[look] / (_WIDTHS[look] - 80)) or 1
        end = len(labels) - 1
        # The last one always, and none that would touch it.
        chart.x_labels_major = [*labels[: max(0, end - every + 1) : every], *labels[end:]]
        chart.y_labels = [{"value": one, "label": f"{abs(one):,}" if one or under else ""} for one in (0, *marks)]
        for name, counts in parts.items():
            chart.add(name, list(counts))
        return chart

    return _both(draw)


def _drawn(share: float) -> dict[str, object]:
    return {"value": min(100 * share, _MOST_COMPLAINTS), "color": _COLOR_OF_LINE[line_reached(share)]}


def _bars(kind: str, look: str, colors: Sequence[str], count: int, **more: Any) -> Any:
    return _chart(kind, look, colors, height=44 + 28 * count, show_x_guides=True, show_y_guides=False, **more)


def _chart(kind: str, look: str, colors: Sequence[str], *, height: int, line: str = "var(--line)", **more: Any) -> Any:
    pygal = _pygal()
    size = 12 if look == "narrow" else 13
    style = import_module("pygal.style").Style(
        background="transparent",
        plot_background="transparent",
        foreground="var(--quiet)",
        foreground_strong="var(--ink)",
        foreground_subtle="var(--line)",
        guide_stroke_color="var(--line)",
        major_guide_stroke_color=line,
        font_family="inherit",
        label_font_size=size,
        major_label_font_size=size,
        opacity="1",
        opacity_hover="1",
        colors=tuple(colors),
    )
    frame = {
        "width": _WIDTHS[look],
        "height": height,
        "margin": 8,
        "margin_right": 24,
        "show_legend": False,
        "truncate_label": -1,
    }
    return getattr(pygal, kind)(style=style, js=(), disable_xml_declaration=True, **frame | more)


def _pygal() -> Any:
    module = import_module("pygal")
    sys.meta_path[:] = [one for one in sys.meta_path if type(one).__name__ != "PluginImportFixer"]
    return module


def _both(draw: Callable[[str], Any]) -> Markup:
    # What pygal writes it has escaped itself.
    drawn = (f'<div class="{look}">{_SCRIPT.sub("", draw(look).render(is_unicode=True))}</div>' for look in _WIDTHS)
    return Markup("".join(drawn))  # noqa: S704
