"""`newsletter issue test`, `issue panel` and `issue looked-right`: an issue is looked at before it goes out."""

from dataclasses import dataclass
from typing import Annotated

import typer
from sqlmodel import Session

from newsletter.cli.console import (
    ID,
    AsJSON,
    PublicationCode,
    open_service,
    print_json,
    print_rows,
    say,
)
from newsletter.composition import Service
from newsletter.delivery.panel import (
    Look,
    PanelAddress,
    Seat,
    add_to_panel,
    in_words,
    looks_at,
    note_sent,
    panel_of,
    remove_from_panel,
    seat_of,
    tick,
)
from newsletter.delivery.trial import Trial, trial_message
from newsletter.errors import Refused
from newsletter.issues.shelf import Shelved, latest_revision
from newsletter.providers.base import Ending, Provider
from newsletter.publications import Publication, publication_by_id, publication_named
from subscribers.actors import COMMAND_LINE
from subscribers.addresses import mask, parse_address
from subscribers.suppression import reasons_against


app = typer.Typer(help="The test panel: where an issue is looked at before it goes out.", no_args_is_help=True)

Client = Annotated[str, typer.Option(help='The mail program it is looked at with, such as "Outlook 2019".')]
Plan = Annotated[str | None, typer.Option(help="As readers of this plan; the default plan where nothing is said.")]


@app.command("add")
def add_(address: str, client: Client, plan: Plan = None, publication: PublicationCode = None) -> None:
    """Add an address to the panel."""
    service = open_service()
    with service.database.writing() as session:
        found = publication_named(session, publication)
        seat = Seat(address, client, plan or "")
        row = add_to_panel(session, found, seat, by=COMMAND_LINE, now=service.clock())
    say(f"{mask(row.address)} looks at issues of {found.code} with {row.client}, as a reader of plan {row.plan}.")


@app.command("list")
def list_(publication: PublicationCode = None, as_json: AsJSON = False) -> None:
    """List the panel."""
    with open_service().database.reading() as session:
        rows = [row.model_dump() for row in panel_of(session, publication_named(session, publication))]
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, ("client", "plan", "address", "added_at"))


@app.command("remove")
def remove_(client: Client, publication: PublicationCode = None) -> None:
    """Take a mail program off the panel, with what was said of it."""
    with open_service().database.writing() as session:
        remove_from_panel(session, publication_named(session, publication), client)
    say(f"{client} is off the panel.")


def send_test(
    issue_id: ID,
    to: Annotated[str | None, typer.Option("--to", metavar="ADDRESS", help="To this address.")] = None,
    panel: Annotated[bool, typer.Option("--panel", help="To every address of the panel, each as its plan.")] = False,
    plan: Plan = None,
) -> None:
    """Send an issue's newest revision as a test mail: as readers will get it, and counted nowhere."""
    if (to is None) == (not panel):
        raise typer.BadParameter("say to whom: either --to ADDRESS or --panel")
    service = open_service()
    with service.database.reading() as session:
        shelved = latest_revision(session, issue_id)
        publication = publication_by_id(session, shelved.issue.publication_id)
        panelists = panel_of(session, publication)
    seats = [_Seat(to, plan or "")] if to else [_Seat(one.address, one.plan, one) for one in panelists]
    if not seats:
        raise Refused("nobody is on the panel: `newsletter issue panel add ADDRESS --client NAME` puts somebody on it")
    provider = service.provider(service.local_sendgrid_url)
    refusals = [why for seat in seats if (why := _send(service, provider, shelved, publication, seat))]
    if refusals:
        raise Refused("; ".join(refusals))


@dataclass(frozen=True)
class _Seat:
    """To whom a test mail goes, as which plan; on the panel, or for this once."""

    address: str
    plan: str
    of_panel: PanelAddress | None = None


def _send(service: Service, provider: Provider, shelved: Shelved, publication: Publication, seat: _Seat) -> str | None:
    """Send one test mail; give why it was not taken, or nothing."""
    address = parse_address(seat.address)
    with service.database.reading() as session:
        _refuse_whom_nobody_may_mail(session, service, publication, seat.address)
        trial = Trial(shelved.revision, publication, seat.plan, address)
        message = trial_message(session, trial, service.workshop, service.letterhead)
    end = provider.submit(message)
    who = f"{mask(address.email)}{f' ({seat.of_panel.client})' if seat.of_panel else ''}"
    if end.ending is not Ending.accepted:
        answer = end.status or "no answer"
        return f"the test mail to {who} was not accepted: {answer} ({end.ending}) {end.detail}".strip()
    if seat.of_panel:
        with service.database.writing() as session:
            note_sent(session, shelved.revision.id, seat.of_panel, now=service.clock())
    say(f"Revision {shelved.revision.number} went to {who}: {message.subject}")
    return None


def _refuse_whom_nobody_may_mail(session: Session, service: Service, publication: Publication, address: str) -> None:
    if not service.gate.lets(address):
        raise Refused(f"{mask(address)} is not on the allow-list (NEWSLETTER_ALLOW_LIST)")
    if reasons := reasons_against(session, publication.id, address, hasher=service.hasher):
        raise Refused(f"{mask(address)} is suppressed ({', '.join(reasons)}) and gets no mail, not even a test")


def looked_right(
    issue_id: ID,
    client: Client,
    no: Annotated[bool, typer.Option("--no", help="It did not look right.")] = False,
    note: Annotated[str, typer.Option(help="What was wrong, or worth knowing.")] = "",
) -> None:
    """Tick that an issue's newest revision looked right in a mail program of the panel, or that it did not."""
    service = open_service()
    with service.database.writing() as session:
        shelved = latest_revision(session, issue_id)
        publication = publication_by_id(session, shelved.issue.publication_id)
        seat = seat_of(session, publication, client)
        tick(session, shelved.revision.id, seat, right=not no, note=note, by=COMMAND_LINE, now=service.clock())
        session.flush()
        words = in_words(looks_of(session, shelved))
    say(f"Revision {shelved.revision.number} of issue {issue_id}: {words}.")


def looks_of(session: Session, shelved: Shelved) -> list[Look]:
    """Tell how a revision looks in each mail program of its publication's panel."""
    return looks_at(session, publication_by_id(session, shelved.issue.publication_id), shelved.revision.id)
