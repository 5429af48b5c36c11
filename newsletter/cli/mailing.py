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
    PublicationCode,
    Yes,
    confirm,
    meant_by,
    open_service,
    print_facts,
    print_json,
    print_rows,
    say,
)
from newsletter.composition import NOT_LIVE, Service
from newsletter.delivery.accounts import account_of, batches_in_trouble
from newsletter.delivery.mailings import find_mailing, list_mailings, resume
from newsletter.delivery.models import Mailing
from newsletter.delivery.policies import policy_of, set_policy
from newsletter.delivery.policy import Policy
from newsletter.delivery.scheduling import Order, read_time, schedule
from newsletter.errors import Refused
from newsletter.hosts import open_holds
from newsletter.issues.shelf import find_issue
from newsletter.publications import home_of, publication_by_id, publication_named, zone_of
from subscribers.actors import COMMAND_LINE
from subscribers.audience import AudienceSize, audience_size
from subscribers.matching import matches


app = typer.Typer(help="Mailings: one issue to its audience at a time.", no_args_is_help=True)


@app.command("schedule")
def schedule_(
    issue: ID,
    at: Annotated[str | None, typer.Option("--at", help="Time in the publication's zone: 2026-12-01T09:00.")] = None,
    now: Annotated[bool, typer.Option("--now", help="As soon as the service sees it.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also to readers who have this issue already.")] = False,
    override: Annotated[
        list[str] | None, typer.Option("--override", help="A check whose blockers you take upon yourself; recorded.")
    ] = None,
    audience: Conditions = None,
    yes: Yes = False,
    as_json: AsJSON = False,
) -> None:
    """Schedule a mailing of an issue's newest revision, to everybody or to whom the conditions name."""
    if (at is None) == (not now):
        raise typer.BadParameter("say when: either --at TIME or --now")
    service = open_service()
    order = Order(
        issue,
        _due(service, issue, at),
        again=again,
        live=service.live,
        overrides=frozenset(override or ()),
        audience=meant_by(audience),
    )
    size = _size(service, order)
    if now or again or audience:
        confirm(_question(service, order, size), yes=yes)
    with service.database.writing() as session:
        mailing = schedule(session, order, service.workshop, by=COMMAND_LINE, now=service.clock())
        row = _row(session, mailing)
    if as_json:
        print_json(row | {"audience_size": asdict(size)})
    else:
        say(f"Mailing {mailing.id} of issue {issue} is scheduled for {row['due']}. `newsletter serve` begins it.")


def _due(service: Service, issue_id: int, at: str | None) -> datetime:
    if at is None:
        return service.clock()
    with service.database.reading() as session:
        publication = publication_by_id(session, find_issue(session, issue_id).publication_id)
    return read_time(at, zone_of(publication), now=service.clock())


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
        rows = [_row(session, mailing) for mailing in found]
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, ("id", "issue", "state", "due", "recipients", "accepted", "unknown", "live", "reason"))


@app.command()
def show(mailing_id: ID, as_json: AsJSON = False) -> None:
    """Show one mailing with the account of every candidate."""
    service = open_service()
    with service.database.reading() as session:
        mailing = find_mailing(session, mailing_id)
        row = _row(session, mailing)
        zone = zone_of(publication_by_id(session, mailing.publication_id))
        trouble = [
            vars(batch) | {"since": batch.since.astimezone(zone).isoformat(" ", "seconds")}
            for batch in batches_in_trouble(session, mailing_id)
        ]
        account = account_of(session, mailing)
        held = [*(one.reason for one in open_holds(session)), *filter(None, [service.room.lack()])]
    if as_json:
        print_json(row | {"batches_in_trouble": trouble, "store_held": held})
        return
    for reason in held:
        say(f"NOTHING IS MAILED: {reason}. See `newsletter move`.")
    print_facts(
        {name: row[name] for name in ("id", "issue", "title", "state", "reason", "due", "audience", "again", "live")}
    )
    for one in row["overrides"]:
        say(f"Overridden by {row['scheduled_by']}: {one['check']} ({one['where']}): {one['message']}")
    excluded = " + ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in account.exclusions.items())
    recipients = f"{account.standing.recipients:,} recipients"
    say(f"\n{account.candidates:,} candidates = " + " + ".join(filter(None, (recipients, excluded))))
    say(account.standing.line() + ("" if account.balances else "  DOES NOT BALANCE"))
    if trouble:
        print_rows(trouble, ("batch_id", "state", "recipients", "since", "detail"), title="\nRequests to look at")
        say("Unknown means: it may have been accepted. Nobody in it is mailed again by machine.")


@app.command("resume")
def resume_(mailing_id: ID, yes: Yes = False) -> None:
    """Let a halted mailing go on, once its cause is mended."""
    service = open_service()
    with service.database.reading() as session:
        account = account_of(session, find_mailing(session, mailing_id))
    confirm(f"Go on with mailing {mailing_id}: {account.standing.line()}?", yes=yes)
    with service.database.writing() as session:
        mailing = resume(session, mailing_id, live=service.live, now=service.clock())
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
    if name == "provider_per_second":
        return name, dict(one.partition(":")[::2] for one in value.split(","))
    return name, value


def _shown(value: object) -> object:
    if isinstance(value, dict):
        return ",".join(f"{name}:{rate}" for name, rate in value.items())
    return ",".join(map(str, value)) if isinstance(value, list) else value


def _row(session: Session, mailing: Mailing) -> dict[str, Any]:
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
        "due": mailing.due_at.astimezone(zone_of(publication)).strftime("%Y-%m-%d %H:%M %Z"),
        "audience": mailing.audience,
        "again": mailing.again,
        "live": mailing.live,
        "overrides": mailing.overrides,
        "scheduled_by": mailing.created_by,
        "candidates": account.candidates,
        "exclusions": dict(account.exclusions),
        **standing,
        "balances": account.balances,
    }
