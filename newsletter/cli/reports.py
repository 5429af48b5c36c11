"""`newsletter report`: what became of an issue, in the terminal, as JSON, as CSV or as a page; and of a publication."""

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlmodel import Session

from newsletter.cli.console import (
    AsJSON,
    PublicationCode,
    open_service,
    out,
    print_facts,
    print_json,
    print_rows,
    say,
)
from newsletter.composition import Service, shipped
from newsletter.database import make_private
from newsletter.delivery.mailings import find_mailing
from newsletter.errors import NewsletterError, Refused
from newsletter.feedback.outcomes import BOUNCED
from newsletter.publications import publication_by_id, publication_named
from newsletter.reports.issue import IssueReport, arrivals, latest_mailing, report_of, subject_of
from newsletter.reports.page import Page, render_page, words_of
from newsletter.reports.publication import GROWTH, by_provider, growth_of, health_of, last_reports
from newsletter.reports.tallies import Tally
from subscribers.formulas import neutralised


#: The columns of every table; classes of bounces follow.
COLUMNS = ("recipients", "accepted", "delivered", "deferred", "processed", "silent", "dropped", "bounced", "complained")
#: What of them fits into a terminal.
_SHOWN = ("accepted", "delivered", "under_way", "silent", "dropped", "bounced", "complained")
_CLASSES = tuple(sorted(one.name for one in BOUNCED))
#: Gmail's and Yahoo's lines for complaints: to stay under, and never to reach.
COMPLAINT_LINES = (0.001, 0.003)


def report(
    issue: Annotated[
        int | None, typer.Argument(metavar="[ISSUE]", min=1, max=2**31 - 1, help="The issue's number.")
    ] = None,
    growth: Annotated[bool, typer.Option("--growth", help="How the publication grows, by weeks.")] = False,
    deliverability: Annotated[
        bool, typer.Option("--deliverability", help="How its last issues arrived, by mailbox provider.")
    ] = False,
    mailing: Annotated[int | None, typer.Option(min=1, max=2**31 - 1, help="This mailing, not the last one.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Write a page with charts.")] = None,
    last: Annotated[int, typer.Option(min=1, max=520, help="So many weeks, or issues.")] = 8,
    as_json: AsJSON = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    publication: PublicationCode = None,
) -> None:
    """Report what became of an issue: every candidate accounted for; or on a publication, with --growth or the like."""
    if sum((issue is not None, growth, deliverability)) != 1:
        raise typer.BadParameter("say one of ISSUE, --growth and --deliverability")
    service, form = open_service(), _Form(as_json=as_json, as_csv=as_csv)
    if issue is None:
        _report_publication(service, publication, last, form, growing=growth)
        return
    with service.database.reading() as session:
        found = report_of(session, mailing or latest_mailing(session, issue, live=service.live))
        if found.issue_id != issue:
            raise Refused(f"mailing {found.mailing_id} is of issue {found.issue_id}, not of issue {issue}")
        if not found.balances:
            raise NewsletterError(f"the numbers of mailing {found.mailing_id} do not balance: this is an error of ours")
        if html is not None:
            make_private(html)
            html.write_text(render_page(_page(session, service, found, last), shipped("templates")), encoding="utf-8")
            say(f"The page is {html}.")
            return
    if as_json:
        print_json(found.as_json())
    elif as_csv:
        _write_csv(found)
    else:
        _show(found)


@dataclass(frozen=True)
class _Form:
    """In which form a report is printed."""

    as_json: bool
    as_csv: bool

    def print(self, rows: list[dict[str, Any]], columns: Sequence[str], title: str) -> None:
        """Print rows of one form."""
        if self.as_json:
            print_json(rows)
        elif self.as_csv:
            writer = csv.DictWriter(sys.stdout, columns, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows({name: neutralised(str(value)) for name, value in row.items()} for row in rows)
        else:
            print_rows(rows, columns, title=title)


def _report_publication(service: Service, code: str | None, last: int, form: _Form, *, growing: bool) -> None:
    with service.database.reading() as session:
        publication = publication_named(session, code)
        if growing:
            weeks = growth_of(session, publication, weeks=last, now=service.clock())
            health = health_of(session, publication, now=service.clock())
            rows = [{"week": one.begins, **one.counts} for one in weeks]
            if form.as_json:
                print_json({"weeks": rows, "health": health})
                return
            form.print(rows, ("week", *GROWTH), publication.name)
            if not form.as_csv:
                print_facts(health)
            return
        tallies = by_provider(last_reports(session, publication, issues=last, live=service.live))
    rows = [{"provider": name, **one.as_json(), **_shares(one)} for name, one in tallies.items()]
    columns = ("provider", "accepted", "delivered", "bounced", "complained", "delivered_share", "complaint_share")
    form.print(rows, columns, publication.name)
    if not form.as_json and not form.as_csv:
        _warn_of_complaints(tallies)


def _shares(one: Tally) -> dict[str, float]:
    return {
        "delivered_share": round(one.delivered / one.accepted, 4) if one.accepted else 0.0,
        "complaint_share": round(one.complained / one.delivered, 5) if one.delivered else 0.0,
    }


def _page(session: Session, service: Service, found: IssueReport, last: int) -> Page:
    mailing = find_mailing(session, found.mailing_id)
    publication = publication_by_id(session, mailing.publication_id)
    before = last_reports(session, publication, issues=last, live=found.live, before=found) if found.begun_at else []
    return Page(
        publication=publication.name,
        subject=subject_of(session, found.mailing_id),
        language="zh" if publication.locale.lower().startswith("zh") else "en",
        zone=publication.time_zone,
        now=service.clock(),
        report=found,
        arrivals=arrivals(session, found.mailing_id),
        before=[(subject_of(session, one.mailing_id), one) for one in before],
    )


def _show(found: IssueReport) -> None:
    total = found.total
    excluded = sum(found.exclusions.values())
    say(f"Mailing {found.mailing_id} of issue {found.issue_id}, {_begun(found)}" + _side(found))
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
            "deferred at least once": total.deferred_once,
            "complained": f"{total.complained:,}{_share(total.complained, total.delivered, digits=3)}",
            "left afterwards": found.left,
        }
    )
    if total.is_tracked:
        print_facts({"opened": total.opened, "opened by machines": total.machine_opened, "clicked": total.clicked})
        say(words_of(shipped("templates"), "en")["what_opens_mean"])
    _table("By plan", "plan", found.by_plan)
    _table("By mailbox provider", "provider", found.by_provider)
    if found.top_links:
        print_rows(
            [{"readers": count, "link": url} for url, count in found.top_links], ("readers", "link"), title="\nLinks"
        )


def _table(title: str, name: str, tallies: Mapping[str, Tally]) -> None:
    rows = [
        {name: key or "not batched", **one.as_json(), "under_way": one.deferred + one.processed}
        for key, one in tallies.items()
    ]
    out.print()
    print_rows(rows, (name, *_SHOWN), title=title)
    _warn_of_complaints(tallies)


def _warn_of_complaints(tallies: Mapping[str, Tally]) -> None:
    """Say at which providers complaints are over the lines."""
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


def _begun(found: IssueReport) -> str:
    return f"begun {found.begun_at:%Y-%m-%d %H:%M} UTC" if found.begun_at else "not begun yet"


def _side(found: IssueReport) -> str:
    return "." if found.live else ", NOT LIVE: nobody was mailed."


def _share(part: int, whole: int, *, digits: int = 1) -> str:
    return f" ({part / whole:.{digits}%})" if whole else ""


def _in_words(counts: Mapping[str, int]) -> str:
    return f": {', '.join(f'{count:,} {name}' for name, count in counts.items())}" if counts else ""
