"""Tables of the weekly slot: one row a publication, and what was decided of single planned dates.

Times are local, as operators say them; ``agenda`` reads them into ``occurrences``.
"""

from datetime import date, datetime, time

from sqlalchemy import Column, Date, ForeignKey, Integer, String, Time
from sqlmodel import Field, SQLModel


class WeeklySlot(SQLModel, table=True):
    """A publication's weekly slot. Whoever fills or changes it locks this row first."""

    __tablename__ = "slot"

    publication_id: int = Field(
        sa_column=Column(Integer, ForeignKey("publication.id", name="fk_slot_publication"), primary_key=True)
    )
    #: 0 is Monday.
    weekday: int
    at: time = Field(sa_column=Column(Time, nullable=False))
    #: The zone in which it was reckoned last; the publication's own is the one that holds.
    zone: str = Field(sa_column=Column(String(64), nullable=False))
    #: Since when it is as it is: what would have come before then is not made up for.
    set_at: datetime
    set_by: str


class SlotException(SQLModel, table=True):
    """A planned date that is skipped, or moved to another local time."""

    __tablename__ = "slot_exception"

    publication_id: int = Field(
        sa_column=Column(Integer, ForeignKey("publication.id", name="fk_slot_exception_publication"), primary_key=True)
    )
    planned: date = Field(sa_column=Column(Date, primary_key=True))
    #: Both are empty where it is skipped.
    moved_date: date | None = None
    moved_time: time | None = None
    decided_at: datetime
    decided_by: str

    @property
    def moved_to(self) -> datetime | None:
        """The local time to which it is moved, or nothing where it is skipped."""
        if self.moved_date is None or self.moved_time is None:
            return None
        return datetime.combine(self.moved_date, self.moved_time)
