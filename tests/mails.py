"""Short words for tests that render: a publication's face, its plans, our theme, and a source as mail or edition."""

from datetime import UTC, date, datetime
from pathlib import Path

from newsletter.issues.access import ReaderPlan, cut, may_receive
from newsletter.issues.document import decode, parse
from newsletter.notices.rendering import render_notice
from newsletter.notices.samples import sample_letter
from newsletter.outbox import NoticeKind
from newsletter.preflight.edition import Edition, Moment
from newsletter.publications import Publication
from newsletter.rendering.export import files
from newsletter.rendering.mail import Face, Rendering, render
from newsletter.rendering.personalisation import ReaderValues
from newsletter.rendering.themes import Theme, load_notice_theme, load_theme


ROOT = Path(__file__).parents[1]
TEMPLATES = ROOT / "templates"
SAMPLE_ISSUE = ROOT / "examples" / "weekly.md"
SHOWCASE = ROOT / "examples" / "showcase.md"
CORPUS = sorted(path for path in (ROOT / "tests" / "corpus").glob("*.md") if path.name[0].isdigit())

THEME = load_theme(TEMPLATES)
NOTICE_THEME = load_notice_theme(TEMPLATES)
FREE = ReaderPlan("free", frozenset({"free"}), "免费")
PRO = ReaderPlan("pro", frozenset({"free", "pro"}), "专业")
FACE = Face(
    "测试刊",
    "https://news.example.com",
    "示例市示例路 1 号",
    "zh-CN",
    upgrade_url="https://news.example.com/pro",
    plan_names={"free": "免费", "pro": "专业"},
)
READER = ReaderValues(
    "王小明",
    "w***@q**.com",
    "https://n.example.com/u/abcdefghijklmnopqrstuv",
    "https://n.example.com/preferences/abcdefghijklmnopqrstuv",
    "https://n.example.com/read/abcdefghijklmnopqrstuv/7",
)
TODAY = date(2026, 11, 23)


def mail(source: str, face: Face = FACE, plan: ReaderPlan = FREE, theme: Theme = THEME) -> Rendering:
    """Render a source for a plan."""
    return render(cut(parse(source), plan), face, plan, theme)


def html_of(file: Path, plan: ReaderPlan = FREE) -> str:
    """Render an issue's file as HTML, with a reader's values filled in."""
    return files(mail(decode(file.read_bytes()), plan=plan))["issue.html"]


def notice_html(kind: NoticeKind, locale: str) -> str:
    """Render a notice to an invented reader of a publication."""
    publication = Publication(
        id=1,
        code="weekly",
        name=FACE.name,
        sender="weekly@news.example.com",
        reply_to="editor@news.example.com",
        site_url=FACE.site_url,
        postal_address=FACE.postal_address,
        created_at=datetime(2026, 11, 23, tzinfo=UTC),
    )
    letter = sample_letter(kind, publication, locale, NOTICE_THEME, now=publication.created_at)
    return render_notice(letter, NOTICE_THEME).html


def edition(
    source: str, face: Face = FACE, reply_to: str = "editor@news.example.com", theme: Theme = THEME, **moment: object
) -> Edition:
    """Render a source for every plan that may have it, for preflight."""
    document = parse(source)
    plans = (FREE, PRO)
    renderings = tuple(mail(source, face, plan, theme) for plan in plans if may_receive(document, plan))
    return Edition(document, face, reply_to, plans, renderings, Moment(TODAY, **moment))  # type: ignore[arg-type]
