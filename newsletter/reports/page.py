"""A report as one page: self-contained, with charts as SVG, for a phone, a desktop, light, dark and paper.

Pure: it is given what to show. Charts come from ``charts``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from newsletter.reports.charts import columns, stacked_bars
from newsletter.reports.issue import IssueReport
from newsletter.reports.tallies import Tally


#: Places in the order of a bar, each with its colour.
_PLACES = {
    "delivered": "var(--good)",
    "under_way": "var(--wait)",
    "silent": "var(--none)",
    "dropped": "var(--soft)",
    "bounced": "var(--bad)",
}
_MOST_PROVIDERS = 10
#: What comes later than that comes one by one.
_MOST_HOURS = 24
_HOUR = "%Y-%m-%d %H"
#: The line for complaints that Gmail and Yahoo ask to stay under.
_COMPLAINT_LINE = 0.001


@dataclass(frozen=True)
class Page:
    """What a page shows.

    Attributes:
        arrivals: Deliveries by hour.
        before: The reports of earlier issues, the newest first, each with its subject.
    """

    publication: str
    subject: str
    language: str
    zone: str
    now: datetime
    report: IssueReport
    arrivals: Mapping[str, int]
    before: Sequence[tuple[str, IssueReport]]


def render_page(page: Page, templates: Path) -> str:
    """Render a report as HTML."""
    folder = templates / "reports"
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=select_autoescape(["j2"]), undefined=StrictUndefined
    )
    words = words_of(templates, page.language)
    report = page.report
    begun = f"{report.begun_at:%Y-%m-%d %H:%M}" if report.begun_at else "–"
    facts = {"publication": page.publication, "subject": page.subject, "mailing": report.mailing_id, "zone": page.zone}
    facts |= {"begun": begun, "now": f"{page.now:%Y-%m-%d %H:%M}"}
    return environment.get_template("issue.html.j2").render(
        t=words,
        language=page.language,
        title=words["title"].format(**facts),
        subtitle=words["subtitle"].format(**facts),
        report=report,
        numbers=_numbers(report, words),
        charts=_charts(page, words),
        tables=_tables(page, words),
        table=_table,
    )


def words_of(templates: Path, language: str) -> Mapping[str, str]:
    """Read what reports say, also in the terminal."""
    words = yaml.safe_load((templates / "reports" / "words.yaml").read_text(encoding="utf-8"))
    return dict(words[language])


def _numbers(report: IssueReport, words: Mapping[str, str]) -> list[dict[str, Any]]:
    total, accepted = report.total, report.total.accepted
    shown = [
        ("candidates", report.candidates, "", ""),
        ("exclusions", sum(report.exclusions.values()), "", ""),
        ("accepted", accepted, "", ""),
        ("delivered", total.delivered, _share(total.delivered, accepted), "good"),
        ("under_way", _under_way(total), "", "wait"),
        ("silent", total.silent, "", ""),
        ("dropped", total.dropped, "", ""),
        ("bounced", total.bounced, _share(total.bounced, accepted), "bad"),
        ("complained", total.complained, _share(total.complained, total.delivered, 3), "bad"),
        ("left", report.left, "", ""),
    ]
    if total.is_tracked:
        shown += [(name, getattr(total, name), "", "") for name in ("opened", "machine_opened", "clicked")]
    return [{"name": words[name], "count": count, "share": share, "look": look} for name, count, share, look in shown]


def _charts(page: Page, words: Mapping[str, str]) -> dict[str, Markup]:
    providers = list(page.report.by_provider.items())[:_MOST_PROVIDERS]
    issues = [page.report, *(one for _, one in page.before)]
    return {
        "providers": _bars([(name, one) for name, one in providers], words),
        "arrivals": _arrivals(page, words) if page.arrivals else Markup(""),
        "issues": _bars([(_day(one), one.total) for one in issues], words) if page.before else Markup(""),
    }


def _arrivals(page: Page, words: Mapping[str, str]) -> Markup:
    first = datetime.strptime(min(page.arrivals), _HOUR).replace(tzinfo=UTC)
    hours = [first + timedelta(hours=number) for number in range(_MOST_HOURS)]
    by_hour = {f"{one:%H:%M}": page.arrivals.get(f"{one:{_HOUR}}", 0) for one in hours}
    # Nothing is left out of the sum: a mail that waited for days stands at the end.
    if later := sum(page.arrivals.values()) - sum(by_hour.values()):
        by_hour[words["later"]] = later
    return columns(by_hour, words["delivered"], "var(--good)")


def _bars(rows: Sequence[tuple[str, Tally]], words: Mapping[str, str]) -> Markup:
    """Draw what became of the accepted of each row, in percent of them."""
    parts = {words[place]: [_percent(_count(one, place), one.accepted) for _, one in rows] for place in _PLACES}
    return stacked_bars([name for name, _ in rows], parts, list(_PLACES.values()))


def _tables(page: Page, words: Mapping[str, str]) -> dict[str, list[list[Any]]]:
    issues = [(page.subject, page.report), *page.before]
    report = page.report
    return {
        "providers": _rows(words["provider"], list(report.by_provider.items()), words),
        "plans": _rows(words["plan"], list(report.by_plan.items()), words),
        "issues": _rows(words["issue"], [(name, one.total) for name, one in issues], words),
    }


def _rows(first: str, tallies: Sequence[tuple[str, Tally]], words: Mapping[str, str]) -> list[list[Any]]:
    head = [first, words["accepted"], *(words[place] for place in _PLACES), words["complained"]]
    body = [
        [name or "–", one.accepted, *(_count(one, place) for place in _PLACES), _complaints(one)]
        for name, one in tallies
    ]
    return [head, *body]


def _table(rows: Sequence[Sequence[Any]]) -> Markup:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows[1:])
    return Markup(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")  # noqa: S704 - escaped above


def _cell(value: Any) -> str:
    if isinstance(value, tuple):
        text, is_over = value
        return f'<td class="over">{escape(text)}</td>' if is_over else f"<td>{escape(text)}</td>"
    return f"<td>{escape(f'{value:,}' if isinstance(value, int) else value)}</td>"


def _complaints(one: Tally) -> tuple[str, bool]:
    share = one.complained / one.delivered if one.delivered else 0.0
    return f"{one.complained:,}{f' ({share:.2%})' if one.complained else ''}", share >= _COMPLAINT_LINE


def _count(one: Tally, place: str) -> int:
    return _under_way(one) if place == "under_way" else int(getattr(one, place))


def _under_way(one: Tally) -> int:
    return one.deferred + one.processed


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole and part else None


def _share(part: int, whole: int, digits: int = 1) -> str:
    return f"{part / whole:.{digits}%}" if whole and part else ""


def _day(report: IssueReport) -> str:
    return f"{report.begun_at:%Y-%m-%d}" if report.begun_at else "–"
