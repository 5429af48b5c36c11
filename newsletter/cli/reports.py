"""`newsletter report`: what became of an issue, and of a publication; in the terminal, as JSON, as CSV or as a page."""

import csv
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from sqlmodel import Session

from newsletter.cli.console import AsJSON, PublicationCode, err, open_service, print_json
from newsletter.cli.reports_csv import lines_of_deliverability, lines_of_growth, lines_of_issue, shares_of
from newsletter.cli.reports_shown import show_deliverability, show_growth, show_issue
from newsletter.composition import Service, shipped
from newsletter.database import make_private
from newsletter.delivery.mailings import find_mailing
from newsletter.errors import NewsletterError, Refused
from newsletter.publications import Publication, publication_by_id, publication_named
from newsletter.reports.growth import Growth, growth_of, health_of
from newsletter.reports.issue import arrivals, latest_mailing, report_of, subject_of
from newsletter.reports.page import Page, render_page
from newsletter.reports.publication import MailedIssue, joined, last_issues
from newsletter.reports.publication_page import PublicationPage, render_publication
from newsletter.reports.sheet import Sheet


def report(
    issue: Annotated[
        int | None, typer.Argument(metavar="[ISSUE]", min=1, max=2**31 - 1, help="The issue's number.")
    ] = None,
    growth: Annotated[bool, typer.Option("--growth", help="How the publication grows, by weeks.")] = False,
    deliverability: Annotated[
        bool, typer.Option("--deliverability", help="How its last issues arrived, by mailbox provider.")
    ] = False,
    mailing: Annotated[int | None, typer.Option(min=1, max=2**31 - 1, help="This mailing, not the last one.")] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a page with charts: of the issue, or publication.")
    ] = None,
    last: Annotated[int, typer.Option(min=1, max=520, help="So many weeks, or issues.")] = 8,
    as_json: AsJSON = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    publication: PublicationCode = None,
) -> None:
    """Report what became of an issue: every candidate accounted for; or on a publication, with --growth or the like."""
    if sum((issue is not None, growth, deliverability)) != 1:
        raise typer.BadParameter("say one of ISSUE, --growth and --deliverability")
    if mailing is not None and issue is None:
        raise typer.BadParameter("--mailing goes with the number of its ISSUE")
    if as_json and as_csv:
        raise typer.BadParameter("say one of --json and --csv")
    service = open_service()
    with service.database.reading() as session:
        if issue is None:
            which = publication_named(session, publication)
            told = _of_publication(session, service, which, last, growing=growth, html=html)
        else:
            told = _of_issue(session, service, issue, mailing, last, html)
    if as_json:
        print_json(told.value)
    elif as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows(told.lines)
    elif html is None:
        told.show()


@dataclass(frozen=True)
class _Told:
    """A report in each form: a value for JSON, lines for CSV, and what shows it to people."""

    value: object
    lines: Iterable[Sequence[object]]
    show: Callable[[], None]


def _of_issue(
    session: Session, service: Service, issue: int, mailing: int | None, last: int, html: Path | None
) -> _Told:
    found = report_of(session, mailing or latest_mailing(session, issue, live=service.live))
    if found.issue_id != issue:
        raise Refused(f"mailing {found.mailing_id} is of issue {found.issue_id}, not of issue {issue}")
    if not found.balances:
        raise NewsletterError(f"the numbers of mailing {found.mailing_id} do not balance: this is an error of ours")
    publication = publication_by_id(session, find_mailing(session, found.mailing_id).publication_id)
    # Its own issue stands among the last ones, as the first.
    beside = last_issues(session, publication, issues=last + 1, live=found.live, up_to=found)
    page = Page(
        publication=publication.name,
        subject=subject_of(session, found.mailing_id),
        now=service.clock(),
        report=found,
        arrivals=arrivals(session, found.mailing_id),
        issues=beside,
    )
    sheet = _sheet(publication)
    if html is not None:
        _write_page(html, render_page(page, sheet))
    value = {**found.as_json(), "over_time": page.arrivals, "issues": [one.as_json() for one in page.issues]}
    return _Told(value, lines_of_issue(page), partial(show_issue, page, sheet))


def _of_publication(
    session: Session, service: Service, publication: Publication, last: int, *, growing: bool, html: Path | None
) -> _Told:
    counting = _Counting(session, publication, last, service)
    if html is None:
        return _growth(publication, *counting.growth()) if growing else _deliverability(publication, counting.issues())
    growth, health = counting.growth()
    issues = counting.issues()
    page = PublicationPage(publication.name, service.live, service.clock(), growth, health, issues)
    _write_page(html, render_publication(page, _sheet(publication)))
    return _growth(publication, growth, health) if growing else _deliverability(publication, issues)


@dataclass(frozen=True)
class _Counting:
    """What is counted of a publication, and no more of it than is asked for."""

    session: Session
    publication: Publication
    last: int
    service: Service

    def growth(self) -> tuple[Growth, dict[str, int]]:
        """Count how it grows, and how its list stands."""
        now = self.service.clock()
        growth = growth_of(self.session, self.publication, weeks=self.last, now=now)
        return growth, health_of(self.session, self.publication, now=now)

    def issues(self) -> list[MailedIssue]:
        """Count its last issues."""
        return last_issues(self.session, self.publication, issues=self.last, live=self.service.live)


def _growth(publication: Publication, growth: Growth, health: Mapping[str, int]) -> _Told:
    weeks = [{"week": one.begins, **one.counts} for one in growth.weeks]
    value = {"weeks": weeks, "moves": [asdict(one) for one in growth.moves], "health": health}
    return _Told(value, lines_of_growth(growth, health), partial(show_growth, publication.name, growth, health))


def _deliverability(publication: Publication, issues: Sequence[MailedIssue]) -> _Told:
    providers = joined(one.by_provider for one in issues)
    value = [{"provider": name, **one.as_json(), **shares_of(one)} for name, one in providers.items()]
    show = partial(show_deliverability, publication.name, providers, issues, _sheet(publication))
    return _Told(value, lines_of_deliverability(providers, issues), show)


def _sheet(publication: Publication) -> Sheet:
    language = "zh" if publication.locale.lower().startswith("zh") else "en"
    return Sheet(shipped("templates"), language, publication.time_zone)


def _write_page(file: Path, page: str) -> None:
    make_private(file)
    file.write_text(page, encoding="utf-8")
    err.print(f"The page is {file}.", soft_wrap=True, markup=False)
