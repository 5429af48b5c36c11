"""axe-core, the accessibility checker, on the mail: WCAG A and AA at both widths, light and dark."""

import pytest

from newsletter.outbox import NoticeKind
from tests.mails import SAMPLE_ISSUE, SHOWCASE, html_of, notice_html
from tests.referees.tools import node_file


#: Levels A and AA of every WCAG. axe's "best practices" are left out: they ask a mail for landmarks of a web page.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
#: The size of what is tapped is AA since WCAG 2.2, yet axe looks at it only where it is told to.
OPTIONS = {
    "runOnly": {"type": "tag", "values": TAGS},
    "rules": {"target-size": {"enabled": True}},
    "resultTypes": ["violations", "incomplete"],
}

#: Planted into a mail before its end, and the rule of axe that must speak up.
DEFECTS = {
    "an image without a text": ("<img src='https://news.example.com/a.png'>", "image-alt"),
    "a link without words": ("<a href='https://news.example.com/'></a>", "link-name"),
    "pale text": ("<p style='background:#ffffff;color:#bbbbbb'>看不清的字</p>", "color-contrast"),
}

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def axe() -> str:
    return node_file("axe-core/axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def judged(chromium, axe):
    """Let axe judge a mail on a screen: what is wrong, and what it could not decide, by rule."""

    def judge(html: str, width: int, scheme: str) -> dict[str, list[str]]:
        # Offline: a mail's images are not fetched from anywhere.
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        page = context.new_page()
        page.set_content(html)
        page.evaluate(axe)
        result = page.evaluate("options => axe.run(document, options)", OPTIONS)
        context.close()
        assert result["testEngine"]["name"] == "axe-core"
        return {
            rule["id"]: [f"{rule['help']}: {node['html']}\n{node['failureSummary']}" for node in rule["nodes"]]
            for rule in [*result["violations"], *result["incomplete"]]
        }

    return judge


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800])
@pytest.mark.parametrize("mail", ["weekly", "sample", "showcase"])
def test_the_mail_is_open_to_everyone(judged, weekly_issue, mail, width, scheme):
    issue = {"weekly": weekly_issue, "sample": SAMPLE_ISSUE, "showcase": SHOWCASE}[mail]
    found = judged(html_of(issue), width, scheme)
    assert not found, "\n\n".join(f"{rule}: {node}" for rule, nodes in found.items() for node in nodes)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("kind", "locale"),
    [(NoticeKind.confirm, "zh-CN"), (NoticeKind.renewal, "en"), (NoticeKind.address_changed, "zh-CN")],
)
def test_a_notice_is_open_to_everyone(judged, kind, locale, scheme):
    found = judged(notice_html(kind, locale), 360, scheme)
    assert not found, "\n\n".join(f"{rule}: {node}" for rule, nodes in found.items() for node in nodes)


@pytest.mark.parametrize("defect", DEFECTS)
def test_axe_finds_a_planted_defect(judged, defect):
    markup, rule = DEFECTS[defect]
    planted = html_of(SAMPLE_ISSUE).replace("</body>", f"{markup}</body>")
    assert rule in judged(planted, 800, "light")
