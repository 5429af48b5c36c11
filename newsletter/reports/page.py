"""The report of an issue as one page: self-contained, with charts as SVG, for a phone, a desk, light, dark and paper.

Pure: it is given what to show. ``sheet`` has what it shares with the page of a publication.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from newsletter.reports.charts import columns
from newsletter.reports.issue import IssueReport
from newsletter.reports.publication import MailedIssue
from newsletter.reports.sheet import Cell, Sheet, Table, share
from newsletter.reports.tallies import Tally


_MOST_PROVIDERS = 10
#: What comes later than that comes one by one.
_MOST_HOURS = 24
_HOUR = "%Y-%m-%d %H"


@dataclass(frozen=True)
class Page:
    """What a page shows.

    Attributes:
        arrivals: Deliveries by the hour they arrived in, in UTC.
        issues: The last issues up to this one, the newest first, as they stand in all.
    """

    publication: str
    subject: str
    now: datetime
    report: IssueReport
    arrivals: Mapping[str, int]
    issues: Sequence[MailedIssue]


def render_page(page: Page, sheet: Sheet) -> str:
    """Render a report as HTML."""
    report, words = page.report, sheet.words
    facts = {"publication": page.publication, "subject": page.subject, "mailing": report.mailing_id, "zone": sheet.zone}
    facts |= {"begun": sheet.moment(report.begun_at), "now": sheet.moment(page.now)}
    providers = list(report.by_provider.items())
    issues = [(one.subject, one.total) for one in page.issues]
    return sheet.render(
        "issue.html.j2",
        title=words["title"].format(**facts),
        subtitle=words["subtitle"].format(**facts),
        over_time=words["over_time"].format(**facts),
        live=report.live,
        report=report,
        numbers=_numbers(report, words),
        legend=sheet.legend(),
        bars=sheet.bars(providers[:_MOST_PROVIDERS]) if providers else Markup(""),
        complaints=sheet.complaints(providers[:_MOST_PROVIDERS]),
        arrivals=_arrivals(page, sheet) if page.arrivals else Markup(""),
        beside=sheet.bars([(sheet.day(one.begun_at), one.total) for one in page.issues]) if issues[1:] else Markup(""),
        providers=sheet.table("provider", providers),
        plans=sheet.table("plan", list(report.by_plan.items())),
        issues=sheet.table("issue", issues),
        bounces=_bounces(report.total, sheet),
        exclusions=_exclusions(report, sheet),
    )


def _numbers(report: IssueReport, words: Mapping[str, Any]) -> list[dict[str, Any]]:
    total, accepted = report.total, report.total.accepted
    shown = [
        ("candidates", report.candidates, "", ""),
        ("exclusions", sum(report.exclusions.values()), "", ""),
        ("accepted", accepted, "", ""),
        ("delivered", total.delivered, share(total.delivered, accepted), "good"),
        ("under_way", total.under_way, "", "wait"),
        ("silent", total.silent, "", ""),
        ("deferred_once", total.deferred_once, "", ""),
        ("dropped", total.dropped, "", ""),
        ("bounced", total.bounced, share(total.bounced, accepted), "bad"),
        ("complained", total.complained, share(total.complained, total.delivered, 3), "bad"),
        ("left", report.left, "", ""),
    ]
    if total.is_tracked:
        shown += [(name, getattr(total, name), "", "") for name in ("opened", "machine_opened", "clicked")]
    return [{"name": words[name], "count": count, "share": part, "look": look} for name, count, part, look in shown]


def _arrivals(page: Page, sheet: Sheet) -> Markup:
    came = {datetime.strptime(hour, _HOUR).replace(tzinfo=UTC): count for hour, count in page.arrivals.items()}
    first = min(came)
    last = max(hour for hour in came if hour < first + timedelta(hours=_MOST_HOURS))
    hours = [first + timedelta(hours=number) for number in range((last - first) // timedelta(hours=1) + 1)]
    labels = [f"{one.astimezone(ZoneInfo(sheet.zone)):%H:%M}" for one in hours]
    counts = [came.get(one, 0) for one in hours]
    # Nothing is left out of the sum: a mail that waited for days stands at the end.
    if later := sum(came.values()) - sum(counts):
        labels, counts = [*labels, sheet.words["later"]], [*counts, later]
    return columns(labels, counts, sheet.words["delivered"], "var(--good)")


def _bounces(total: Tally, sheet: Sheet) -> Table:
    rows = sorted(total.bounces.items(), key=lambda one: -one[1])
    head = [sheet.words[column] for column in ("bounce_class", "readers", "of_accepted")]
    return Table(
        head,
        [
            [Cell(sheet.named("bounce", name)), Cell(f"{count:,}"), Cell(share(count, total.accepted, 2) or "–")]
            for name, count in rows
        ],
    )


def _exclusions(report: IssueReport, sheet: Sheet) -> Table:
    rows = sorted(report.exclusions.items(), key=lambda one: -one[1])
    head = [sheet.words[column] for column in ("reason", "readers")]
    return Table(head, [[Cell(sheet.named("exclusion", name)), Cell(f"{count:,}")] for name, count in rows])
