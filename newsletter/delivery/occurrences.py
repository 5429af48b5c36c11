"""When a weekly slot comes: its planned dates, what is skipped or moved, and the instant of each. Pure.

An occurrence is known by its planned date, wherever it is moved; ``agenda`` reads what is stored, ``binding`` puts
mailings on it. Where clocks are put back a local time comes twice and the first is meant; where they are put forward
over it, the next minute that there is (DESIGN §5, the clock).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


DAY, WEEK, MINUTE = timedelta(days=1), timedelta(days=7), timedelta(minutes=1)

#: What was decided of planned dates: the local time to which each is moved, or nothing where it is skipped.
Exceptions = Mapping[date, datetime | None]


@dataclass(frozen=True)
class Slot:
    """A publication's weekly time: a weekday (0 is Monday), a local time of whole minutes, and the zone of both."""

    weekday: int
    time: time
    zone: ZoneInfo


@dataclass(frozen=True)
class Occurrence:
    """One planned date of a slot, and the instant (UTC) at which it comes, or would come were it not skipped.

    ``moved_to`` is the local time to which it was moved.
    """

    planned: date
    at: datetime
    moved_to: datetime | None = None
    skipped: bool = False


def occurrences(slot: Slot, exceptions: Exceptions, *, since: datetime, until: datetime) -> tuple[Occurrence, ...]:
    """List the occurrences that come after one instant and not after another, in the order in which they come.

    Skipped ones are among them, where they would have come; exceptions of dates that are none of the slot are not.
    """
    found = (_on(slot, exceptions, day) for day in _planned(slot, exceptions, since, until))
    return tuple(sorted((one for one in found if since < one.at <= until), key=lambda one: (one.at, one.planned)))


def occurrence_on(slot: Slot, exceptions: Exceptions, planned: date) -> Occurrence | None:
    """Give the occurrence of a planned date, or nothing where the slot has none on that day."""
    return _on(slot, exceptions, planned) if planned.weekday() == slot.weekday else None


def instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """Give the instant (UTC) at which a zone's clocks show a time: the first, or that of the next minute they show."""
    while not exists(wall, zone):
        wall += MINUTE
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def exists(wall: datetime, zone: ZoneInfo) -> bool:
    """Tell whether a zone's clocks ever show a time; when they are put forward they leave some out."""
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == wall


def _on(slot: Slot, exceptions: Exceptions, planned: date) -> Occurrence:
    moved_to = exceptions.get(planned)
    wall = moved_to or datetime.combine(planned, slot.time)
    return Occurrence(planned, instant_of(wall, slot.zone), moved_to, planned in exceptions and moved_to is None)


def _planned(slot: Slot, exceptions: Exceptions, since: datetime, until: datetime) -> Iterator[date]:
    """Give the planned dates that may come in a span of time: the span's own, and those that were moved."""
    # Where a whole day is left out (a country that changes its side of the date line) the instant is a day later.
    first, last = since.astimezone(slot.zone).date() - DAY, until.astimezone(slot.zone).date()
    day = first + timedelta(days=(slot.weekday - first.weekday()) % 7)
    regular = set()
    while day <= last:
        regular.add(day)
        day += WEEK
    yield from regular | {one for one in exceptions if one.weekday() == slot.weekday}
