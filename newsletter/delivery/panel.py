"""The test panel: addresses at which people look at an issue before it goes out, each in a mail program of its own.

Beside ``scheduling``: ``trial`` makes the mails, and a person ticks what looked right, for one revision at a time.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, ForeignKey, Integer, String, Text, UniqueConstraint, delete, func
from sqlmodel import Field, Session, SQLModel, col, select

from newsletter.errors import NotFound, Refused
from newsletter.publications import Publication
from subscribers.actors import Actor
from subscribers.addresses import parse_address
from subscribers.bulk import rows_changed
from subscribers.plans import plan_named


class PanelAddress(SQLModel, table=True):
    """An address of the panel: as which plan it reads, and with which mail program somebody looks there."""

    __tablename__ = "panel_address"
    __table_args__ = (UniqueConstraint("publication_id", "client", name="uq_panel_address_client"),)

    id: int = Field(default=None, primary_key=True)
    publication_id: int = Field(
        sa_column=Column(Integer, ForeignKey("publication.id", name="fk_panel_address_publication"), nullable=False)
    )
    #: Personal: it is exported and erased with the person (``held_of``, ``forget``).
    address: str
    plan: str
    client: str = Field(sa_column=Column(String(80), nullable=False))
    added_at: datetime
    added_by: str


class PanelLook(SQLModel, table=True):
    """What somebody saw of one revision in one mail program."""

    __tablename__ = "panel_look"

    revision_id: int = Field(
        sa_column=Column(Integer, ForeignKey("revision.id", name="fk_panel_look_revision"), primary_key=True)
    )
    panel_address_id: int = Field(
        sa_column=Column(
            Integer, ForeignKey("panel_address.id", name="fk_panel_look_address", ondelete="CASCADE"), primary_key=True
        )
    )
    sent_at: datetime | None = None
    looked_at: datetime | None = None
    looked_right: bool | None = None
    by: str = Field(default="", sa_column=Column(String, nullable=False, server_default=""))
    note: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))


@dataclass(frozen=True)
class Seat:
    """A new address of the panel; without a plan it reads as the default one."""

    address: str
    client: str
    plan: str


@dataclass(frozen=True)
class Look:
    """How a revision looks in one mail program of the panel, as far as anybody said."""

    client: str
    plan: str
    sent_at: datetime | None
    looked_right: bool | None
    looked_at: datetime | None
    by: str
    note: str

    @property
    def word(self) -> str:
        """Say it in one word or two."""
        if self.looked_right is None:
            return "not looked at" if self.sent_at else "not sent"
        return "looked right" if self.looked_right else "did NOT look right"


def panel_of(session: Session, publication: Publication) -> Sequence[PanelAddress]:
    """List a publication's panel by its mail programs."""
    found = select(PanelAddress).where(PanelAddress.publication_id == publication.id).order_by(col(PanelAddress.client))
    return session.exec(found).all()


def add_to_panel(session: Session, publication: Publication, seat: Seat, *, by: Actor, now: datetime) -> PanelAddress:
    """Add an address to a publication's panel.

    Raises:
        InvalidAddress: It is no address.
        UnknownPlan: The publication has no such plan.
        Refused: A mail program of this name is there already, or the name is empty.
    """
    address = parse_address(seat.address)
    plan = plan_named(session, publication.id, seat.plan or None)
    if not (client := " ".join(seat.client.split())):
        raise Refused('say with which mail program it is looked at, such as --client "Outlook 2019"')
    if any(one.client.casefold() == client.casefold() for one in panel_of(session, publication)):
        raise Refused(f"{client!r} is on the panel already: remove it first, or give this one another name")
    row = PanelAddress(
        publication_id=publication.id,
        address=address.email,
        plan=plan.code,
        client=client,
        added_at=now,
        added_by=str(by),
    )
    session.add(row)
    session.flush()
    return row


def seat_of(session: Session, publication: Publication, client: str) -> PanelAddress:
    """Find an address of the panel by its mail program.

    Raises:
        NotFound: There is none; the sentence names those that there are.
    """
    panel = panel_of(session, publication)
    found = next((one for one in panel if one.client.casefold() == client.strip().casefold()), None)
    if found is None:
        names = ", ".join(repr(one.client) for one in panel) or "nobody yet: `newsletter issue panel add`"
        raise NotFound(f"no {client!r} is on the panel of {publication.code}; there is {names}")
    return found


def remove_from_panel(session: Session, publication: Publication, client: str) -> None:
    """Take a mail program off the panel, with what was ever said of it.

    Raises:
        NotFound: It is not on it.
    """
    _remove(session, [seat_of(session, publication, client).id])


def note_sent(session: Session, revision_id: int, seat: PanelAddress, *, now: datetime) -> None:
    """Write down that a revision was sent to an address of the panel."""
    look = _look(session, revision_id, seat)
    look.sent_at = now
    session.add(look)


def tick(  # noqa: PLR0913 - what was seen, of what, by whom and when
    session: Session, revision_id: int, seat: PanelAddress, *, right: bool, note: str, by: Actor, now: datetime
) -> None:
    """Write down whether a revision looked right in a mail program of the panel; said again, the last word counts."""
    look = _look(session, revision_id, seat)
    look.looked_right, look.note, look.looked_at, look.by = right, note.strip(), now, str(by)
    session.add(look)


def _look(session: Session, revision_id: int, seat: PanelAddress) -> PanelLook:
    found = session.get(PanelLook, (revision_id, seat.id))
    return found or PanelLook(revision_id=revision_id, panel_address_id=seat.id)


def looks_at(session: Session, publication: Publication, revision_id: int) -> list[Look]:
    """Tell for each mail program of the panel how a revision looks there."""
    return [_as_look(seat, session.get(PanelLook, (revision_id, seat.id))) for seat in panel_of(session, publication)]


def _as_look(seat: PanelAddress, look: PanelLook | None) -> Look:
    said = look or PanelLook(revision_id=0, panel_address_id=seat.id)
    return Look(seat.client, seat.plan, said.sent_at, said.looked_right, said.looked_at, said.by, said.note)


def in_words(looks: Collection[Look]) -> str:
    """Say in one line where a revision was seen to look right, and where not; empty without a panel."""
    words = dict.fromkeys(look.word for look in looks)
    return "; ".join(f"{word}: {', '.join(one.client for one in looks if one.word == word)}" for word in words)


def held_of(session: Session, addresses: Collection[str]) -> list[PanelAddress]:
    """List the places on panels that an address has, in all publications; for who asks what is held."""
    theirs = func.lower(col(PanelAddress.address)).in_({one.lower() for one in addresses})
    return list(session.exec(select(PanelAddress).where(theirs).order_by(col(PanelAddress.id))))


def forget(session: Session, addresses: Collection[str]) -> int:
    """Take an address off every panel; tell from how many."""
    return _remove(session, [one.id for one in held_of(session, addresses)])


def _remove(session: Session, ids: Collection[int]) -> int:
    session.execute(delete(PanelLook).where(col(PanelLook.panel_address_id).in_(ids)))
    return rows_changed(session.execute(delete(PanelAddress).where(col(PanelAddress.id).in_(ids))))
