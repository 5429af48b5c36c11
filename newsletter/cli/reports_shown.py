"""Reports in the terminal: facts, tables, and which complaints have reached the lines of mailbox providers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from newsletter.cli.console import out, print_facts, print_rows, say
from newsletter.reports.growth import GROWTH, Growth
from newsletter.reports.issue import IssueReport
from newsletter.reports.lines import NEVER_REACH, STAY_UNDER, line_reached
from newsletter.reports.page import Page
from newsletter.reports.publication import MailedIssue
from newsletter.reports.sheet import Sheet
from newsletter.reports.tallies import Tally


#: What of a tally fits into a terminal.
_SHOWN = ("accepted", "delivered", "under_way", "silent", "dropped", "bounced", "complained")
#: A bar of the hour in which most arrived.
_BAR = 40
_MEANS = {STAY_UNDER: "under which to stay", NEVER_REACH: "where mails are refused"}


def show_issue(page: Page, sheet: Sheet) -> None:
    """Account for every candidate of an issue."""
    found = page.report
    say(f"Mailing {found.mailing_id} of issue {found.issue_id}, {_begun(found, sheet)}" + _side(found))
    print_facts(_facts(found))
    if (total := found.total).is_tracked:
        print_facts({"opened": total.opened, "opened by machines": total.machine_opened, "clicked": total.clicked})
        say(replace(sheet, language="en").words["what_opens_mean"])
    _table("By plan", "plan", found.by_plan.items())
    _table("By mailbox provider", "provider", found.by_provider.items())
    _warn_of_complaints(found.by_provider.items())
    if page.arrivals:
        _over_time(page.arrivals, sheet)
    if page.issues[1:]:
        _table("Beside the issues before", "issue", [(_named(one, sheet), one.total) for one in page.issues])
    if found.top_links:
        rows = [{"readers": count, "link": url} for url, count in found.top_links]
        print_rows(rows, ("readers", "link"), title="\nLinks")


def show_growth(name: str, growth: Growth, health: Mapping[str, int]) -> None:
    """Show what readers did by weeks, between which plans they moved, and how the list stands."""
    print_rows([{"week": one.begins, **one.counts} for one in growth.weeks], ("week", *GROWTH), title=name)
    if growth.moves:
        moves = [{"from": one.before, "to": one.after, "readers": one.readers} for one in growth.moves]
        print_rows(moves, ("from", "to", "readers"), title="\nPlan moves")
    out.print()
    print_facts(health)


def show_deliverability(name: str, providers: Mapping[str, Tally], issues: Sequence[MailedIssue], sheet: Sheet) -> None:
    """Show how the last issues arrived in all at each mailbox provider, and one by one."""
    columns = ("accepted", "delivered", "bounced", "complained", "delivered_share", "complaint_share")
    print_rows([_with_shares("provider", *one) for one in providers.items()], ("provider", *columns), title=name)
    rows = [_with_shares("issue", _named(one, sheet), one.total) for one in issues]
    print_rows(rows, ("issue", *columns), title="\nIssue by issue")
    say(f"Complaints of those delivered: stay under {_percent(STAY_UNDER)}, and never reach {_percent(NEVER_REACH)}.")
    _warn_of_complaints(providers.items())


def _facts(found: IssueReport) -> dict[str, Any]:
    total = found.total
    excluded = sum(found.exclusions.values())
    return {
        "candidates": found.candidates,
        "excluded": f"{excluded:,}" + _in_words(found.exclusions),
        "recipients": total.recipients,
        "accepted": total.accepted,
        "delivered": f"{total.delivered:,}{_share(total.delivered, total.accepted)}",
        "bounced": f"{total.bounced:,}{_share(total.bounced, total.accepted)}{_in_words(total.bounces)}",
        "dropped": total.dropped,
        "still under way": total.under_way,
        "nothing heard": total.silent,
        "deferred at least once": found.total.deferred_once,
        "complained": f"{total.complained:,}{_share(total.complained, total.delivered, digits=3)}",
        "left afterwards": found.left,
    }


def _table(title: str, name: str, tallies: Iterable[tuple[str, Tally]]) -> None:
    rows = [{name: key or "not batched", **one.as_json(), "under_way": one.under_way} for key, one in tallies]
    out.print()
    print_rows(rows, (name, *_SHOWN), title=title)


def _over_time(arrivals: Mapping[str, int], sheet: Sheet) -> None:
    most = max(arrivals.values())
    rows = [
        {
            "hour": sheet.moment(datetime.strptime(hour, "%Y-%m-%d %H").replace(tzinfo=UTC)),
            "delivered": count,
            " ": "█" * max(1, round(_BAR * count / most)),
        }
        for hour, count in arrivals.items()
    ]
    print_rows(rows, ("hour", "delivered", " "), title=f"\nOver time ({sheet.zone})")


def _warn_of_complaints(tallies: Iterable[tuple[str, Tally]]) -> None:
    """Say at which providers complaints have reached the lines."""
    for key, one in tallies:
        if (line := line_reached(one.complaint_share)) is not None:
            say(f"Complaints at {key}: {one.complaint_share:.2%}, over {_percent(line)}, {_MEANS[line]}.")


def _with_shares(first: str, name: str, one: Tally) -> dict[str, Any]:
    shares = {"delivered_share": f"{one.delivered_share:.1%}", "complaint_share": f"{one.complaint_share:.2%}"}
    return {first: name, **one.as_json(), **shares}


def _named(issue: MailedIssue, sheet: Sheet) -> str:
    return f"{sheet.day(issue.begun_at)} {issue.subject}"


def _begun(found: IssueReport, sheet: Sheet) -> str:
    return f"begun {sheet.moment(found.begun_at)} ({sheet.zone})" if found.begun_at else "not begun yet"


def _side(found: IssueReport) -> str:
    return "." if found.live else ", NOT LIVE: nobody was mailed."


def _share(part: int, whole: int, *, digits: int = 1) -> str:
    return f" ({part / whole:.{digits}%})" if whole else ""


def _percent(line: float) -> str:
    return f"{100 * line:g} %"


def _in_words(counts: Mapping[str, int]) -> str:
    return f": {', '.join(f'{count:,} {name}' for name, count in counts.items())}" if counts else ""
