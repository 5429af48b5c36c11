"""`newsletter subscribers`: add, look at and unsubscribe readers, one by one; files of them are in ``importing``."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from newsletter.cli.console import (
    After,
    AsJSON,
    Conditions,
    Limit,
    PublicationCode,
    err,
    meant_by,
    open_service,
    print_facts,
    print_json,
    print_rows,
    say,
)
from newsletter.publications import home_of, publication_named
from subscribers.actors import COMMAND_LINE
from subscribers.attributes import tags_of, values_of
from subscribers.leaving import leave_by_address
from subscribers.matching import matches
from subscribers.plan_changes import plan_since
from subscribers.roster import SubscriptionView, count_matching, find_by_address, list_subscriptions
from subscribers.subscriptions import NewSubscription, subscribe
from subscribers.suppression import reasons_against


app = typer.Typer(help="Readers: add, import, show, unsubscribe.", no_args_is_help=True)

AddressArgument = Annotated[str, typer.Argument(metavar="ADDRESS")]
PlanOption = Annotated[str | None, typer.Option(help="Plan, where it is not the default.")]


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
    limit: Limit = 100,
    after: After = 0,
    publication: PublicationCode = None,
    as_json: AsJSON = False,
) -> None:
    """List readers, oldest first: everybody, or whom the conditions name."""
    with open_service().database.reading() as session:
        found = publication_named(session, publication)
        meant = matches(session, meant_by(where), home_of(found))
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
