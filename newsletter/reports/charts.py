"""Charts as SVG for the page of a report: stacked bars and columns, in the page's own colours.

Drawn by pygal, which is asked for when a chart is: it hooks into Python's imports in a way that Python 3.11 warns of
and later ones ignore, and writes a script into each chart. Both are taken out here.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from markupsafe import Markup


_SCRIPT = re.compile(r"<script.*?</script>", re.DOTALL)


def stacked_bars(labels: Sequence[str], parts: Mapping[str, Sequence[float | None]], colors: Sequence[str]) -> Markup:
    """Draw a bar of 100 percent for each label, cut into its parts, which have the colours in their order."""
    height = 90 + 32 * len(labels)
    chart = _pygal().HorizontalStackedBar(**_frame(colors), height=height, legend_at_bottom=True, range=(0, 100))
    # pygal draws from below.
    chart.x_labels = list(reversed(labels))
    for name, shares in parts.items():
        chart.add(name, list(reversed(shares)))
    return _svg(chart)


def columns(counts: Mapping[str, int], name: str, color: str) -> Markup:
    """Draw a column for each label."""
    most = max(counts.values())
    chart = _pygal().Bar(**_frame([color]), height=190, show_legend=False)
    chart.x_labels = list(counts)
    chart.y_labels = [0, most // 2, most]
    chart.add(name, list(counts.values()))
    return _svg(chart)


def _pygal() -> Any:
    module = import_module("pygal")
    sys.meta_path[:] = [one for one in sys.meta_path if type(one).__name__ != "PluginImportFixer"]
    return module


def _frame(colors: Sequence[str]) -> dict[str, Any]:
    _pygal()
    style = import_module("pygal.style").Style(
        background="transparent",
        plot_background="transparent",
        foreground="var(--quiet)",
        foreground_strong="var(--ink)",
        foreground_subtle="var(--line)",
        font_family="inherit",
        label_font_size=14,
        major_label_font_size=14,
        legend_font_size=14,
        opacity="1",
        opacity_hover="1",
        colors=tuple(colors),
    )
    return {
        "style": style,
        "js": (),
        "width": 440,
        "margin": 10,
        "legend_box_size": 14,
        "truncate_label": -1,
        "show_x_guides": False,
        "disable_xml_declaration": True,
    }


def _svg(chart: Any) -> Markup:
    # What pygal writes it has escaped itself.
    return Markup(_SCRIPT.sub("", chart.render(is_unicode=True)))  # noqa: S704
