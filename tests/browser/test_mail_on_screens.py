"""The mail on real screens: no overflow at any width, with styles and without, light and dark."""

import re
from pathlib import Path

import pytest

from newsletter.issues.access import ReaderPlan
from newsletter.issues.document import decode, parse
from newsletter.rendering.export import files
from newsletter.rendering.mail import Face, render
from newsletter.rendering.themes import load_theme


TEMPLATES = Path(__file__).parents[2] / "templates"
FACE = Face("测试刊", "https://news.example.com", "示例市示例路 1 号", "zh-CN")

HARD = """# 很长的标题测试：无空格的ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ与网址

https://news.example.com/a/very/long/address/that/has/no/place/to/break/and/goes/on/and/on/and/on/and/on

| 年 | 万元 | 比 | 注 |
|---|--:|--:|---|
| 2025 | 1,234 | 5% | 短 |

| 事件 | 要点 | 影响 | 来源 | 备注 |
|---|---|---|---|---|
| [甲](/a) | 要点很长很长很长很长很长很长很长很长 | 影响 | 来源 | |

```
one_line_of_code_that_is_far_too_long_for_a_phone = another_long_name(and_an_argument, and_another_argument)
```

> 引文

- 一
  - 二
"""

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", params=["weekly", "hard"])
def mail(request, weekly_issue):
    source = decode(weekly_issue.read_bytes()) if request.param == "weekly" else HARD
    theme = load_theme(TEMPLATES)
    rendering = render(parse(source), FACE, ReaderPlan("free", frozenset({"free"}), "免费"), theme)
    return files(rendering)["issue.html"]


@pytest.mark.parametrize("width", [320, 390, 600, 800])
@pytest.mark.parametrize("styled", [True, False])
def test_the_page_is_as_wide_as_the_screen_and_its_text_is_readable(chromium, mail, width, styled):
    html = mail if styled else re.sub(r"<style.*?</style>", "", mail, flags=re.DOTALL)
    page = chromium.new_page(viewport={"width": width, "height": 900})
    page.set_content(html)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    smallest = page.evaluate(
        """() => Math.min(...[...document.querySelectorAll('p, li, td, h1, h2, h3')]
            .filter(e => e.innerText.trim() && e.offsetParent && e.getClientRects().length
                         && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()))
            .map(e => parseFloat(getComputedStyle(e).fontSize)))"""
    )
    assert smallest >= 15
    page.close()


def test_cells_stand_side_by_side_on_a_wide_screen_and_one_below_the_other_on_a_phone(chromium, mail):
    page = chromium.new_page(viewport={"width": 800, "height": 900})
    page.set_content(mail)
    rows = "() => [...document.querySelectorAll('p.side')].slice(0, 2).map(e => e.getBoundingClientRect().top)"
    first, second = page.evaluate(rows)
    assert first == second
    page.set_viewport_size({"width": 390, "height": 900})
    first, second = page.evaluate(rows)
    assert second > first
    page.close()
