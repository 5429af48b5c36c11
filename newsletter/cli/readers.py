"""`newsletter subscribers`: add, import, look at and unsubscribe readers."""

import csv
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from newsletter.cli.console import (
    AsJSON,
    Conditions,
    PublicationCode,
    err,
    open_service,
    print_facts,
    print_json,
    print_rows,
    say,
)
from newsletter.composition import Service
from newsletter.errors import Refused
from newsletter.publications import home_of, publication_named
from subscribers.actors import COMMAND_LINE
from subscribers.attributes import tags_of, values_of
from subscribers.csv_rows import read_rows
from subscribers.filters import parse_filter
from subscribers.importing import ImportTerms, RowAccount, import_rows, in_chunks
from subscribers.leaving import leave_by_address
from subscribers.matching import matches
from subscribers.plan_changes import plan_since
from subscribers.roster import SubscriptionView, count_matching, find_by_address, list_subscriptions
from subscribers.subscriptions import NewSubscription, subscribe
from subscribers.suppression import reasons_against


app = typer.Typer(help="Readers: add, import, show, unsubscribe.", no_args_is_help=True)

AddressArgument = Annotated[str, typer.Argument(metavar="ADDRESS")]
PlanOption = Annotated[str | None, typer.Option(help="Plan, where it is not the default.")]
SHOWN_REFUSALS = 20


@app.command()
def add(
    address: AddressArgument,
    plan: PlanOption = None,
    name: Annotated[str, typer.Option(help="Name, as the mail addresses the reader.")] = "",
    pending: Annotated[bool, typer.Option("--pending", help="Consent is not confirmed yet.")] = False,
    publication: PublicationCode = None,
) -> None:
    """Add one reader by the operator's word."""
    service = open_service()
    with service.database.writing() as session:
        found = publication_named(session, publication)
        request = NewSubscription(found.id, address, plan, name, confirmed=not pending, source="command-line")
        view, admission = subscribe(session, request, hasher=service.hasher, by=COMMAND_LINE, now=service.clock())
    say(f"{view.email}: {admission}, {view.state}, plan {view.plan}.")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="With a column email; name and plan are optional.")],
    consent: Annotated[str, typer.Option(help="On what these readers' consent rests; kept as proof.")],
    plan: PlanOption = None,
    pending: Annotated[bool, typer.Option("--pending", help="Consent is not confirmed yet.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write the account of each row into this CSV file.")] = None,
    publication: PublicationCode = None,
    as_json: AsJSON = False,
) -> None:
    """Import readers from a CSV file; it never changes what a person decided, and never mails anyone."""
    service = open_service()
    with service.database.reading() as session:
        publication_id = publication_named(session, publication).id
    terms = ImportTerms(publication_id, file.name, consent, plan, confirmed=not pending)
    counts: Counter[str] = Counter()
    refused: list[dict[str, Any]] = []
    with _account_file(report) as write, _opened(file) as stream:
        for account in import_stream(service, stream, terms):
            counts[str(account.outcome)] += 1
            write(account)
            if account.detail and len(refused) < SHOWN_REFUSALS:
                refused.append(asdict(account))
    if as_json:
        print_json({"rows": counts.total(), "outcomes": dict(counts), "refused": refused})
        return
    print_rows([{"outcome": name, "rows": count} for name, count in counts.most_common()], ("outcome", "rows"))
    if refused:
        print_rows(refused, ("line", "outcome", "address_typed", "detail"), title="\nRows to look at")


def import_stream(service: Service, stream: BinaryIO, terms: ImportTerms) -> Iterator[RowAccount]:
    """Import a CSV file chunk by chunk, each in a transaction of its own, and account for each row."""
    for chunk in in_chunks(read_rows(stream)):
        with service.database.writing() as session:
            accounts = import_rows(session, chunk, terms, hasher=service.hasher, by=COMMAND_LINE, now=service.clock())
        yield from accounts


@app.command()
def show(address: AddressArgument, publication: PublicationCode = None, as_json: AsJSON = False) -> None:
    """Show one reader."""
    service = open_service()
    with service.database.reading() as session:
        found = publication_named(session, publication)
        view = find_by_address(session, found.id, address)
        facts = _row(view) | {
            "plan_since": plan_since(session, view.id),
            "tags": tags_of(session, view.id),
            "attributes": values_of(session, view.id),
            "suppressed": [str(one) for one in reasons_against(session, found.id, address, hasher=service.hasher)],
        }
    if as_json:
        print_json(facts)
        return
    kept = ", ".join(f"{name}={value}" for name, value in facts["attributes"].items())
    print_facts(
        facts | {"tags": ", ".join(facts["tags"]), "attributes": kept, "suppressed": ", ".join(facts["suppressed"])}
    )


@app.command("list")
def list_(
    where: Conditions = None,
    count: Annotated[bool, typer.Option("--count", help="Say only how many there are.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    after: Annotated[int, typer.Option(help="Go on after this id.")] = 0,
    publication: PublicationCode = None,
    as_json: AsJSON = False,
) -> None:
    """List readers, oldest first: everybody, or whom the conditions name."""
    with open_service().database.reading() as session:
        found = publication_named(session, publication)
        meant = matches(session, parse_filter(where or ()), home_of(found))
        if count:
            number = count_matching(session, found.id, meant)
            print_json({"readers": number}) if as_json else say(f"{number:,}")
            return
        views = list_subscriptions(session, found.id, where=meant, after=after, limit=limit)
    rows = [_row(view) for view in views]
    if as_json:
        print_json(rows)
        return
    print_rows(rows, ("id", "email", "name", "plan", "state"))
    if len(rows) == limit:
        err.print(f"There may be more: --after {rows[-1]['id']}")


@app.command()
def unsubscribe(address: AddressArgument, publication: PublicationCode = None) -> None:
    """Unsubscribe one reader who asked for it."""
    service = open_service()
    with service.database.writing() as session:
        found = publication_named(session, publication)
        departure = leave_by_address(session, found.id, address, by=COMMAND_LINE, now=service.clock())
    word = "has left" if departure.is_new else "had left already"
    say(f"{departure.masked_address} {word}.")


def _row(view: SubscriptionView) -> dict[str, Any]:
    shown = asdict(view)
    # The link acts for its reader: it belongs in that reader's mail only.
    shown.pop("unsubscribe_id")
    return shown


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """Open a file and show on standard error how far it is read."""
    try:
        size = file.stat().st_size
        stream = file.open("rb")
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}") from None
    columns = (TextColumn("Importing"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with stream, Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("import", total=size)
        with progress.wrap_file(stream, task_id=task) as watched:
            yield watched


@contextmanager
def _account_file(report: Path | None) -> Iterator[Any]:
    if report is None:
        yield lambda _: None
        return
    with report.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(("line", "outcome", "address", "detail"))
        yield lambda one: writer.writerow((one.line, one.outcome, safe_cell(one.address_typed), one.detail))


def safe_cell(text: str) -> str:
    """Keep a cell that somebody else wrote from being run as a formula by a spreadsheet."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
