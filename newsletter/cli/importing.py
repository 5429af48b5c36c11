"""`newsletter subscribers import` and `export`: readers as CSV files. Neither ever mails anyone."""

import csv
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Annotated, Any, BinaryIO

import typer

from newsletter.cli.console import (
    AsJSON,
    Conditions,
    PublicationCode,
    err,
    meant_by,
    open_service,
    print_json,
    print_rows,
    say,
)
from newsletter.cli.files import DryRun, MapOption, OpenFile, ReportOption, account_file, opened
from newsletter.composition import Service
from newsletter.database import make_private
from newsletter.publications import home_of, publication_named
from subscribers.actors import COMMAND_LINE
from subscribers.csv_rows import Row, read_rows
from subscribers.exporting import COLUMNS, export_rows
from subscribers.importing import import_rows, in_chunks, rehearse_rows
from subscribers.judging import ImportTerms, RowAccount
from subscribers.matching import matches
from subscribers.seen_lines import SeenLines


SHOWN = 20
REPORT = ("line", "outcome", "address", "detail", "note", "suggestion")


@dataclass
class Tally:
    """What became of the rows, counted, and the first of those that want a look."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slips: int = 0
    disposable: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)

    def count(self, account: RowAccount) -> None:
        """Count one row."""
        self.outcomes[str(account.outcome)] += 1
        self.slips += bool(account.suggestion)
        self.disposable += bool(account.note)
        if account.detail and len(self.refused) < SHOWN:
            self.refused.append(asdict(account))


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="With a column of addresses; or an export.")],
    consent: Annotated[str, typer.Option(help="On what these readers' consent rests; kept as proof.")],
    mapping: MapOption = None,
    plan: Annotated[str | None, typer.Option(help="Plan of rows that name none, if not the default.")] = None,
    pending: Annotated[bool, typer.Option("--pending", help="Consent is not confirmed yet.")] = False,
    dry_run: DryRun = False,
    report: ReportOption = None,
    publication: PublicationCode = None,
    as_json: AsJSON = False,
) -> None:
    """Import readers from a CSV file; it never changes what a person decided, and never mails anyone.

    Exports of Mailchimp, listmonk and this service are recognised; other files want a column called email.
    """
    service = open_service()
    with service.database.reading() as session:
        found = publication_named(session, publication)
    kept, today = service.settings.client_evidence, service.clock().astimezone(home_of(found).zone).date()
    terms = ImportTerms(found.id, file.name, consent, plan, confirmed=not pending, kept=kept, today=today)
    tally = Tally()
    doing = "Rehearsing" if dry_run else "Importing"
    with opened(file, mapping, doing=doing) as source, account_file(report, file, REPORT) as write:
        accounts = rehearsed(service, source.rows, terms) if dry_run else imported(service, source.rows, terms)
        for account in accounts:
            tally.count(account)
            write(account.cells)
    if as_json:
        print_json(_as_json(tally, source, dry_run=dry_run))
    else:
        _show(tally, source, dry_run=dry_run, report=report)


def imported(service: Service, rows: Iterable[Row], terms: ImportTerms) -> Iterator[RowAccount]:
    """Import rows chunk by chunk, each in a transaction of its own, and account for each row."""
    for chunk in in_chunks(rows):
        with service.database.writing() as session:
            accounts = import_rows(session, chunk, terms, hasher=service.hasher, by=COMMAND_LINE, now=service.clock())
        yield from accounts


def rehearsed(service: Service, rows: Iterable[Row], terms: ImportTerms) -> Iterator[RowAccount]:
    """Give the account that importing these rows would give, from sessions that cannot write."""
    with closing(SeenLines()) as seen:
        for chunk in in_chunks(rows):
            with service.database.reading() as session:
                accounts = rehearse_rows(session, chunk, terms, seen, hasher=service.hasher)
            yield from accounts


def import_stream(service: Service, stream: BinaryIO, terms: ImportTerms) -> Iterator[RowAccount]:
    """Import an open CSV file."""
    return imported(service, read_rows(stream), terms)


def export(
    out: Annotated[Path | None, typer.Option(help="Write into this file, not to standard output.")] = None,
    where: Conditions = None,
    publication: PublicationCode = None,
) -> None:
    """Write readers as CSV, which spreadsheets show and `subscribers import` reads back. It holds personal data."""
    service = open_service()
    with service.database.reading() as session:
        found = publication_named(session, publication)
        meant = matches(session, meant_by(where), home_of(found))
        rows = export_rows(session, found.id, where=meant)
        if out is None:
            _write(sys.stdout.buffer, rows)
            return
        make_private(out)
        with out.open("wb") as file:
            written = _write(file, rows)
    err.print(f"{written:,} readers are in {out}.")


def _write(stream: IO[bytes], rows: Iterable[tuple[str, ...]]) -> int:
    """Write rows under their columns, with the mark by which Excel knows UTF-8; give how many."""
    text = TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    written = 0
    for row in rows:
        writer.writerow(row)
        written += 1
    text.flush()
    text.detach()
    return written


def _as_json(tally: Tally, source: OpenFile, *, dry_run: bool) -> dict[str, Any]:
    return {
        "rows": tally.outcomes.total(),
        "stored": not dry_run,
        "service": source.layout.service,
        "encoding": source.layout.encoding,
        "outcomes": dict(tally.outcomes),
        "typing_slips": tally.slips,
        "disposable": tally.disposable,
        "refused": tally.refused,
    }


def _show(tally: Tally, source: OpenFile, *, dry_run: bool, report: Path | None) -> None:
    say(source.story)
    counts = [{"outcome": name, "rows": count} for name, count in tally.outcomes.most_common()]
    print_rows(counts, ("outcome", "rows"))
    if tally.refused:
        print_rows(tally.refused, ("line", "outcome", "address_typed", "detail"), title="\nRows to look at")
    where = "see the report" if report else "--report FILE names them"
    if tally.slips:
        say(f"Addresses that look like typing slips: {tally.slips:,}; {where}. Nothing was corrected.")
    if tally.disposable:
        say(f"Addresses that look like throw-away mailboxes: {tally.disposable:,}; {where}.")
    if dry_run:
        say("This was a dry run: nothing was stored.")
