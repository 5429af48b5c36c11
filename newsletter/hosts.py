"""Hosts: on which machine a store lives, and what keeps all of it from mailing. Beside the alerts.

A copy of a store must not mail beside the original, and a restored one knows nothing of what was mailed since. So a
store that was restored, that wakes on another machine, or that was handed over, is held: readers can leave, confirm
and read, and nothing is mailed until a person releases it. On PostgreSQL the store belongs to a cluster: there the
machine says nothing, and only a restored or retired store is held.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Column, ColumnElement, String, Text, update
from sqlmodel import Field, Session, SQLModel, col, select

from newsletter.alerts import AlertKind, NewAlert, raise_alert
from newsletter.publications import Publication
from subscribers.actors import Actor
from subscribers.bulk import rows_changed
from subscribers.models import words_column


class HoldKind(StrEnum):
    """What keeps a store from mailing."""

    restored = "restored"
    moved = "moved"
    retired = "retired"
    clock = "clock"


class StoreHost(SQLModel, table=True):
    """The machine that the store lives on, by a keyed hash of its id; one row."""

    __tablename__ = "store_host"

    id: int = Field(default=None, primary_key=True)
    machine: str = Field(sa_column=Column(String(32), nullable=False))
    since: datetime


class StoreHold(SQLModel, table=True):
    """A reason for which nothing of this store is mailed, until it is released."""

    __tablename__ = "store_hold"

    id: int = Field(default=None, primary_key=True)
    kind: HoldKind = Field(sa_column=Column(words_column(HoldKind, "ck_store_hold_kind"), nullable=False))
    reason: str = Field(sa_column=Column(Text, nullable=False))
    #: The machine whose clock it is about, by the same hash: each has a hold of its own.
    machine: str = Field(default="", sa_column=Column(String(32), nullable=False, server_default=""))
    held_at: datetime
    released_at: datetime | None = None
    released_by: str = Field(default="", sa_column=Column(String, nullable=False, server_default=""))


class LostTime(SQLModel, table=True):
    """A time of which this store knows nothing: from the backup that it was restored from to the restore itself.

    Numbers that were given in it are given again, to others.
    """

    __tablename__ = "lost_time"

    id: int = Field(default=None, primary_key=True)
    began_at: datetime
    ended_at: datetime


@dataclass(frozen=True)
class OpenHold:
    """A hold that stands, as other packages see it."""

    kind: HoldKind
    reason: str
    held_at: datetime
    machine: str = ""


_HOST = 1


def open_holds(session: Session) -> Sequence[OpenHold]:
    """List what keeps the store from mailing, the oldest first; nothing where it may mail."""
    found = select(StoreHold).where(col(StoreHold.released_at).is_(None)).order_by(col(StoreHold.id))
    return [OpenHold(HoldKind(one.kind), one.reason, one.held_at, one.machine) for one in session.exec(found)]


def store_may_mail(session: Session) -> bool:
    """Tell whether anything of this store may be mailed; asked before a mailing begins and a batch is claimed."""
    return session.exec(select(StoreHold.id).where(col(StoreHold.released_at).is_(None)).limit(1)).first() is None


def hold_store(  # noqa: PLR0913 - what and why, for which machine, and the shape of every use case
    session: Session, kind: HoldKind, reason: str, *, live: bool, now: datetime, machine: str = ""
) -> bool:
    """Keep the store from mailing, and have operators told; tell whether it was not held for this already.

    With a machine it is held for that one; two of them hold it twice.
    """
    if any((one.kind, one.machine) == (kind, machine) for one in open_holds(session)):
        return False
    session.add(StoreHold(kind=kind, reason=reason, machine=machine, held_at=now))
    session.flush()
    tell_of_store(session, AlertKind.store_held, kind, reason, live=live, now=now)
    return True


def tell_of_store(  # noqa: PLR0913 - what and why, to which side, and when
    session: Session, kind: AlertKind, cause: str, reason: str, *, live: bool, now: datetime
) -> None:
    """Have the operators of every publication told why nothing of the store is mailed; ``cause`` is a word for it."""
    facts = {"cause": cause, "reason": reason}
    for publication_id in session.exec(select(Publication.id).order_by(col(Publication.id))):
        raise_alert(session, NewAlert(kind, f"store: {cause}", publication_id, live, facts), now=now)


def release_store(session: Session, machine: str, *, by: Actor, now: datetime) -> Sequence[OpenHold]:
    """Let the store mail again, from this machine; give what had held it."""
    released = open_holds(session)
    _end_holds(session, col(StoreHold.released_at).is_(None), by, now)
    _settle(session, machine, now)
    return released


def believe_clock(session: Session, machine: str, *, by: Actor, now: datetime) -> None:
    """End the hold for a machine's clock, which is right again; what else holds the store goes on to."""
    mine = (col(StoreHold.kind) == HoldKind.clock) & (col(StoreHold.machine) == machine)
    _end_holds(session, col(StoreHold.released_at).is_(None) & mine, by, now)


def _end_holds(session: Session, which: ColumnElement[bool], by: Actor, now: datetime) -> None:
    session.execute(update(StoreHold).where(which).values(released_at=now, released_by=str(by)))


def lose_time(session: Session, began_at: datetime, ended_at: datetime) -> None:
    """Note that a restore lost what happened between the two."""
    session.add(LostTime(began_at=began_at, ended_at=ended_at))
    session.flush()


def lost_times(session: Session) -> Sequence[tuple[datetime, datetime]]:
    """List the times that restores lost, each by its beginning and end, the oldest restore first."""
    return [(one.began_at, one.ended_at) for one in session.exec(select(LostTime).order_by(col(LostTime.id)))]


def arrive(session: Session, machine: str, *, live: bool, now: datetime) -> bool:
    """Say on which machine the store wakes; one that it does not know holds it. Tell whether it was known.

    The first machine of all is simply noted. A hold stays also where the store goes back to where it was.
    """
    host = session.get(StoreHost, _HOST)
    if host is None or host.machine == machine:
        if host is None:
            _settle(session, machine, now)
        return True
    _settle(session, machine, now)
    reason = f"the store was on another machine until {host.since:%Y-%m-%d} or later, which may be mailing still"
    hold_store(session, HoldKind.moved, reason, live=live, now=now)
    return False


def _settle(session: Session, machine: str, now: datetime) -> None:
    values = {"machine": machine, "since": now}
    if not rows_changed(session.execute(update(StoreHost).where(col(StoreHost.id) == _HOST).values(**values))):
        session.add(StoreHost(id=_HOST, machine=machine, since=now))
        session.flush()
