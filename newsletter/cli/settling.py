"""`newsletter mailing settle`: requests of which nobody knows whether they were accepted, each with its evidence."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from newsletter.cli.console import ID, AsJSON, Yes, confirm, open_service, print_facts, print_json, say
from newsletter.composition import Service
from newsletter.delivery.accounts import account_of
from newsletter.delivery.doubt_models import Decision
from newsletter.delivery.evidence import Evidence
from newsletter.delivery.mailings import find_mailing
from newsletter.delivery.settlement import settle, unsettled
from newsletter.errors import Refused
from newsletter.publications import publication_by_id, zone_of
from subscribers.actors import COMMAND_LINE


class As(StrEnum):
    """How an operator settles a request."""

    accepted = "accepted"
    resend = "resend"
    give_up = "give-up"


_DECISION = {As.accepted: Decision.accepted, As.resend: Decision.resend, As.give_up: Decision.give_up}
_QUESTION = {
    As.accepted: "Take {requests} for accepted, though nothing proves it? Who did not get it will not be mailed.",
    As.resend: "Mail {requests} once more? Who did get it gets it twice.",
    As.give_up: "Give up {requests}? Nobody of them is mailed; one that an event proves later counts as accepted.",
}


def settle_(
    mailing_id: ID,
    as_: Annotated[As | None, typer.Option("--as", help="What they shall count as; else they are listed.")] = None,
    batch: Annotated[list[int] | None, typer.Option(help="Only the request of this batch; repeatable.")] = None,
    yes: Yes = False,
    as_json: AsJSON = False,
) -> None:
    """List the requests of which nobody knows whether they were accepted, or decide what they count as."""
    service = open_service()
    with service.database.reading() as session:
        found = unsettled(session, mailing_id, batch or ())
        zone = zone_of(publication_by_id(session, find_mailing(session, mailing_id).publication_id))
    if as_ is None:
        _list(found, mailing_id, zone, as_json=as_json)
        return
    if not found:
        raise Refused(f"mailing {mailing_id} has no request whose outcome is unknown: nothing is to be settled")
    confirm(_QUESTION[as_].format(requests=_how_many(found)), yes=yes)
    done, line = _decide(service, mailing_id, as_, found)
    if as_json:
        print_json({"mailing": mailing_id, "as": as_, "settled": [one.batch_id for one in done], "line": line})
        return
    say(f"{_how_many(done)} settled as {as_}, on record as said by {COMMAND_LINE}.")
    say(line)


def _decide(service: Service, mailing_id: int, as_: As, found: Sequence[Evidence]) -> tuple[list[Evidence], str]:
    """Settle what was shown, and nothing else; give what was, and the mailing's line afterwards."""
    with service.database.writing() as session:
        batches = [one.batch_id for one in found]
        done = settle(session, mailing_id, _DECISION[as_], batches=batches, by=COMMAND_LINE, now=service.clock())
        return done, account_of(session, find_mailing(session, mailing_id)).standing.line()


def _how_many(found: Sequence[Evidence]) -> str:
    people = sum(one.recipients for one in found)
    return f"{len(found):,} request{'s' * (len(found) != 1)} with {people:,} recipient{'s' * (people != 1)}"


def _list(found: Sequence[Evidence], mailing_id: int, zone: ZoneInfo, *, as_json: bool) -> None:
    if as_json:
        print_json([one.as_json() for one in found])
        return
    if not found:
        say(f"Mailing {mailing_id}: the outcome of every request is known.")
        return
    say(f"{_how_many(found)}: nobody knows whether SendGrid accepted them.")
    for one in found:
        say("")
        print_facts(_facts(one, zone))
    say(f"\nTo decide: newsletter mailing settle {mailing_id} --as accepted|resend|give-up [--batch B …]")


def _facts(one: Evidence, zone: ZoneInfo) -> dict[str, Any]:
    heard = f"{one.events:,} about other requests"
    last = f", the last at {_time(one.last_event_at, zone)}" if one.last_event_at else ""
    looked = f" ({_time(one.looked_up_at, zone)})" if one.looked_up_at else ""
    then = "you decide" if one.asked_at else one.policy.replace("_", " ")
    return {
        "batch": one.batch_id,
        "recipients": one.recipients,
        "call": f"number {one.number}, began {_time(one.began_at, zone)}, given up {_time(one.ended_at, zone)}",
        "how it ended": one.said,
        "calls without an answer": one.lost_calls,
        "attempt id": one.attempt_id,
        "events since": heard + last,
        "quiet time": f"{_span(one.quiet)} of {_span(one.quiet_needed)}, then {then}",
        "SendGrid's record": (one.looked_up or "not asked yet") + looked,
        "you were asked": _time(one.asked_at, zone) if one.asked_at else "not yet",
    }


def _time(moment: datetime | None, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def _span(span: timedelta) -> str:
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes else f"{seconds} s"
