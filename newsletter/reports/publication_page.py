"""The report of a publication as one page: how it grows, how its list stands, how its issues arrive. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from newsletter.reports.charts import stacked_columns
from newsletter.reports.growth import GROWTH, Growth
from newsletter.reports.publication import MailedIssue, joined
from newsletter.reports.sheet import Cell, Sheet, Table


#: What is drawn of the weeks, each with its colour; who left hangs down.
_DRAWN = {
    "imported": "var(--blue)",
    "confirmed": "var(--good)",
    "came back": "var(--wait)",
    "left": "var(--bad)",
}
#: More weeks than that stand in the table alone.
_MOST_WEEKS = 52


@dataclass(frozen=True)
class PublicationPage:
    """What a page shows.

    Attributes:
        health: How many readers stand where, by name.
        issues: The last issues, the newest first.
    """

    publication: str
    live: bool
    now: datetime
    growth: Growth
    health: Mapping[str, int]
    issues: Sequence[MailedIssue]


def render_publication(page: PublicationPage, sheet: Sheet) -> str:
    """Render the report of a publication as HTML."""
    words = sheet.words
    facts = {"publication": page.publication, "now": sheet.moment(page.now), "zone": sheet.zone}
    by_issue = [(sheet.day(one.begun_at), one.total) for one in page.issues]
    providers = list(joined(one.by_provider for one in page.issues).items())
    return sheet.render(
        "publication.html.j2",
        title=words["publication_title"].format(**facts),
        subtitle=words["publication_subtitle"].format(**facts),
        live=page.live,
        health=[{"name": sheet.named("health", name), "count": count} for name, count in page.health.items()],
        weeks_legend=[(sheet.named("growth", name), color) for name, color in _DRAWN.items()],
        weeks_drawn=_weeks_drawn(page.growth, sheet),
        weeks=_weeks(page.growth, sheet),
        moves=_moves(page.growth, sheet),
        legend=sheet.legend(),
        bars=sheet.bars(providers) if providers else Markup(""),
        providers=sheet.table("provider", providers),
        complaints=sheet.complaints(providers),
        complaints_by_issue=sheet.complaints(by_issue),
        issues=sheet.table("issue", [(one.subject, one.total) for one in page.issues]),
    )


def _weeks_drawn(growth: Growth, sheet: Sheet) -> Markup:
    weeks = growth.weeks[-_MOST_WEEKS:]
    parts = {name: [-one.counts[name] if name == "left" else one.counts[name] for one in weeks] for name in _DRAWN}
    if not any(any(counts) for counts in parts.values()):
        return Markup("")
    named = {sheet.named("growth", name): counts for name, counts in parts.items()}
    return stacked_columns([f"{one.begins:%m-%d}" for one in weeks], named, list(_DRAWN.values()))


def _weeks(growth: Growth, sheet: Sheet) -> Table:
    head = [sheet.words["week"], *(sheet.named("growth", name) for name in GROWTH)]
    newest_first = reversed(growth.weeks)
    return Table(
        head, [[Cell(f"{one.begins}"), *(Cell(f"{one.counts[name]:,}") for name in GROWTH)] for one in newest_first]
    )


def _moves(growth: Growth, sheet: Sheet) -> Table:
    head = [sheet.words[column] for column in ("move", "readers")]
    return Table(head, [[Cell(f"{one.before or '–'} → {one.after}"), Cell(f"{one.readers:,}")] for one in growth.moves])
