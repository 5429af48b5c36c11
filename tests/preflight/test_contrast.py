"""Contrast is computed as browsers paint it: inherited, blended, in light and in dark."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.preflight.contrast import check
from newsletter.preflight.edition import Severity
from newsletter.rendering.colours import BLACK, ENOUGH, WHITE, contrast, on, readable


DARK = "<style>@media (prefers-color-scheme: dark) {{ {} }}</style>"
colours = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


def said(written, body, style="") -> list[tuple[Severity, str]]:
    html = f"<!DOCTYPE html><html><head>{DARK.format(style) if style else ''}</head><body>{body}</body></html>"
    return [(finding.severity, finding.message) for finding in check(written(html))]


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [(BLACK, WHITE, 21.0), ("#767676", WHITE, 4.54), ("#ff0000", WHITE, 4.0), (WHITE, WHITE, 1.0)],
)
def test_known_contrasts(one, other, ratio):
    assert round(contrast(one, other), 2) == ratio


@given(colours, colours)
def test_contrast_does_not_ask_for_an_order(one, other):
    assert 1.0 <= contrast(one, other) == contrast(other, one) <= 21.0


@given(colours, colours)
def test_every_brand_gets_a_shade_in_which_text_reads(brand, background):
    assert contrast(on(background), background) >= ENOUGH
    assert contrast(readable(brand, background), background) >= ENOUGH


@pytest.mark.parametrize(
    ("body", "quoted"),
    [
        ('<p style="color:#aaa">浅色</p>', "#aaaaaa on #ffffff"),
        ('<div style="color:#aaaaaa"><p>继承</p></div>', "#aaaaaa on #ffffff"),
        ('<div style="background-color:#ffcc00"><p style="color:#ffffff">底色</p></div>', "#ffffff on #ffcc00"),
        ('<table bgcolor="#222222"><tr><td>表格</td></tr></table>', "#000000 on #222222"),
        ('<p style="color:rgba(0, 0, 0, 0.3)">半透明</p>', "#b2b2b2 on #ffffff"),
        ('<p style="color:rgb(170,170,170)">函数</p>', "#aaaaaa on #ffffff"),
        ('<p style="background:#000 none">简写</p>', "#000000 on #000000"),
        ('<p>前<b style="color:#bbb">粗</b>后</p>', "#bbbbbb on #ffffff"),
    ],
)
def test_pale_text_is_found_however_it_is_painted(written, body, quoted):
    ((_, message),) = said(written, body)
    assert quoted in message
    assert "in light" in message


@pytest.mark.parametrize(
    "body",
    [
        '<p style="color:#767676">够了</p>',
        '<p style="color:#949494;font-size:24px">大字</p>',
        '<p style="color:#949494;font-size:19px;font-weight:700">粗的大字</p>',
        '<p style="display:none;color:#fff">不显示</p>',
        '<!--[if mso]><p style="color:#fff">注释</p><![endif]-->',
        '<p style="color:#ffffff"> </p>',
        '<p style="color:var(--x)">看不懂的颜色</p>',
    ],
)
def test_what_reads_or_is_not_seen_is_left_alone(written, body):
    assert said(written, body) == []


def test_dark_rules_are_painted_by_weight_and_order(written):
    body = '<div class="page"><p class="a" style="color:#222222">字</p></div>'
    assert said(written, body, ".page { background-color: #222222 !important }")[0][1].count("in dark") == 1
    light = ".page { background-color: #222222 !important } .page p { color: #eeeeee !important }"
    assert said(written, body, light) == []
    assert said(written, body, f"{light} p {{ color: #333333 !important }}") == []
    assert said(written, body, f"{light} .page .a {{ color: #333333 !important }}") != []


def test_what_nobody_reads_blocks(written):
    assert said(written, '<p style="color:#eeeeee">字</p>')[0][0] is Severity.blocker
    assert said(written, '<p style="color:#888888">字</p>')[0][0] is Severity.warning


def test_the_theme_is_clean(clean):
    assert list(check(clean)) == []
