"""What the database wrote down of people, until it stands in the journal.

Triggers of the migration write a row for each departure, return and suppression in the transaction that causes it: what
is rolled back is not written, what is committed is never forgotten. The door to the database (``Database.writing``)
then has the lines written before anybody is answered; what a crash left is written with the next. A row goes only when
its line is durable, so that a line may stand twice, and never not at all.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Column, String, delete
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Field, Session, SQLModel, col, select

from newsletter.database import Database
from newsletter.errors import NewsletterError
from newsletter.journal.segments import Journal


log = structlog.get_logger(__name__)

#: Rows of which the lines are written together.
CHUNK = 1000


class JournalEntry(SQLModel, table=True):
    """Something that happened to an address, by its keyed hash, and is not in the journal yet."""

    __tablename__ = "journal_entry"

    id: int = Field(default=None, primary_key=True)
    #: left, returned, confirmed, moved, suppressed or lifted.
    what: str = Field(sa_column=Column(String(20), nullable=False))
    #: The channel of a departure, the reason of a suppression.
    reason: str = Field(default="", sa_column=Column(String, nullable=False, server_default=""))
    #: Nothing: everywhere.
    publication_id: int | None = None
    key_id: str = Field(sa_column=Column(String(8), nullable=False))
    hash: str = Field(sa_column=Column(String(64), nullable=False))
    #: Of the address that a person has now, where they moved.
    hash_after: str = Field(default="", sa_column=Column(String(64), nullable=False, server_default=""))
    at: datetime


@dataclass
class Scribe:
    """Writes the lines of what waits. Shared by the threads of a process.

    Attributes:
        open_journal: Gives the journal; asked only where there is something to write.
        trouble: Why the journal could not be written when last tried; empty while it can. Readers leave all the same.
    """

    database: Database
    open_journal: Callable[[], Journal]
    trouble: str = ""
    _writing: threading.RLock = field(default_factory=threading.RLock)
    _busy: bool = False

    def catch_up(self) -> None:
        """Write the lines of everything that waits; where that fails it goes on waiting, and the log says so."""
        with self._writing:
            # Deleting what is written is a transaction, too, and calls this again.
            if self._busy:
                return
            self._busy = True
            try:
                while self._write_chunk():
                    pass
                self.trouble = ""
            except OSError as error:
                self._fails(f"the journal cannot be written: {error.filename or ''} {error.strerror or error}")
            except (SQLAlchemyError, NewsletterError) as error:
                self._fails(f"the journal cannot be written: {type(error).__name__}")
            finally:
                self._busy = False

    def _fails(self, why: str) -> None:
        self.trouble = why
        log.error("departures are kept in the database only", why=why)

    def _write_chunk(self) -> bool:
        with self.database.reading() as session:
            waiting = _waiting(session)
        if not waiting:
            return False
        journal = self.open_journal()
        # With another pepper than the store's nobody could read the lines: they wait until it is back.
        if not {one.key_id for one in waiting} <= set(journal.hasher.pepper_of):
            return False
        journal.append([_line(one) for one in waiting])
        with self.database.writing() as session:
            written = col(JournalEntry.id).in_([one.id for one in waiting])
            session.execute(delete(JournalEntry).where(written))
        return len(waiting) == CHUNK


def _waiting(session: Session) -> list[JournalEntry]:
    return list(session.exec(select(JournalEntry).order_by(col(JournalEntry.id)).limit(CHUNK)))


def _line(entry: JournalEntry) -> dict[str, Any]:
    line = {
        "what": entry.what,
        "at": entry.at,
        "reason": entry.reason,
        "publication": entry.publication_id,
        "key_id": entry.key_id,
        "hash": entry.hash,
    }
    return line | {"hash_after": entry.hash_after} if entry.hash_after else line
