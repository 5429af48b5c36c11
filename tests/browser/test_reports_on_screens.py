"""The pages of reports in Chromium: nothing wider than the screen, no words over each other, readable in the dark."""

from datetime import UTC, date, datetime, timedelta

import pytest

from newsletter.reports.growth import GROWTH, Growth, Move, Week
from newsletter.reports.issue import IssueReport
from newsletter.reports.page import Page, render_page
from newsletter.reports.publication import MailedIssue
from newsletter.reports.publication_page import PublicationPage, render_publication
from newsletter.reports.sheet import Sheet
from newsletter.reports.tallies import Tally
from tests.world import TEMPLATES


pytestmark = pytest.mark.browser

BEGUN = datetime(2026, 11, 23, 1, tzinfo=UTC)
SUBJECT = "科技动向周报：一个很长的题目 with a-word-that-cannot-be-broken-anywhere-at-all"


def became(size: int, complained: int) -> Tally:
    bounces = {"hard": size // 100, "blocked": size // 50}
    lost = sum(bounces.values()) + 3 * (size // 100)
    places = dict.fromkeys(("deferred", "silent", "dropped"), size // 100)
    return Tally(size, size, size - lost, bounces=bounces, complained=complained, **places)


PROVIDERS = {"netease": became(1_234_567, 4000), "microsoft": became(98_765, 120), "qq": became(9000, 2)}


def issue(language: str) -> str:
    total = became(1_342_332, 4122)
    report = IssueReport(
        7,
        3,
        BEGUN,
        live=False,
        candidates=1_400_000,
        exclusions={"unsubscribed": 57_000, "not_on_allow_list": 668},
        total=total,
        by_plan={"free": total},
        by_provider=PROVIDERS,
        left=1234,
        top_links=((f"https://news.example.com/{'a' * 90}", 120_000),),
    )
    # Every hour of a day, and one that comes three days later.
    arrivals = {f"{BEGUN + timedelta(hours=hour):%Y-%m-%d %H}": 400_000 // (hour + 1) for hour in (*range(24), 72)}
    page = Page("每周动向", SUBJECT, BEGUN + timedelta(days=3), report, arrivals, issues(total))
    return render_page(page, Sheet(TEMPLATES, language, "Asia/Shanghai"))


def issues(total: Tally) -> list[MailedIssue]:
    return [MailedIssue(9 - n, SUBJECT, BEGUN - timedelta(weeks=n), total, PROVIDERS) for n in range(9)]


def publication(language: str) -> str:
    counts = {name: 300 * number for number, name in enumerate(GROWTH)}
    weeks = tuple(Week(date(2025, 12, 1) + timedelta(weeks=n), counts) for n in range(52))
    growth = Growth(weeks, (Move("free", "professional", 1234),))
    health = {"confirmed": 1_342_332, "suppressed: soft_bounces": 4321}
    page = PublicationPage(
        publication="每周动向",
        live=False,
        now=BEGUN,
        growth=growth,
        health=health,
        issues=issues(became(1_342_332, 900)),
    )
    return render_publication(page, Sheet(TEMPLATES, language, "Asia/Shanghai"))


#: What stands where, and in which colours on which: asked of the page in one go.
LOOK = """() => {
  const wrong = [], box = e => e.getBoundingClientRect(), style = e => getComputedStyle(e);
  const all = names => [...document.querySelectorAll(names)].filter(e => e.getClientRects().length);
  const texts = all('svg text').filter(t => t.textContent.trim());
  texts.forEach((t, i) => {
    const svg = t.closest('svg'), frame = box(svg), a = box(t);
    if (a.left < frame.left - 1 || a.right > frame.right + 1) wrong.push(`${t.textContent} is cut`);
    texts.slice(i + 1).filter(u => u.closest('svg') === svg).forEach(u => {
      const b = box(u);
      const over = a.left < b.right && b.left < a.right && a.top + 2 < b.bottom && b.top + 2 < a.bottom;
      if (over) wrong.push(`${t.textContent} over ${u.textContent}`);
    });
  });
  all('tbody td, tbody th, dd, li').forEach(e => {
    if (e.scrollWidth > e.clientWidth + 1 || box(e).right > box(e.closest('section')).right)
      wrong.push(`${e.textContent} sticks out`);
  });
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const light = color => {
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const linear = v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(v => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const card = light(style(all('section')[0]).backgroundColor);
  const contrast = color => Math.max(light(color), card) / Math.min(light(color), card);
  return {
    wide: document.documentElement.scrollWidth - innerWidth,
    wrong,
    sizes: texts.map(t => parseFloat(style(t).fontSize) * t.getScreenCTM().a),
    words: Math.min(...texts.map(t => contrast(style(t).fill))),
    lines: Math.min(...all('svg .guides path, svg .axis path').map(p => contrast(style(p).stroke))),
    gap: box(all('main > p:last-child')[0]).top - box(all('section').at(-1)).bottom,
  };
}"""


@pytest.mark.parametrize("page", [issue, publication])
@pytest.mark.parametrize(
    ("width", "scheme", "language"), [(390, "dark", "en"), (390, "light", "zh"), (1200, "dark", "zh")]
)
def test_a_report_reads_well(chromium, page, width, scheme, language):
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    shown = context.new_page()
    shown.set_content(page(language))
    seen = shown.evaluate(LOOK)
    context.close()
    assert seen["wide"] <= 0
    assert seen["wrong"] == []
    # As large as small words of the page, whatever its width.
    assert all(11 <= size <= 15 for size in seen["sizes"])
    assert seen["words"] >= 4.5
    assert seen["lines"] >= 1.25
    assert seen["gap"] >= 12
