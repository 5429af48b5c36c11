"""Reports as lines of CSV: what each line is of, its name, and the same columns in all lines of a report."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from newsletter.feedback.outcomes import BOUNCED
from newsletter.reports.growth import GROWTH, Growth
from newsletter.reports.lines import line_reached
from newsletter.reports.page import Page
from newsletter.reports.publication import MailedIssue
from newsletter.reports.tallies import Tally
from subscribers.formulas import neutralised


_TALLY = (
    *("recipients", "accepted", "delivered", "deferred", "processed", "silent", "dropped", "bounced", "complained"),
    *sorted(one.name for one in BOUNCED),
    *("deferred_once", "opened", "machine_opened", "clicked"),
)
_ISSUE = ("of", "name", "candidates", "excluded", *_TALLY, "left")
_DELIVERABILITY = ("of", "name", *_TALLY, "delivered_share", "complaint_share", "complaint_line")
_GROWTH = ("of", "name", *GROWTH, "readers")


def lines_of_issue(page: Page) -> Iterator[Sequence[object]]:
    """Give a line for the whole, and for each plan, provider, reason, hour (UTC), link and issue of the last ones."""
    found = page.report
    whole = {"candidates": found.candidates, "excluded": sum(found.exclusions.values())}
    yield _ISSUE
    yield _line(_ISSUE, "whole", "", _tally(found.total) | whole | {"left": found.left})
    for of, tallies in (("plan", found.by_plan), ("provider", found.by_provider)):
        for name, one in tallies.items():
            yield _line(_ISSUE, of, name, _tally(one))
    for reason, count in found.exclusions.items():
        yield _line(_ISSUE, "exclusion", reason, {"excluded": count})
    for hour, count in page.arrivals.items():
        yield _line(_ISSUE, "hour", f"{hour}:00", {"delivered": count})
    for url, count in found.top_links:
        yield _line(_ISSUE, "link", url, {"clicked": count})
    for issue in page.issues:
        yield _line(_ISSUE, "issue", issue.subject, _tally(issue.total))


def lines_of_deliverability(
    providers: Mapping[str, Tally], issues: Sequence[MailedIssue]
) -> Iterator[Sequence[object]]:
    """Give a line for each mailbox provider in all issues, and for each issue."""
    yield _DELIVERABILITY
    for name, one in providers.items():
        yield _line(_DELIVERABILITY, "provider", name, _tally(one) | shares_of(one))
    for issue in issues:
        yield _line(_DELIVERABILITY, "issue", issue.subject, _tally(issue.total) | shares_of(issue.total))


def lines_of_growth(growth: Growth, health: Mapping[str, int]) -> Iterator[Sequence[object]]:
    """Give a line for each week, for each two plans that readers moved between, and for how the list stands."""
    yield _GROWTH
    for week in growth.weeks:
        yield _line(_GROWTH, "week", f"{week.begins}", week.counts)
    for move in growth.moves:
        yield _line(_GROWTH, "move", f"{move.before} → {move.after}", {"readers": move.readers})
    for name, count in health.items():
        yield _line(_GROWTH, "health", name, {"readers": count})


def shares_of(one: Tally) -> dict[str, float | None]:
    """Give a tally's shares, and which of the lines its complaints have reached."""
    return {
        "delivered_share": round(one.delivered_share, 4),
        "complaint_share": round(one.complaint_share, 5),
        "complaint_line": line_reached(one.complaint_share),
    }


def _tally(one: Tally) -> dict[str, Any]:
    return {**dict.fromkeys(_TALLY, 0), **one.as_json(), **one.bounces}


def _line(columns: Sequence[str], of: str, name: str, values: Mapping[str, Any]) -> Sequence[object]:
    return [of, neutralised(name), *(values.get(column, "") for column in columns[2:])]
