"""`newsletter mailing`: schedule an issue, and see what became of every reader."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from sqlmodel import Session

from newsletter.cli.console import (
    ID,
    AsJSON,
    Conditions,
    Override,
    PublicationCode,
    Yes,
    confirm,
    meant_by,
    open_service,
    print_json,
    print_rows,
    say,
)
from newsletter.cli.mailing_pace import release_command
from newsletter.composition import NOT_LIVE, Service
from newsletter.delivery.accounts import account_of
from newsletter.delivery.binding import schedule_for_next_slot
from newsletter.delivery.life import undo_until
from newsletter.delivery.mailings import find_mailing, list_mailings, resume, too_old
from newsletter.delivery.models import Mailing
from newsletter.delivery.panel import Look, in_words, looks_at
from newsletter.delivery.policies import policy_of, set_policy
from newsletter.delivery.policy import Policy
from newsletter.delivery.scheduling import Order, read_time, schedule
from newsletter.errors import Refused
from newsletter.issues.shelf import find_issue
from newsletter.publications import home_of, publication_by_id, publication_named, zone_named, zone_of
from subscribers.actors import COMMAND_LINE
from subscribers.audience import AudienceSize, audience_size
from subscribers.matching import matches


app = typer.Typer(help="Mailings: one issue to its audience at a time.", no_args_is_help=True)
app.command("release")(release_command)


@app.command("schedule")
def schedule_(
    issue: ID,
    at: Annotated[str | None, typer.Option("--at", help="Time in the publication's zone: 2026-12-01T09:00.")] = None,
    now: Annotated[bool, typer.Option("--now", help="As soon as the service sees it.")] = False,
    next_slot: Annotated[bool, typer.Option("--next-slot", help="On the next free date of the weekly slot.")] = False,
    zone: Annotated[str | None, typer.Option("--zone", help="Zone of --at, if not the publication's.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Also to readers who have this issue already.")] = False,
    override: Override = None,
    undo_minutes: Annotated[
        int | None, typer.Option(min=0, max=1440, help="So long it can be undone before the first mail leaves.")
    ] = None,
    audience: Conditions = None,
    yes: Yes = False,
    as_json: AsJSON = False,
) -> None:
    """Schedule a mailing of an issue's newest revision, to everybody or to whom the conditions name."""
    if sum((at is not None, now, next_slot)) != 1:
        raise typer.BadParameter("say when: either --at TIME, --next-slot or --now")
    if zone and at is None:
        raise typer.BadParameter("--zone says what --at means: give both")
    if next_slot and (again or audience):
        raise typer.BadParameter("the weekly slot is for everybody who does not have the issue: use --at TIME")
    service = open_service()
    order = Order(
        issue,
        _due(service, issue, at, zone),
        again=again,
        live=service.live,
        overrides=frozenset(override or ()),
        audience=meant_by(audience),
        undo_minutes=undo_minutes,
    )
    size = _size(service, order)
    if now or again or audience:
        confirm(_question(service, order, size), yes=yes)
    with service.database.writing() as session:
        mailing = (_for_next_slot if next_slot else _for_a_time)(session, service, order)
        row = row_of(session, mailing)
        until = _undo_until(session, mailing, service.clock())
        looks = in_words(_looks(session, mailing))
    if as_json:
        print_json(row | {"audience_size": asdict(size), "undo_until": until})
        return
    say(f"Mailing {mailing.id} of issue {issue} is scheduled for {row['due']}. `newsletter serve` begins it.")
    if until:
        say(
            f"No mail leaves before {until:%H:%M:%S %Z}: until then `newsletter mailing unschedule {mailing.id}` "
            f"undoes it, and `newsletter mailing go {mailing.id}` ends the wait."
        )
    if looks:
        say(f"Test panel, this revision: {looks}.")


def _undo_until(session: Session, mailing: Mailing, now: datetime) -> datetime | None:
    """Tell until when a mailing waits only to be undone, in its publication's time."""
    until = undo_until(mailing, now=now)
    return until.astimezone(zone_of(publication_by_id(session, mailing.publication_id))) if until else None


def _looks(session: Session, mailing: Mailing) -> list[Look]:
    return looks_at(session, publication_by_id(session, mailing.publication_id), mailing.revision_id)


def _for_a_time(session: Session, service: Service, order: Order) -> Mailing:
    return schedule(session, order, service.workshop, by=COMMAND_LINE, now=service.clock())


def _for_next_slot(session: Session, service: Service, order: Order) -> Mailing:
    return schedule_for_next_slot(
        session,
        order.issue_id,
        service.workshop,
        overrides=order.overrides,
        undo_minutes=order.undo_minutes,
        live=order.live,
        by=COMMAND_LINE,
        now=service.clock(),
    )


def _due(service: Service, issue_id: int, at: str | None, zone: str | None) -> datetime:
    if at is None:
        return service.clock()
    with service.database.reading() as session:
        publication = publication_by_id(session, find_issue(session, issue_id).publication_id)
    return read_time(at, zone_named(zone) if zone else zone_of(publication), now=service.clock())


def _size(service: Service, order: Order) -> AudienceSize:
    with service.database.reading() as session:
        publication = publication_by_id(session, find_issue(session, order.issue_id).publication_id)
        meant = matches(session, order.audience, home_of(publication))
        return audience_size(session, publication.id, meant, now=service.clock())


def _question(service: Service, order: Order, size: AudienceSize) -> str:
    with service.database.reading() as session:
        issue = find_issue(session, order.issue_id)
        publication = publication_by_id(session, issue.publication_id)
    whose = (
        f"the {size.candidates:,} readers of {publication.name} with {order.audience}"
        if order.audience
        else (f"the {size.candidates:,} readers of {publication.name}")
    )
    repeated = " Readers who have it already get it again." if order.again else ""
    whom = "" if service.live else f" ({NOT_LIVE})"
    return f"Mail “{issue.title}” to {whose}, of whom {size.may_be_mailed:,} may be mailed now{whom}?{repeated}"


@app.command("list")
def list_(publication: PublicationCode = None, as_json: AsJSON = False) -> None:
    """List the mailings of a publication, newest first."""
    with open_service().database.reading() as session:
        found = list_mailings(session, publication_named(session, publication))
        rows = [row_of(session, mailing) for mailing in found]
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, ("id", "issue", "state", "due", "recipients", "accepted", "unknown", "live", "reason"))


@app.command("resume")
def resume_(
    mailing_id: ID,
    yes: Yes = False,
    even_though_old: Annotated[
        bool, typer.Option("--even-though-old", help="Its content is older than the policy lets pass, and still true.")
    ] = False,
) -> None:
    """Let a paused, held or halted mailing go on, once its cause is mended."""
    service = open_service()
    with service.database.reading() as session:
        mailing = find_mailing(session, mailing_id)
        account = account_of(session, mailing)
        old = too_old(session, mailing, now=service.clock())
    if old and not even_though_old:
        # `--yes` alone is said by scripts, which have not looked whether last week's news are still true.
        confirm(f"Mailing {mailing_id} was due {old}: is all of it still true (--even-though-old)?", yes=False)
    confirm(f"Go on with mailing {mailing_id}: {account.standing.line()}?", yes=yes)
    with service.database.writing() as session:
        mailing = resume(session, mailing_id, live=service.live, now=service.clock(), even_though_old=True)
    say(f"Mailing {mailing_id} is {mailing.state} again.")


@app.command()
def policy(
    terms: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE", help="Such as unknown=resend; without a value: default.")
    ] = None,
    publication: PublicationCode = None,
    as_json: AsJSON = False,
) -> None:
    """Show a publication's policy for its mailings, or change the terms that are named."""
    service = open_service()
    said = dict(map(_term, terms or ()))
    with service.database.writing() as session:
        publication_id = publication_named(session, publication).id
        policy = (
            set_policy(session, publication_id, said, by=COMMAND_LINE, now=service.clock())
            if said
            else policy_of(session, publication_id)
        )
    values = policy.model_dump(mode="json")
    if as_json:
        print_json(values)
        return
    rows = (
        {"name": name, "value": _shown(values[name]), "meaning": one.description}
        for name, one in Policy.model_fields.items()
    )
    print_rows(rows, ("name", "value", "meaning"))


def _term(written: str) -> tuple[str, object]:
    """Read a term: a number, a word, or several by commas, as the policy has them."""
    name, equals, value = written.partition("=")
    if not equals:
        raise Refused(f"{written!r}: write a term as NAME=VALUE, such as unknown=resend")
    if not value:
        return name, None
    if name == "warm_up":
        return name, value.split(",")
    if name in {"provider_per_second", "provider_requests_in_flight"}:
        return name, dict(one.partition(":")[::2] for one in value.split(","))
    return name, value


def _shown(value: object) -> object:
    if isinstance(value, dict):
        return ",".join(f"{name}:{rate}" for name, rate in value.items())
    return ",".join(map(str, value)) if isinstance(value, list) else value


def row_of(session: Session, mailing: Mailing) -> dict[str, Any]:
    """Give a mailing with its account, as listings and JSON have it."""
    account = account_of(session, mailing)
    publication = publication_by_id(session, mailing.publication_id)
    standing = {name: getattr(account.standing, name) for name in account.standing.__dataclass_fields__}
    return {
        "id": mailing.id,
        "issue": mailing.issue_id,
        "title": find_issue(session, mailing.issue_id).title,
        "publication": publication.code,
        "state": str(mailing.state),
        "reason": mailing.state_reason,
        "slot": mailing.occurrence.isoformat() if mailing.occurrence else None,
        "due": mailing.due_at.astimezone(zone_of(publication)).strftime("%Y-%m-%d %H:%M %Z"),
        "audience": mailing.audience,
        "again": mailing.again,
        "correction": mailing.correction_id,
        "section": mailing.section,
        "live": mailing.live,
        "overrides": mailing.overrides,
        "scheduled_by": mailing.created_by,
        "candidates": account.candidates,
        "exclusions": dict(account.exclusions),
        **standing,
        "line": account.standing.line(),
        "balances": account.balances,
    }
