"""`newsletter slots`: the weekly slot of a publication, and what takes each of its dates."""

from datetime import date, datetime, time
from enum import StrEnum
from typing import Annotated, Any

import typer

from newsletter.cli.console import AsJSON, PublicationCode, open_service, print_json, print_rows, say
from newsletter.composition import Service
from newsletter.delivery.agenda import Entry, Use, calendar
from newsletter.delivery.scheduling import read_time
from newsletter.delivery.slot_alerts import local_time
from newsletter.delivery.slots import SlotTime, clear_slot, move_occurrence, restore, set_slot, skip
from newsletter.errors import Refused
from newsletter.publications import Publication, publication_named, zone_of
from subscribers.actors import COMMAND_LINE


app = typer.Typer(help="The weekly slot: set it, skip a week, move one; and what goes out when.", no_args_is_help=True)


class Weekday(StrEnum):
    """Days of the week as commands name them."""

    mon = "mon"
    tue = "tue"
    wed = "wed"
    thu = "thu"
    fri = "fri"
    sat = "sat"
    sun = "sun"


Planned = Annotated[str, typer.Argument(metavar="DATE", help="The planned date, as `slots list` shows it.")]
Undo = Annotated[bool, typer.Option("--undo", help="Let it come at its regular time again.")]


@app.command("list")
def list_(
    weeks: Annotated[int, typer.Option(min=1, max=520, help="How many weeks ahead.")] = 8,
    publication: PublicationCode = None,
    as_json: AsJSON = False,
) -> None:
    """Show the dates of the last week and of the weeks to come, and what takes each."""
    service = open_service()
    with service.database.reading() as session:
        found = publication_named(session, publication)
        entries = calendar(session, found, live=service.live, now=service.clock(), weeks=weeks)
    rows = [_row(entry, found) for entry in entries]
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, ("planned", "local", "use", "issue", "title", "mailing", "note"))


@app.command("set")
def set_(
    weekday: Annotated[Weekday, typer.Option(help="The day of the week.")],
    at: Annotated[str, typer.Option("--time", help="The time in the publication's zone, such as 09:00.")],
    publication: PublicationCode = None,
) -> None:
    """Set the weekly slot, or another one; what waits for it follows."""
    service = open_service()
    wished = SlotTime(list(Weekday).index(weekday), _time(at))
    with service.database.writing() as session:
        found = publication_named(session, publication)
        set_slot(session, found, wished, by=COMMAND_LINE, now=service.clock())
        coming = calendar(session, found, live=service.live, now=service.clock(), weeks=2)
    _say_next(service, found, coming)


@app.command()
def clear(publication: PublicationCode = None) -> None:
    """Take the weekly slot away; issues that waited for it are ready, and nothing is mailed by itself any more."""
    service = open_service()
    with service.database.writing() as session:
        was_there = clear_slot(session, publication_named(session, publication), now=service.clock())
    say("There is no weekly slot any more." if was_there else "There was no weekly slot: nothing was changed.")


@app.command("skip")
def skip_(planned: Planned, undo: Undo = False, publication: PublicationCode = None) -> None:
    """Leave one date out; what was to go then takes the next."""
    service, day = open_service(), _date(planned)
    if undo:
        _undo(service, day, publication)
        return
    with service.database.writing() as session:
        found = publication_named(session, publication)
        skip(session, found, day, by=COMMAND_LINE, now=service.clock())
    say(f"The slot of {day} is skipped; `newsletter slots skip {day} --undo` undoes it.")


@app.command()
def move(
    planned: Planned,
    to: Annotated[
        str | None, typer.Option("--to", help="The time in the publication's zone: 2026-12-25T10:00.")
    ] = None,
    undo: Undo = False,
    publication: PublicationCode = None,
) -> None:
    """Let one date come at another time; it stays the slot of its date, and its mailing goes with it."""
    if (to is None) == (not undo):
        raise typer.BadParameter("say whereto with --to TIME, or --undo")
    service, day = open_service(), _date(planned)
    if to is None:
        _undo(service, day, publication)
        return
    with service.database.writing() as session:
        found = publication_named(session, publication)
        instant = read_time(to, zone_of(found), now=service.clock())
        moved = move_occurrence(session, found, day, instant, by=COMMAND_LINE, now=service.clock())
    say(f"The slot of {day} comes at {local_time(moved.at, found)}; `newsletter slots move {day} --undo` undoes it.")


def _undo(service: Service, day: date, code: str | None) -> None:
    with service.database.writing() as session:
        found = publication_named(session, code)
        was_changed = restore(session, found, day, now=service.clock())
    say(f"The slot of {day} comes at its regular time{' again' if was_changed else ': nothing was changed'}.")


def _say_next(service: Service, publication: Publication, entries: tuple[Entry, ...]) -> None:
    coming = next((one for one in entries if one.occurrence.at > service.clock() and one.use is not Use.skipped), None)
    following = f" It comes next at {local_time(coming.occurrence.at, publication)}." if coming else ""
    say(f"The weekly slot of {publication.name} is set.{following} `newsletter slots list` shows what takes each.")


def _row(entry: Entry, publication: Publication) -> dict[str, Any]:
    one = entry.occurrence
    return {
        "planned": one.planned.isoformat(),
        "at": one.at.isoformat(),
        "local": local_time(one.at, publication),
        "zone": publication.time_zone,
        "use": entry.use,
        "issue": entry.issue_id,
        "title": entry.title,
        "mailing": entry.mailing_id,
        "mailing_state": entry.mailing_state,
        "moved_to": one.moved_to.isoformat(timespec="minutes") if one.moved_to else None,
        "skipped": one.skipped,
        "note": ", ".join(filter(None, (entry.mailing_state, "moved" if one.moved_to else ""))),
    }


def _date(written: str) -> date:
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise Refused(f"{written!r} is no date: write it as 2026-12-28") from None


def _time(written: str) -> time:
    try:
        read = datetime.strptime(written, "%H:%M")  # noqa: DTZ007 - a time of day, in the publication's zone
    except ValueError:
        raise Refused(f"{written!r} is no time of day: write it as 09:00") from None
    return read.time()
