"""The weekly slot as operators set it: its time, and dates that are skipped or moved. What is bound follows at once.

Read by ``agenda``; filled by ``filling``. Planned dates and times are local to the publication.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlmodel import Session, col, select

from newsletter.delivery.agenda import LOOK_AHEAD, LOOK_BACK, coming, needed_slot_of, planned_on
from newsletter.delivery.binding import lock_slot, replan
from newsletter.delivery.models import Mailing
from newsletter.delivery.occurrences import Occurrence, instant_of, occurrence_on
from newsletter.delivery.slot_alerts import local_time
from newsletter.delivery.slot_models import SlotException, WeeklySlot
from newsletter.errors import Refused
from newsletter.publications import Publication, zone_of
from subscribers.actors import Actor


@dataclass(frozen=True)
class SlotTime:
    """When a slot is to come each week: a weekday (0 is Monday) and a local time of whole minutes."""

    weekday: int
    at: time


def set_slot(session: Session, publication: Publication, wished: SlotTime, *, by: Actor, now: datetime) -> None:
    """Give a publication its weekly slot, or another one; the same again changes nothing.

    What was decided of dates ahead holds for the same week of the new slot. Nothing is made up for what the new slot
    would have had before.
    """
    row = lock_slot(session, publication.id)
    if row is None:
        row = WeeklySlot(
            publication_id=publication.id,
            weekday=wished.weekday,
            at=wished.at,
            zone=publication.time_zone,
            set_at=now,
            set_by=str(by),
        )
    elif (row.weekday, row.at) == (wished.weekday, wished.at):
        return
    else:
        row.weekday, row.at, row.set_at, row.set_by = wished.weekday, wished.at, now, str(by)
    session.add(row)
    _carry_exceptions(session, publication.id, wished.weekday)
    replan(session, publication, now=now)


def _carry_exceptions(session: Session, publication_id: int, weekday: int) -> None:
    """Put what was decided of planned dates onto those of the same weeks: a skipped week stays skipped."""
    found = session.exec(select(SlotException).where(SlotException.publication_id == publication_id))
    elsewhere = [one for one in found if one.planned.weekday() != weekday]
    carried = {one.planned + timedelta(days=weekday - one.planned.weekday()): one.model_dump() for one in elsewhere}
    for one in elsewhere:
        session.delete(one)
    session.flush()
    for planned, decided in carried.items():
        session.merge(SlotException(**(decided | {"planned": planned})))
    session.flush()


def clear_slot(session: Session, publication: Publication, *, now: datetime) -> bool:
    """Take a publication's slot away; issues that were bound are ready again. Tell whether there was one."""
    row = lock_slot(session, publication.id)
    if row is None:
        return False
    session.delete(row)
    session.flush()
    replan(session, publication, now=now)
    return True


def skip(session: Session, publication: Publication, planned: date, *, by: Actor, now: datetime) -> Occurrence:
    """Leave out one planned date; what was bound to it is ready again, for the next.

    Raises:
        NotFound: The publication has no slot.
        Refused: The slot has no such date, it is long past, or its mailing has begun.
    """
    _changeable(session, publication, planned, now)
    return _decide(session, publication, planned, None, by=by, now=now)


def move_occurrence(  # noqa: PLR0913 - which one, whereto, by whom and when
    session: Session, publication: Publication, planned: date, to: datetime, *, by: Actor, now: datetime
) -> Occurrence:
    """Let one planned date come at another instant; its mailing goes with it. It stays the occurrence of its date.

    Raises:
        NotFound: The publication has no slot.
        Refused: The slot has no such date, its mailing has begun, the instant is past, more than a year ahead, or that
            of another occurrence.
    """
    _changeable(session, publication, planned, now)
    wall = to.astimezone(zone_of(publication)).replace(tzinfo=None, second=0, microsecond=0, fold=0)
    _refuse_instant(session, publication, planned, instant_of(wall, zone_of(publication)), now)
    return _decide(session, publication, planned, wall, by=by, now=now)


def restore(session: Session, publication: Publication, planned: date, *, now: datetime) -> bool:
    """Undo what was decided of a planned date; tell whether anything was.

    Raises:
        NotFound: The publication has no slot.
        Refused: The slot has no such date, its regular time is past, or its mailing has begun.
    """
    _changeable(session, publication, planned, now)
    if (row := session.get(SlotException, (publication.id, planned))) is None:
        return False
    regular = occurrence_on(needed_slot_of(session, publication), {}, planned)
    if regular and regular.at <= now:
        raise Refused(f"the slot of {planned} was to come at {local_time(regular.at, publication)}, which is past")
    session.delete(row)
    session.flush()
    replan(session, publication, now=now)
    return True


def _decide(  # noqa: PLR0913 - of which date, what, by whom and when
    session: Session, publication: Publication, planned: date, wall: datetime | None, *, by: Actor, now: datetime
) -> Occurrence:
    session.merge(
        SlotException(
            publication_id=publication.id,
            planned=planned,
            moved_date=wall.date() if wall else None,
            moved_time=wall.time() if wall else None,
            decided_at=now,
            decided_by=str(by),
        )
    )
    session.flush()
    replan(session, publication, now=now)
    return planned_on(session, publication, planned)


def _changeable(session: Session, publication: Publication, planned: date, now: datetime) -> None:
    lock_slot(session, publication.id)
    found = planned_on(session, publication, planned)
    if found.at <= now - LOOK_BACK:
        raise Refused(f"the slot of {planned} was at {local_time(found.at, publication)}: it is long past")
    begun = select(Mailing).where(
        Mailing.publication_id == publication.id, Mailing.occurrence == planned, col(Mailing.begun_at).is_not(None)
    )
    if mailing := session.exec(begun).first():
        raise Refused(
            f"mailing {mailing.id} of the slot of {planned} has begun; `newsletter mailing show {mailing.id}` shows "
            "how far it is"
        )


def _refuse_instant(session: Session, publication: Publication, planned: date, at: datetime, now: datetime) -> None:
    if at <= now:
        raise Refused(f"{local_time(at, publication)} is past")
    if at > now + LOOK_AHEAD:
        raise Refused(f"{local_time(at, publication)} is more than a year ahead: skip {planned} instead")
    minute = timedelta(minutes=1)
    beside = coming(session, publication, since=at - minute, until=at)
    if other := next((one for one in beside if one.planned != planned and not one.skipped), None):
        raise Refused(
            f"the slot of {other.planned} comes at {local_time(at, publication)} already: skip one of the two"
        )
