"""`newsletter feedback`: what the provider's events led to, and an operator's word on it."""

from dataclasses import asdict, fields
from typing import Annotated, Any

import typer
from sqlmodel import Session

from newsletter.cli.console import (
    ID,
    After,
    AsJSON,
    Limit,
    PublicationCode,
    Yes,
    confirm,
    err,
    open_service,
    print_facts,
    print_json,
    print_rows,
    say,
)
from newsletter.composition import Service
from newsletter.errors import Refused
from newsletter.feedback.applying import Scene
from newsletter.feedback.consequences import Limits
from newsletter.feedback.histories import limits_from
from newsletter.feedback.ingest import apply_again, backlog
from newsletter.feedback.models import ConsequenceState, FeedbackPolicy, SurgeDecision
from newsletter.feedback.problems import problems_of, problems_of_late, waiting_removals
from newsletter.feedback.surges import decide_surge, find_surge, surges_of
from newsletter.feedback.undoing import Choice, count_chosen, find_consequence, list_consequences, undo
from newsletter.publications import publication_named
from subscribers.actors import COMMAND_LINE
from subscribers.models import SuppressionReason


app = typer.Typer(help="What the provider says of mails later, and what followed from it.", no_args_is_help=True)

Mailing = Annotated[int | None, typer.Option(min=1, max=2**31 - 1, help="Of this mailing.")]
MailboxProvider = Annotated[str, typer.Option("--provider", help="Of this mailbox provider, such as qq or gmail.")]
Text = Annotated[str, typer.Option(help="Whose server said this.")]
Reason = Annotated[SuppressionReason | None, typer.Option(help="For this reason.")]


@app.command("list")
def list_(
    mailing: Mailing = None,
    provider: MailboxProvider = "",
    text: Text = "",
    reason: Reason = None,
    state: Annotated[ConsequenceState | None, typer.Option(help="Which stand so.")] = None,
    limit: Limit = 100,
    after: After = 0,
    as_json: AsJSON = False,
) -> None:
    """List consequences, the oldest first, each with the event that led to it."""
    choice = Choice(mailing_id=mailing, provider=provider, text=text, reason=reason, state=state)
    with open_service().database.reading() as session:
        found = list_consequences(session, choice, after=after, limit=limit)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    rows = [asdict(one) | {"happened": f"{one.happened_at:%Y-%m-%d %H:%M}"} for one in found]
    print_rows(rows, ("id", "state", "deed", "reason", "masked_address", "provider", "happened", "status", "text"))
    if len(rows) == limit:
        err.print(f"There may be more: --after {rows[-1]['id']}")


@app.command()
def show(consequence_id: ID, as_json: AsJSON = False) -> None:
    """Show one consequence with its event, and the line of the policy that it follows."""
    with open_service().database.reading() as session:
        found = find_consequence(session, consequence_id)
    if as_json:
        print_json(asdict(found))
    else:
        print_facts(asdict(found))


@app.command("undo")
def undo_(
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="These; or choose by options.")] = None,
    mailing: Mailing = None,
    provider: MailboxProvider = "",
    text: Text = "",
    reason: Reason = None,
    yes: Yes = False,
    as_json: AsJSON = False,
) -> None:
    """Take consequences back, here and at SendGrid; what else holds an address back stands."""
    service = open_service()
    choice = Choice(tuple(ids or ()), mailing, provider, text, reason)
    if choice == Choice():
        raise Refused("say which: their numbers, or --mailing, --provider, --text or --reason")
    with service.database.reading() as session:
        count = count_chosen(session, choice)
    if not count:
        raise Refused("none that stands is like that: `newsletter feedback list` shows them")
    confirm(f"Take back {count:,} consequences?", yes=yes)
    with service.database.writing() as session:
        undone = undo(session, choice, _scene(service))
    if as_json:
        print_json({"undone": undone})
    else:
        say(f"Undone: {undone:,}. The addresses are taken off SendGrid's lists as well, while the service runs.")


@app.command()
def surges(as_json: AsJSON = False) -> None:
    """List the surges of bounces: mailbox providers that bounced an unusual share of a mailing."""
    with open_service().database.reading() as session:
        rows = surges_of(session)
    if as_json:
        print_json(rows)
        return
    print_rows(rows, ("mailing", "provider", "bounced", "accepted", "seen_at", "waiting", "decision"))
    if any(row["decision"] is None for row in rows):
        say(
            "Until you decide, nobody is blamed for these bounces: `newsletter feedback surge MAILING PROVIDER --help`."
        )


@app.command()
def surge(
    mailing_id: ID,
    provider: Annotated[str, typer.Argument(help="The mailbox provider, as `surges` calls it.")],
    confirmed: Annotated[
        bool | None, typer.Option("--confirm/--dismiss", help="The addresses are bad; or the provider had a bad day.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Decide a surge: its consequences are applied, or dismissed with what comes later of that mailing."""
    if confirmed is None:
        raise typer.BadParameter("say --confirm or --dismiss")
    service = open_service()
    decision = SurgeDecision.confirmed if confirmed else SurgeDecision.dismissed
    with service.database.reading() as session:
        seen = find_surge(session, mailing_id, provider)
    numbers = f"{seen['bounced']:,} of {seen['accepted']:,} when it was seen; waiting consequences: {seen['waiting']:,}"
    confirm(f"Every bounce at {provider} of mailing {mailing_id} is {decision} ({numbers})?", yes=yes)
    with service.database.writing() as session:
        moved = decide_surge(session, mailing_id, provider, decision, _scene(service))
    say(f"The surge is {decision}: {moved:,} consequences moved.")


@app.command()
def problems(limit: Limit = 50, as_json: AsJSON = False) -> None:
    """Show what of the provider's calls could not be read or is about nobody here, and how many wait to be applied."""
    service = open_service()
    with service.database.reading() as session:
        waiting, rows = backlog(session), problems_of(session, limit)
        of_late = problems_of_late(session, now=service.clock())
    if as_json:
        print_json({"waiting": asdict(waiting), "of_late": of_late, "problems": rows})
        return
    print_rows(rows, ("received_at", "said", "provider", "problem", "text"))
    say(f"Such events in a week, with routine about nobody here, which is only counted: {of_late:,}.")
    say(f"Calls that wait to be applied: {waiting.calls:,}.")


@app.command()
def removals(limit: Limit = 50, as_json: AsJSON = False) -> None:
    """Show what is still to be taken off SendGrid's lists after it was undone here, and what SendGrid said last."""
    with open_service().database.reading() as session:
        rows = waiting_removals(session, limit)
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, ("id", "consequence", "list", "tries", "next_try", "result"))


@app.command()
def again(call_id: ID) -> None:
    """Have a kept call of the provider applied from its beginning once more; twice is fine."""
    with open_service().database.writing() as session:
        apply_again(session, call_id)
    say(f"Call {call_id} will be applied again while the service runs.")


@app.command()
def policy(
    soft_issues: Annotated[int | None, typer.Option(min=1, max=100, help="Soft bounces in a row: pause.")] = None,
    disabled_issues: Annotated[int | None, typer.Option(min=1, max=100, help="Closed mailbox: give up.")] = None,
    probe_days: Annotated[int | None, typer.Option(min=1, max=3650, help="Days of pause before one more try.")] = None,
    surge_share: Annotated[float | None, typer.Option(min=0, max=1, help="Share of bounces that is a surge.")] = None,
    surge_bounces: Annotated[int | None, typer.Option(min=1, help="So many bounces are needed for one.")] = None,
    complaint_share: Annotated[float | None, typer.Option(min=0, max=1, help="Share of complaints to tell of.")] = None,
    publication: PublicationCode = None,
    as_json: AsJSON = False,
) -> None:
    """Show a publication's limits, or change those that are named."""
    said = {name: value for name, value in locals().items() if name in _LIMITS and value is not None}
    service = open_service()
    with service.database.writing() as session:
        limits = _set_limits(session, publication_named(session, publication).id, said)
    if as_json:
        print_json(limits)
    else:
        print_facts(limits)


_LIMITS = tuple(one.name for one in fields(Limits))


def _set_limits(session: Session, publication_id: int, said: dict[str, Any]) -> dict[str, Any]:
    row = session.get(FeedbackPolicy, publication_id)
    limits = {**vars(limits_from(row) if row else Limits()), **said}
    if said:
        session.merge(FeedbackPolicy(publication_id=publication_id, **limits))
    return limits


def _scene(service: Service) -> Scene:
    return Scene(service.hasher, COMMAND_LINE, service.clock())
