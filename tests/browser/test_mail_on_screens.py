"""The mail on real screens, with its styles and where a program strips them: no overflow, readable, and in its shape.

The widths are those of phones (320 to 414), of a tablet or a narrow window (600), and of a desktop (800).
"""

import re

import pytest

from newsletter.outbox import NoticeKind
from newsletter.preflight.painted import painted
from newsletter.rendering.export import files
from tests.mails import CORPUS, FREE, PRO, SAMPLE_ISSUE, SHOWCASE, html_of, notice_html
from tests.mails import mail as mail_of


WIDTHS = [320, 375, 414, 600, 800]
PHONES = [320, 375, 414]
#: A cell of more characters is long: it must have room for a line worth reading.
LONG_CELL = 30

BODY_TEXT = """() => {
    const own = e => [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.textContent).join('').trim();
    return [...document.querySelectorAll('p, li, td, th, h1, h2, h3, h4, blockquote, pre, a, span')]
        .filter(e => own(e) && e.offsetParent && !e.classList.contains('mark'))
        .map(e => [parseFloat(getComputedStyle(e).fontSize), own(e).slice(0, 20)]);
}"""
#: Chromium makes a text of many lines as wide as its widest line.
LONG_CELLS = """length => [...document.querySelectorAll('p.cell')]
    .filter(e => e.innerText.length > length)
    .map(e => { const range = document.createRange(); range.selectNodeContents(e);
                return [range.getBoundingClientRect().width, e.innerText.slice(0, 20)]; })"""
TOPS = """([kind, all]) => [...document.querySelectorAll('.card')].map(card => {
    const tops = [];
    for (let next = card.nextElementSibling; next && next.classList.contains(kind); next = next.nextElementSibling)
        if (all || !next.classList.contains('short')) tops.push(next.getBoundingClientRect().top);
    return tops; }).filter(tops => tops.length > 1)"""
CUT_OFF = """width => [...document.querySelectorAll('body *')].filter(e => e.offsetParent)
    .map(e => [e.getBoundingClientRect(), e]).filter(([box]) => box.width && (box.right > width + 1 || box.left < -1))
    .map(([, e]) => e.outerHTML.slice(0, 80))"""

pytestmark = pytest.mark.browser


def bare(html: str) -> str:
    """The mail as a program shows it that strips every style block."""
    return re.sub(r"<style.*?</style>", "", html, flags=re.DOTALL)


@pytest.fixture(scope="module", params=["weekly", "sample", "showcase", "showcase for pro"])
def mail(request, weekly_issue) -> str:
    files = {"weekly": weekly_issue, "sample": SAMPLE_ISSUE, "showcase": SHOWCASE, "showcase for pro": SHOWCASE}
    return html_of(files[request.param], PRO if "pro" in request.param else FREE)


@pytest.fixture(scope="module")
def screen(chromium):
    """Show a mail at a width, offline; a mail's pictures are large ones, as the worst case."""
    context = chromium.new_context(viewport={"width": 800, "height": 900})
    page = context.new_page()
    page.route("**/*", lambda route: route.fulfill(content_type="image/svg+xml", body=LARGE_PICTURE))

    def show(html: str, width: int):
        page.set_viewport_size({"width": width, "height": 900})
        page.set_content(html)
        return page

    yield show
    context.close()


LARGE_PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="1600" height="900"><rect width="1600" height="900"/></svg>'
)


@pytest.mark.parametrize("styled", [True, False], ids=["styled", "bare"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_is_as_wide_as_the_screen_and_its_text_is_readable(screen, mail, width, styled):
    page = screen(mail if styled else bare(mail), width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(CUT_OFF, width) == []
    small = [text for size, text in page.evaluate(BODY_TEXT) if size < 15]
    assert small == []


@pytest.mark.parametrize("styled", [True, False], ids=["styled", "bare"])
@pytest.mark.parametrize("width", PHONES)
def test_a_long_cell_has_room_on_a_phone(screen, mail, width, styled):
    cells = screen(mail if styled else bare(mail), width).evaluate(LONG_CELLS, LONG_CELL)
    assert cells or "夜班公交" in mail
    assert [text for room, text in cells if room < 200] == []


def test_cells_stand_side_by_side_on_a_wide_screen(screen, mail):
    rows = screen(mail, 800).evaluate(TOPS, ["in2", True])
    assert rows
    for tops in rows:
        pairs = [tops[start : start + 2] for start in range(0, len(tops), 2)]
        assert all(len(set(pair)) == 1 for pair in pairs)


@pytest.mark.parametrize(("width", "styled"), [(320, True), (414, True), (800, False)])
def test_all_but_short_cells_stand_one_below_the_other_on_a_phone_and_all_without_styles(screen, mail, width, styled):
    rows = screen(mail if styled else bare(mail), width).evaluate(TOPS, ["in2", not styled])
    assert rows or (styled and "夜班公交" in mail)
    for tops in rows:
        assert tops == sorted(set(tops))


@pytest.mark.parametrize("styled", [True, False], ids=["styled", "bare"])
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_no_issue_of_the_corpus_is_wider_than_a_phone(screen, path, styled):
    html = html_of(path, PRO)
    page = screen(html if styled else bare(html), 320)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert page.evaluate(CUT_OFF, 320) == []


@pytest.mark.parametrize("styled", [True, False], ids=["styled", "bare"])
@pytest.mark.parametrize("locale", ["zh-CN", "en"])
@pytest.mark.parametrize("kind", NoticeKind)
def test_a_notice_fits_the_smallest_phone_and_its_links_are_large_enough_to_tap(screen, kind, locale, styled):
    html = notice_html(kind, locale)
    page = screen(html if styled else bare(html), 320)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert page.evaluate(CUT_OFF, 320) == []
    assert [text for size, text in page.evaluate(BODY_TEXT) if size < 15] == []
    heights = page.evaluate("[...document.querySelectorAll('a')].map(e => e.getBoundingClientRect().height)")
    assert [height for height in heights if height < 44] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_preflight_says_of_colours_is_what_a_browser_paints(chromium, weekly_issue, scheme):
    """The check of contrast computes the cascade by itself; here it is held against the real one."""
    html = html_of(SHOWCASE)
    ours = {(text[:15], paint.colour) for text, paint in painted(html, dark=scheme == "dark")}
    context = chromium.new_context(color_scheme=scheme, offline=True)
    page = context.new_page()
    page.set_content(html)
    theirs = page.evaluate(
        """() => { const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const node = walker.currentNode, text = node.textContent.trim();
            if (!text || !node.parentElement.offsetParent) continue;
            const [r, g, b] = getComputedStyle(node.parentElement).color.match(/\\d+/g).map(Number);
            found.push([text.slice(0, 15), '#' + [r, g, b].map(c => c.toString(16).padStart(2, '0')).join('')]);
        } return found; }"""
    )
    context.close()
    assert len(theirs) > 60
    assert {tuple(one) for one in theirs} - ours == set()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_table_in_a_callout_looks_like_any_other_on_the_callouts_ground(chromium, scheme):
    table = "| 年 | 万元 |\n|---|--:|\n| 2025 | 12 |"
    html = files(mail_of(f"# 标题\n\n{table}\n\n::: warning\n{table}\n:::"))["issue.html"]
    context = chromium.new_context(color_scheme=scheme, offline=True)
    page = context.new_page()
    page.set_content(html)
    looks = page.evaluate(
        """() => [...document.querySelectorAll('.figures td')].map(e => { const s = getComputedStyle(e);
        return [s.paddingLeft, s.borderLeftWidth, s.borderBottomColor, s.backgroundColor].join(); })"""
    )
    grounds = page.evaluate(
        "() => [...document.querySelectorAll('.figures')].map(e => getComputedStyle(e).backgroundColor)"
    )
    context.close()
    assert len(looks) == 2
    assert len(set(looks)) == 1
    assert grounds[1] == "rgba(0, 0, 0, 0)"


def test_in_the_dark_nothing_stays_light(chromium, weekly_issue):
    context = chromium.new_context(viewport={"width": 800, "height": 900}, color_scheme="dark", offline=True)
    page = context.new_page()
    notices = [notice_html(kind, "zh-CN") for kind in NoticeKind]
    for html in (html_of(weekly_issue), html_of(SHOWCASE), html_of(SHOWCASE, PRO), *notices):
        page.set_content(html)
        light = page.evaluate(
            """() => [...document.querySelectorAll('body, body *')].filter(e => e.getClientRects().length)
            .map(e => [getComputedStyle(e).backgroundColor.match(/[\\d.]+/g).map(Number), e])
            .filter(([[r, g, b, a = 1], e]) => a > 0 && r + g + b > 3 * 128 && !e.matches('.press, .button'))
            .map(([, e]) => e.outerHTML.slice(0, 80))"""
        )
        assert light == []
    context.close()
