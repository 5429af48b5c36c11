"""The one door to the database: reading and writing sessions on SQLite or PostgreSQL. Floor two.

SQLite wants care (DESIGN §5, measured in the notes there): every write transaction is ``BEGIN IMMEDIATE`` behind a
fair lock, so that a reader's unsubscribe waits for one chunk of a freeze and not for all of it; a library older than
3.51.3 has the WAL-reset bug and gets the rollback journal instead.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlmodel import Session, create_engine

from newsletter.errors import Misconfigured


#: https://www.sqlite.org/wal.html#walresetbug: two connections that write and checkpoint together can corrupt the file.
WAL_IS_SAFE_FROM = (3, 51, 3)
BUSY_TIMEOUT_MS = 10_000


class FairLock:
    """A lock that serves its waiters in the order they came; ``threading.Lock`` lets a busy thread starve the rest."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._held = False

    def __enter__(self) -> None:
        with self._guard:
            if not self._held:
                self._held = True
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()

    def __exit__(self, *_: object) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False


class Database:
    """Sessions on one database. Built once in the composition and handed to the edges, never to use cases.

    Args:
        url: ``sqlite:///file`` or ``postgresql://…`` (psycopg 3 is filled in).

    Raises:
        Misconfigured: The address is of no database that the service knows.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):
            # The address may hold a password: it is not repeated.
            raise Misconfigured(
                "NEWSLETTER_DATABASE_URL cannot be read: write sqlite:///FILE or postgresql://…"
            ) from None
        self.is_sqlite = parsed.drivername == "sqlite"
        if not self.is_sqlite and parsed.get_backend_name() != "postgresql":
            raise Misconfigured(
                f"NEWSLETTER_DATABASE_URL names {parsed.drivername!r}: use sqlite:///FILE or postgresql://…"
            )
        #: The file of an SQLite store, by its one real name.
        self.file = Path(parsed.database).resolve() if self.is_sqlite and parsed.database else None
        self.url = parsed if self.is_sqlite else parsed.set(drivername="postgresql+psycopg")
        self._writer_lock = FairLock()
        #: Called after each transaction that wrote, before anybody hears that it did.
        self.after_commit: Callable[[], None] | None = None
        if self.is_sqlite:
            if self.file and self.file.parent.is_dir() and not self.file.exists():
                make_private(self.file)
            self.writer = _sqlite_engine(self.url.render_as_string(hide_password=False), writes=True)
            self.reader = _sqlite_engine(self.url.render_as_string(hide_password=False), writes=False)
        else:
            # Errors name no parameters: addresses are among them, and errors are logged (DESIGN §4.9).
            pool = {"pool_size": 10, "max_overflow": 20, "pool_pre_ping": True}
            self.writer = self.reader = create_engine(self.url, hide_parameters=True, **pool)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a session that only reads, and sees one state of the database until it ends."""
        engine = self.reader if self.is_sqlite else self.reader.execution_options(isolation_level="REPEATABLE READ")
        with Session(engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self, *, one_snapshot: bool = False) -> Iterator[Session]:
        """Give a session whose work is committed at the end, or wholly undone where an error leaves the block.

        Args:
            one_snapshot: Every statement sees the same state of the database; on SQLite that is always so.
        """
        if self.is_sqlite:
            with self._writer_lock, Session(self.writer, expire_on_commit=False) as session, session.begin():
                yield session
        else:
            engine = self.writer.execution_options(isolation_level="REPEATABLE READ") if one_snapshot else self.writer
            with Session(engine, expire_on_commit=False) as session, session.begin():
                yield session
        if self.after_commit is not None:
            self.after_commit()

    def close(self) -> None:
        """Close every connection."""
        self.writer.dispose()
        self.reader.dispose()


#: PostgreSQL's words for a transaction that met another's work, and may be done again: SQLSTATE 40001 and 40P01.
_LOST_RACES = frozenset({"40001", "40P01"})


def lost_a_race(error: DBAPIError) -> bool:
    """Tell whether a transaction was undone only because another was faster, so that doing it again is all it takes."""
    return getattr(error.orig, "sqlstate", None) in _LOST_RACES


def make_private(file: Path) -> None:
    """Make a file that holds people's data, or take one over, so that its owner alone reads and writes it."""
    file.touch(mode=0o600)
    file.chmod(0o600)


def sqlite_module() -> ModuleType:
    """Choose the newest SQLite at hand: the ``pysqlite3`` wheel where it exists, else Python's own."""
    try:
        return import_module("pysqlite3.dbapi2")
    except ImportError:
        return sqlite3


def sqlite_warning() -> str | None:
    """Tell the operator about an SQLite with the WAL-reset bug, or nothing where it is safe."""
    module = sqlite_module()
    if tuple(module.sqlite_version_info) >= WAL_IS_SAFE_FROM:
        return None
    return (
        f"SQLite {module.sqlite_version} has the WAL-reset bug (fixed in 3.51.3): the slower rollback journal is used. "
        "Install the pysqlite3 package to get a newer SQLite."
    )


def _sqlite_engine(url: str, *, writes: bool) -> Engine:
    module = sqlite_module()
    pool = {"pool_size": 1, "max_overflow": 0} if writes else {"pool_size": 10, "max_overflow": 30}
    engine = create_engine(url, module=module, connect_args={"check_same_thread": False}, hide_parameters=True, **pool)
    wal = tuple(module.sqlite_version_info) >= WAL_IS_SAFE_FROM

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None
        for pragma in _pragmas(wal=wal, writes=writes):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _pragmas(*, wal: bool, writes: bool) -> tuple[str, ...]:
    common = (f"busy_timeout = {BUSY_TIMEOUT_MS}", "foreign_keys = ON")
    if not writes:
        return (*common, "query_only = ON")
    journal = "journal_mode = WAL" if wal else "journal_mode = DELETE"
    return (*common, journal, "synchronous = FULL", "secure_delete = ON")


def is_reachable(database: Database) -> bool:
    """Ask the database one question; for ``/readyz``.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: It did not answer.
    """
    with database.reading() as session:
        return bool(session.connection().execute(text("SELECT 1")).scalar())
