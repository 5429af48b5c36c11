"""How a mailing goes: what it waits for, who is held and why (`mailing show`), and `newsletter mailing release`."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from sqlmodel import Session

from newsletter.cli.console import ID, AsJSON, Yes, confirm, open_service, print_json, say
from newsletter.delivery.lanes import LaneView, lanes_of, superseded_in
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.mailings import find_mailing
from newsletter.delivery.models import Mailing
from newsletter.delivery.pacing import Wave
from newsletter.delivery.policies import policy_of
from newsletter.delivery.releasing import held_lanes, release
from subscribers.actors import COMMAND_LINE


def release_command(
    mailing_id: ID,
    provider: Annotated[
        list[str] | None, typer.Option("--provider", help="Only this mailbox provider, such as qq; may be repeated.")
    ] = None,
    yes: Yes = False,
    as_json: AsJSON = False,
) -> None:
    """Let mailbox providers go on that were held for bounces, blocks or complaints."""
    service = open_service()
    providers = tuple(provider or ())
    with service.database.reading() as session:
        held = held_lanes(session, mailing_id, providers)
    waiting = sum(one.waiting for one in held)
    why = "; ".join(f"{one.lane}: {one.held_for}" for one in held)
    confirm(f"Mail the {waiting:,} recipients who wait in mailing {mailing_id} all the same? Held: {why}.", yes=yes)
    with service.database.writing() as session:
        released = release(session, mailing_id, by=COMMAND_LINE, now=service.clock(), providers=providers)
        mailing = find_mailing(session, mailing_id)
        still = "" if mailing.state is MailingState.running else f"; mailing {mailing_id} is {mailing.state}"
        still += f": {mailing.state_reason}" if still and mailing.state_reason else ""
    if as_json:
        print_json([{"provider": one.lane, "waiting": one.waiting, "held_for": one.held_for} for one in released])
        return
    names = ", ".join(one.lane for one in released)
    if still:
        say(f"{names}: nothing holds these {waiting:,} recipients any more{still}.")
    else:
        say(f"{names}: {waiting:,} recipients go on. It is held again once it is twice as bad.")


def pace_row(session: Session, mailing: Mailing, zone: ZoneInfo) -> dict[str, Any]:
    """Give what `mailing show` says of a mailing's pace, as JSON."""
    lanes = lanes_of(session, mailing.id)
    policy = policy_of(session, mailing.publication_id)
    return {
        "for_later_weeks": sum(one.for_later for one in lanes),
        "superseded": superseded_in(session, mailing.id),
        "provider_away_since": _in(mailing.away_since, zone) if mailing.retry_at else None,
        "next_try": _in(mailing.retry_at, zone) if mailing.state is MailingState.running else None,
        "lanes": [_lane(one, zone, policy.look_minutes) for one in lanes],
    }


def _lane(one: LaneView, zone: ZoneInfo, look_minutes: int) -> dict[str, Any]:
    in_first_wave = one.wave == Wave.first and one.wave_at is not None and one.waiting > 0
    return {
        "provider": one.lane,
        "waiting": one.waiting,
        "for_later_weeks": one.for_later,
        "held_at": _in(one.held_at, zone),
        "held_for": one.held_for,
        "released_by": one.released_by,
        "first_wave_ended": _in(one.wave_at, zone) if in_first_wave else None,
        "look_minutes": look_minutes if in_first_wave else None,
        "not_before": _in(one.not_before, zone),
    }


def _in(moment: datetime | None, zone: ZoneInfo) -> str | None:
    return moment.astimezone(zone).isoformat(" ", "seconds") if moment else None


def how_it_goes(pace: Mapping[str, Any]) -> Iterator[str]:
    """Say which readers wait for the look after a first wave, or for another week of the warm-up, a line each."""
    for one in pace["lanes"]:
        if one["first_wave_ended"] and not one["held_at"]:
            yield (
                f"{one['provider']}: the first wave was mailed at {one['first_wave_ended']}; {one['waiting']:,} follow "
                f"{one['look_minutes']} minutes later if it did well."
            )
    if superseded := pace["superseded"]:
        yield f"{superseded:,} readers were beyond that week's warm-up; a newer mailing has taken their place."
    if later := pace["for_later_weeks"]:
        yield f"{later:,} readers are beyond this week's warm-up; the next mailing to them leaves them out of this one."
