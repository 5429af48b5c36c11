"""`newsletter report`: what became of an issue, in the terminal, as JSON or as CSV."""

import csv
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from newsletter.cli.console import ID, AsJSON, open_service, out, print_facts, print_json, print_rows, say
from newsletter.errors import NewsletterError
from newsletter.feedback.outcomes import BOUNCED
from newsletter.reports.issue import IssueReport, Tally, latest_mailing, report_of
from subscribers.formulas import neutralised


#: The columns of every table; classes of bounces follow.
COLUMNS = ("recipients", "accepted", "delivered", "deferred", "processed", "silent", "dropped", "bounced", "complained")
_CLASSES = tuple(sorted(one.name for one in BOUNCED))
#: Gmail's and Yahoo's lines for complaints: to stay under, and never to reach.
COMPLAINT_LINES = (0.001, 0.003)


def report(
    issue: ID,
    mailing: Annotated[int | None, typer.Option(min=1, max=2**31 - 1, help="This mailing, not the last one.")] = None,
    as_json: AsJSON = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV: the whole, and by plan and mailbox provider.")
    ] = False,
) -> None:
    """Report what became of an issue: every candidate accounted for, by plan and by mailbox provider."""
    with open_service().database.reading() as session:
        found = report_of(session, mailing or latest_mailing(session, issue))
    if not found.balances:
        raise NewsletterError(f"the numbers of mailing {found.mailing_id} do not balance: this is an error of ours")
    if as_json:
        print_json(found.as_json())
    elif as_csv:
        _write_csv(found)
    else:
        _show(found)


def _show(found: IssueReport) -> None:
    total = found.total
    excluded = sum(found.exclusions.values())
    say(
        f"Mailing {found.mailing_id} of issue {found.issue_id}, begun {found.begun_at:%Y-%m-%d %H:%M} UTC"
        + _side(found)
    )
    print_facts(
        {
            "candidates": found.candidates,
            "excluded": f"{excluded:,}" + _in_words(found.exclusions),
            "recipients": total.recipients,
            "accepted": total.accepted,
            "delivered": f"{total.delivered:,}{_share(total.delivered, total.accepted)}",
            "bounced": f"{total.bounced:,}{_share(total.bounced, total.accepted)}{_in_words(total.bounces)}",
            "dropped": total.dropped,
            "still under way": total.deferred + total.processed,
            "nothing heard": total.silent,
            "deferred at least once": found.deferred_once,
            "complained": f"{total.complained:,}{_share(total.complained, total.delivered, digits=3)}",
            "left afterwards": found.left,
        }
    )
    if total.opened or total.machine_opened or total.clicked:
        print_facts({"opened": total.opened, "opened by machines": total.machine_opened, "clicked": total.clicked})
        say("Opens miss whoever shows no pictures; machines open what nobody reads; some clicks are scanners'.")
    _table("By plan", "plan", found.by_plan)
    _table("By mailbox provider", "provider", found.by_provider)
    if found.top_links:
        print_rows(
            [{"readers": count, "link": url} for url, count in found.top_links], ("readers", "link"), title="\nLinks"
        )


def _table(title: str, name: str, tallies: Mapping[str, Tally]) -> None:
    rows = [{name: key or "not batched"} | one.as_json() for key, one in tallies.items()]
    out.print()
    print_rows(rows, (name, *COLUMNS), title=title)
    for key, one in tallies.items():
        share = one.complained / one.delivered if one.delivered else 0
        if share >= COMPLAINT_LINES[0]:
            line = "0.3 %, where mails are refused" if share >= COMPLAINT_LINES[1] else "0.1 %, under which to stay"
            say(f"Complaints at {key}: {share:.2%}, over {line}.")


def _write_csv(found: IssueReport) -> None:
    """Write one line for the whole, and one for each plan and mailbox provider."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("of", "name", *COLUMNS, *_CLASSES, "opened", "machine_opened", "clicked"))
    lines = [("whole", "", found.total)]
    lines += [("plan", name, one) for name, one in found.by_plan.items()]
    lines += [("provider", name, one) for name, one in found.by_provider.items()]
    for of, name, one in lines:
        values: dict[str, Any] = one.as_json()
        numbers = (*(values[column] for column in COLUMNS), *(one.bounces.get(word, 0) for word in _CLASSES))
        writer.writerow((of, neutralised(name), *numbers, one.opened, one.machine_opened, one.clicked))


def _side(found: IssueReport) -> str:
    return "." if found.live else ", NOT LIVE: nobody was mailed."


def _share(part: int, whole: int, *, digits: int = 1) -> str:
    return f" ({part / whole:.{digits}%})" if whole else ""


def _in_words(counts: Mapping[str, int]) -> str:
    return f": {', '.join(f'{count:,} {name}' for name, count in counts.items())}" if counts else ""
