"""`newsletter suppressions`: addresses that must not be mailed. Only keyed hashes of them are kept."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlmodel import Session

from newsletter.cli.console import (
    After,
    AsJSON,
    Limit,
    PublicationCode,
    Yes,
    confirm,
    counting_bar,
    err,
    open_service,
    print_json,
    print_rows,
    say,
)
from newsletter.cli.files import DryRun, MapOption, ReportOption, account_file, opened
from newsletter.composition import Service
from newsletter.errors import Refused
from newsletter.feedback.levelling import follow_lift
from newsletter.feedback.pulling import pull as pull_lists
from newsletter.publications import list_publications, publication_named
from subscribers import suppression
from subscribers.actors import COMMAND_LINE
from subscribers.addresses import without_addresses
from subscribers.csv_rows import Row
from subscribers.dialects import SENDGRID
from subscribers.importing import in_chunks
from subscribers.models import SuppressionReason
from subscribers.seen_lines import SeenLines
from subscribers.suppression import SuppressionOrder, active_suppressions
from subscribers.suppression_lists import ListTerms, SuppressionAccount, rehearse_suppressions, suppress_rows


app = typer.Typer(help="Addresses that must not be mailed: list, add, lift, import.", no_args_is_help=True)

Address = Annotated[str, typer.Argument(metavar="ADDRESS")]
Scope = Annotated[str | None, typer.Option("--publication", help="Only in this publication; else everywhere.")]
SHOWN = 20
REPORT = ("line", "outcome", "address", "reason", "detail")

#: What lifting means, where it is more than mending a slip.
_MEANING = {
    SuppressionReason.complaint: (
        "The reader reported a mail of ours as spam. Mail after that costs the reputation of every mail that follows"
    ),
    SuppressionReason.hard_bounce: (
        "The mailbox does not exist, or did not. If that is still so, every mail there costs reputation"
    ),
    SuppressionReason.erased: "The reader asked to be forgotten, and only the reader can take that back",
}


@app.command("list")
def list_(
    reason: Annotated[SuppressionReason | None, typer.Option(help="Only those for this reason.")] = None,
    limit: Limit = 100,
    after: After = 0,
    publication: Annotated[
        str | None, typer.Option("--publication", help="Only what holds in this publication.")
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """List what is suppressed now, oldest first. Addresses are not kept; those of readers are shown masked."""
    with open_service().database.reading() as session:
        code_of = {one.id: one.code for one in list_publications(session)}
        found = active_suppressions(session, _scope(session, publication), reason=reason, after=after, limit=limit)
    rows = [
        asdict(view) | {"scope": code_of[view.publication_id] if view.publication_id else "everywhere"}
        for view in found
    ]
    if as_json:
        print_json(rows)
        return
    shown = [row | {"since": row["created_at"].strftime("%Y-%m-%d")} for row in rows]
    print_rows(shown, ("id", "reason", "scope", "masked_address", "since", "origin"))
    if len(rows) == limit:
        err.print(f"There may be more: --after {rows[-1]['id']}")


@app.command()
def add(
    address: Address,
    reason: Annotated[SuppressionReason, typer.Option(help="Why.")] = SuppressionReason.operator,
    publication: Scope = None,
    as_json: AsJSON = False,
) -> None:
    """Suppress one address: no mail of any kind goes there any more."""
    service = open_service()
    with service.database.writing() as session:
        order = SuppressionOrder(address, reason, _scope(session, publication), origin="command-line")
        is_new = suppression.add(session, order, hasher=service.hasher, by=COMMAND_LINE, now=service.clock())
    if as_json:
        print_json({"reason": reason, "publication": publication, "new": is_new})
        return
    say(f"{'Suppressed' if is_new else 'It was suppressed already'} ({reason}, {publication or 'everywhere'}).")


@app.command()
def lift(
    address: Address,
    reason: Annotated[SuppressionReason, typer.Option(help="Which reason; others stand.")],
    publication: Scope = None,
    yes: Yes = False,
    as_json: AsJSON = False,
) -> None:
    """Lift the suppression of one address for one reason, in one scope."""
    service = open_service()
    if reason in _MEANING:
        confirm(f"{_MEANING[reason]}. Lift it all the same?", yes=yes)
    with service.database.writing() as session:
        order = SuppressionOrder(address, reason, _scope(session, publication))
        lifted = suppression.lift(session, order, hasher=service.hasher, by=COMMAND_LINE, now=service.clock())
    where = publication or "everywhere"
    if not lifted:
        raise Refused(f"nothing to lift: the address is not suppressed for {reason} ({where})")
    with service.database.writing() as session:
        follow_lift(session, address, service.feedback_scene)
    if as_json:
        print_json({"reason": reason, "publication": publication, "lifted": True})
    else:
        say(f"Lifted ({reason}, {where}). Other reasons and scopes stand; who left comes back only by signing up.")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="With a column of addresses; or an export.")],
    reason: Annotated[SuppressionReason | None, typer.Option(help="Why, for every row of the file.")] = None,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Who unsubscribed gets no other publication either.")
    ] = False,
    mapping: MapOption = None,
    dry_run: DryRun = False,
    report: ReportOption = None,
    publication: PublicationCode = None,
    as_json: AsJSON = False,
) -> None:
    """Import a list of addresses that must not be mailed, as often as you like: a second run adds nothing.

    Who unsubscribed is suppressed in the publication, everybody else everywhere, and whoever stands on a list of
    SendGrid's, which drops every mail to them. Exports of Mailchimp and listmonk say themselves what their rows are;
    the addresses of a plain list count as `imported` unless you say the reason.
    """
    service = open_service()
    with service.database.reading() as session:
        publication_id = publication_named(session, publication).id
    counts: Counter[str] = Counter()
    shown: list[dict[str, Any]] = []
    doing = "Rehearsing" if dry_run else "Suppressing"
    with opened(file, mapping, doing=doing) as source, account_file(report, file, REPORT) as write:
        origin, layout = f"file {without_addresses(file.name)}", source.layout
        terms = ListTerms(
            publication_id, origin, reason, bool(layout.service), everywhere or layout.dialect is SENDGRID
        )
        for account in _accounts(service, source.rows, terms, dry_run=dry_run):
            counts[str(account.outcome)] += 1
            write(account.cells)
            if account.detail and len(shown) < SHOWN:
                shown.append(asdict(account))
    if as_json:
        found = {"service": source.layout.service, "encoding": source.layout.encoding}
        outcomes = {"rows": counts.total(), "stored": not dry_run, "outcomes": dict(counts), "to_look_at": shown}
        print_json(found | outcomes)
        return
    say(source.story)
    print_rows([{"outcome": name, "rows": count} for name, count in counts.most_common()], ("outcome", "rows"))
    if shown:
        print_rows(shown, ("line", "outcome", "address_typed", "reason", "detail"), title="\nRows to look at")
    if dry_run:
        say("This was a dry run: nothing was stored.")


@app.command()
def pull(as_json: AsJSON = False) -> None:
    """Read SendGrid's lists of bounces, blocks, invalid addresses, complaints and unsubscribes, as every night.

    Addresses are only ever added: one that SendGrid has purged stays suppressed here.
    """
    service = open_service()
    rows: list[dict[str, Any]] = []
    with counting_bar("Reading SendGrid's lists") as advance:
        api, scene = service.account_api(), service.feedback_scene
        rows += [asdict(one) for one in pull_lists(service.database, api, scene, on_page=advance)]
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, ("list_name", "entries", "news"))


def _accounts(
    service: Service, rows: Iterable[Row], terms: ListTerms, *, dry_run: bool
) -> Iterator[SuppressionAccount]:
    """Go through a list chunk by chunk, each in a transaction of its own."""
    hasher = service.hasher
    with closing(SeenLines()) as seen:
        for chunk in in_chunks(rows):
            if dry_run:
                with service.database.reading() as session:
                    accounts = rehearse_suppressions(session, chunk, terms, seen, hasher=hasher)
            else:
                with service.database.writing() as session:
                    accounts = suppress_rows(session, chunk, terms, hasher=hasher, by=COMMAND_LINE, now=service.clock())
            yield from accounts


def _scope(session: Session, publication: str | None) -> int | None:
    return publication_named(session, publication).id if publication else None
