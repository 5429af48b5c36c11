"""The agenda of a publication: its slot as it is stored, which occurrences are free, and what takes each. Read-only.

Between the tables and ``occurrences``, which reckons; ``binding`` and ``slots`` write.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from sqlmodel import Session, col, select

from newsletter.delivery.issue_states import ready_issues
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.models import Mailing
from newsletter.delivery.occurrences import WEEK, Exceptions, Occurrence, Slot, occurrence_on, occurrences
from newsletter.delivery.slot_models import SlotException, WeeklySlot
from newsletter.errors import NotFound, Refused
from newsletter.issues.shelf import find_issue
from newsletter.publications import Publication, zone_of


#: An occurrence that passed while no clock ticked is still filled so long afterwards: until the next one.
LOOK_BACK = WEEK
#: How far ahead a free occurrence is looked for.
LOOK_AHEAD = timedelta(days=366)


class Use(StrEnum):
    """What becomes of an occurrence."""

    mailing = "mailing"
    #: An issue that is ready will take it.
    foreseen = "foreseen"
    empty = "empty"
    skipped = "skipped"


@dataclass(frozen=True)
class Entry:
    """One line of the calendar: an occurrence, and which mailing or issue takes it."""

    occurrence: Occurrence
    use: Use
    issue_id: int | None = None
    title: str = ""
    mailing_id: int | None = None
    mailing_state: MailingState | None = None


def slot_of(session: Session, publication: Publication) -> Slot | None:
    """Give a publication's weekly slot, in the publication's zone; nothing where it has none."""
    row = session.get(WeeklySlot, publication.id)
    return Slot(row.weekday, row.at, zone_of(publication)) if row else None


def needed_slot_of(session: Session, publication: Publication) -> Slot:
    """Give a publication's weekly slot.

    Raises:
        NotFound: It has none.
    """
    if (slot := slot_of(session, publication)) is None:
        raise NotFound(
            f"publication {publication.code!r} has no weekly slot: set one with `newsletter slots set --weekday mon "
            "--time 09:00`"
        )
    return slot


def exceptions_of(session: Session, publication_id: int) -> Exceptions:
    """Give what was decided of single planned dates."""
    found = session.exec(select(SlotException).where(SlotException.publication_id == publication_id))
    return {one.planned: one.moved_to for one in found}


def planned_on(session: Session, publication: Publication, planned: date) -> Occurrence:
    """Give the occurrence of a planned date.

    Raises:
        NotFound: The publication has no slot.
        Refused: The slot has no occurrence on that day.
    """
    slot = needed_slot_of(session, publication)
    found = occurrence_on(slot, exceptions_of(session, publication.id), planned)
    if found is None:
        raise Refused(
            f"{planned} is a {planned:%A}, and the slot of {publication.code!r} is on {_weekday(slot)}s: name the "
            "planned date, as `newsletter slots list` shows it"
        )
    return found


def _weekday(slot: Slot) -> str:
    return f"{date(2024, 1, 1 + slot.weekday):%A}"


def coming(session: Session, publication: Publication, *, since: datetime, until: datetime) -> Sequence[Occurrence]:
    """List a publication's occurrences between two instants; none where it has no slot."""
    slot = slot_of(session, publication)
    return occurrences(slot, exceptions_of(session, publication.id), since=since, until=until) if slot else ()


def free(
    session: Session, publication: Publication, *, live: bool, since: datetime, until: datetime
) -> Sequence[Occurrence]:
    """List the occurrences that are neither skipped nor taken by a mailing of this side of NOT LIVE."""
    found = coming(session, publication, since=since, until=until)
    takers = _takers(session, publication.id, live=live)
    return [one for one in found if not one.skipped and one.planned not in takers]


def calendar(session: Session, publication: Publication, *, live: bool, now: datetime, weeks: int) -> tuple[Entry, ...]:
    """Say what becomes of each occurrence of the weeks to come, and what became of those of the last week.

    Issues that are ready are shown where they will go, in their order.

    Raises:
        NotFound: The publication has no slot.
    """
    needed_slot_of(session, publication)
    takers = _takers(session, publication.id, live=live)
    set_at = session.get_one(WeeklySlot, publication.id).set_at
    found = [
        one
        for one in coming(session, publication, since=now - LOOK_BACK, until=now + weeks * WEEK)
        # What the slot would have had before it was set was never to come.
        if one.at > set_at or one.planned in takers
    ]
    waiting = iter([(issue.id, issue.title) for issue in ready_issues(session, publication.id, live=live)])
    return tuple(_entry(session, one, takers.get(one.planned), waiting, now) for one in found)


def _entry(
    session: Session,
    occurrence: Occurrence,
    taker: Mailing | None,
    waiting: Iterator[tuple[int, str]],
    now: datetime,
) -> Entry:
    if taker:
        title = find_issue(session, taker.issue_id).title
        return Entry(occurrence, Use.mailing, taker.issue_id, title, taker.id, taker.state)
    if occurrence.skipped:
        return Entry(occurrence, Use.skipped)
    # What is past and free may still be filled by the clock; nobody should count on it.
    if occurrence.at > now and (next_one := next(waiting, None)):
        return Entry(occurrence, Use.foreseen, *next_one)
    return Entry(occurrence, Use.empty)


def _takers(session: Session, publication_id: int, *, live: bool) -> dict[date, Mailing]:
    found = select(Mailing).where(
        Mailing.publication_id == publication_id, col(Mailing.live).is_(live), col(Mailing.occurrence).is_not(None)
    )
    return {one.occurrence: one for one in session.exec(found) if one.occurrence}
