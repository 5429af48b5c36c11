"""The record of what was delivered: kept on disk, flat in memory, and the witness of who was reached.

A request's message is stored once, compressed; a delivery stores only what is its own. Substitutions are made when a
delivery is looked at. A request is recorded whole before it is answered, since the caller may be killed meanwhile.
"""

import re
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from secrets import token_urlsafe
from types import ModuleType
from typing import Any

import orjson

from newsletter.emulator.errors import EmulatorError


PAGE = 1000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS request (
    id INTEGER PRIMARY KEY, message_id TEXT NOT NULL UNIQUE, accepted_at TEXT NOT NULL, message BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS delivery (
    id INTEGER PRIMARY KEY, request_id INTEGER NOT NULL REFERENCES request (id), address TEXT NOT NULL,
    subject TEXT NOT NULL, own BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS ix_delivery_address ON delivery (address);
"""


@dataclass(frozen=True)
class Delivered:
    """One message as its reader would have got it."""

    id: int
    request: int
    message_id: str
    accepted_at: str
    to: str
    to_name: str
    sender: str
    sender_name: str
    reply_to: str
    subject: str
    headers: Mapping[str, str]
    custom_args: Mapping[str, str]
    html: str
    text: str


@dataclass(frozen=True)
class AcceptedMail:
    """One mail of a request that is being put on record."""

    id: int
    address: str
    custom_args: Mapping[str, str]


@dataclass(frozen=True)
class Accepted:
    """A request that is being put on record."""

    message_id: str
    mails: Sequence[AcceptedMail]


@dataclass(frozen=True)
class Line:
    """A delivery as the inbox lists it."""

    id: int
    to: str
    subject: str
    accepted_at: str


@dataclass
class Record:
    """The record in a folder. ``null`` keeps counts and ids only, for measuring."""

    folder: Path
    null: bool = False
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _last: tuple[str, dict[str, Any]] = field(default_factory=lambda: ("", {}))

    def __post_init__(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._store = _sqlite().connect(self.folder / "record.db", check_same_thread=False, isolation_level=None)
            self._store.execute("PRAGMA journal_mode = WAL")
            # Survives the death of any process; only a power cut could lose the last requests.
            self._store.execute("PRAGMA synchronous = OFF")
            self._store.execute("PRAGMA secure_delete = ON")
            self._store.executescript(_SCHEMA)
        except (OSError, sqlite3.Error, _sqlite().Error) as error:
            raise EmulatorError(
                f"the record in {self.folder} cannot be opened: {error}; choose another --data-dir"
            ) from None

    def accept(self, body: Mapping[str, Any], also: Callable[[Any, Accepted], None] | None = None) -> str:
        """Record a valid request and give its message id; nothing of it is kept where that fails.

        ``also`` writes more in the same transaction.
        """
        message_id = token_urlsafe(16)
        message = (
            b"" if self.null else _packed({name: value for name, value in body.items() if name != "personalizations"})
        )
        rows = [self._row(body, one, to) for one in body["personalizations"] for to in one["to"]]
        with self.writing() as store:
            now = datetime.now(UTC).isoformat()
            added = store.execute("INSERT INTO request VALUES (NULL, ?, ?, ?)", (message_id, now, message))
            store.executemany(
                "INSERT INTO delivery VALUES (NULL, ?, ?, ?, ?)", ((added.lastrowid, *row) for row in rows)
            )
            if also is not None and not self.null:
                also(store, Accepted(message_id, _mails(store, added.lastrowid)))
        return message_id

    def _row(self, body: Mapping[str, Any], one: Mapping[str, Any], to: Mapping[str, Any]) -> tuple[str, str, bytes]:
        merged = {name: {**(body.get(name) or {}), **(one.get(name) or {})} for name in ("headers", "custom_args")}
        if self.null:
            return "", "", orjson.dumps({"custom_args": merged["custom_args"]})
        substitutions = one.get("substitutions") or {}
        subject = substituted(one.get("subject") or body.get("subject") or "", substitutions)
        own = {"to_name": to.get("name", ""), "substitutions": substitutions, **merged}
        return to["email"], subject, orjson.dumps(own)

    def lines(self, search: str = "", *, before: int | None = None, limit: int = 50) -> list[Line]:
        """List deliveries for people, newest first, those whose address or subject holds a text."""
        escaped = re.sub(r"([%_\\])", r"\\\1", search)
        rows = self._all(
            "SELECT delivery.id, address, subject, accepted_at FROM delivery JOIN request ON request.id = request_id "
            r"WHERE (address LIKE ? ESCAPE '\' OR subject LIKE ? ESCAPE '\') AND delivery.id < ? "
            "ORDER BY delivery.id DESC LIMIT ?",
            (f"%{escaped}%", f"%{escaped}%", before or 2**62, limit),
        )
        return [Line(*row) for row in rows]

    def find(self, delivery_id: int) -> Delivered | None:
        """Find one delivery."""
        return next(iter(self._read("WHERE delivery.id = ?", (delivery_id,))), None)

    def everything(self, *, bodies: bool = True) -> Iterator[Delivered]:
        """Go through all deliveries, oldest first, a page at a time; without ``bodies`` HTML and text stay empty."""
        last = 0
        page_of = "WHERE delivery.id > ? ORDER BY delivery.id LIMIT ?"
        while page := self._read(page_of, (last, PAGE), bodies=bodies):
            yield from page
            last = page[-1].id

    def counts(self) -> dict[str, int]:
        """Count requests, deliveries, distinct addresses, and addresses with more than one delivery."""
        requests, deliveries = self._all("SELECT (SELECT count(*) FROM request), (SELECT count(*) FROM delivery)", ())[
            0
        ]
        addresses, repeated = self._all(
            "SELECT count(*), coalesce(sum(n > 1), 0) FROM (SELECT count(*) AS n FROM delivery GROUP BY address)", ()
        )[0]
        return {
            "requests": requests,
            "deliveries": deliveries,
            "addresses": addresses,
            "addresses_with_several": repeated,
        }

    def clear(self) -> None:
        """Forget everything."""
        with self.writing() as store:
            for table in ("event", "outcome", "listed", "listing"):
                if table in _tables(store):
                    store.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own
            store.execute("DELETE FROM delivery")
            store.execute("DELETE FROM request")

    def forget(self, address: str) -> int:
        """Forget what was delivered to one address, in every byte of the file; tell how many deliveries these were.

        Another process may be serving the record meanwhile.

        Raises:
            EmulatorError: It is read or written without a pause, so that it could not be rewritten.
        """
        with self.writing() as store:
            for table in _tables(store) & {"event", "outcome"}:
                theirs = "SELECT id FROM delivery WHERE lower(address) = ?"
                store.execute(f"DELETE FROM {table} WHERE delivery_id IN ({theirs})", (address.lower(),))  # noqa: S608
            for table in _tables(store) & {"listed", "listing"}:
                store.execute(f"DELETE FROM {table} WHERE address = ?", (address.lower(),))  # noqa: S608
            gone = store.execute("DELETE FROM delivery WHERE lower(address) = ?", (address.lower(),)).rowcount
            store.execute("DELETE FROM request WHERE id NOT IN (SELECT request_id FROM delivery)")
        try:
            with self._guard:
                # Zeroes take the place of deleted rows, though not of copies that moving rows between pages has left.
                self._store.execute("VACUUM")
                busy = self._store.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except (sqlite3.Error, _sqlite().Error):
            busy = True
        if busy:
            raise EmulatorError(f"the record in {self.folder} is in use: stop the local SendGrid and say it once more")
        return gone

    def close(self) -> None:
        """Close the record."""
        with self._guard:
            self._store.close()

    def _read(self, condition: str, values: tuple[object, ...], *, bodies: bool = True) -> list[Delivered]:
        rows = self._all(
            "SELECT delivery.id, request_id, message_id, accepted_at, address, subject, own FROM delivery "  # noqa: S608 - conditions of our own
            f"JOIN request ON request.id = request_id {condition}",
            values,
        )
        return [self._expanded(*row, bodies=bodies) for row in rows]

    def _expanded(  # noqa: PLR0913, PLR0917 - the columns of a row
        self,
        id_: int,
        request: int,
        message_id: str,
        accepted_at: str,
        address: str,
        subject: str,
        own: bytes,
        *,
        bodies: bool,
    ) -> Delivered:
        mine = orjson.loads(own)
        message = self._message(request, message_id)
        tags = mine.get("substitutions", {})
        parts = {part["type"]: part["value"] for part in message.get("content", ())} if bodies else {}
        return Delivered(
            id=id_,
            request=request,
            message_id=message_id,
            accepted_at=accepted_at,
            to=address,
            to_name=mine.get("to_name", ""),
            sender=message.get("from", {}).get("email", ""),
            sender_name=message.get("from", {}).get("name", ""),
            reply_to=substituted((message.get("reply_to") or {}).get("email", ""), tags),
            subject=subject,
            headers=mine.get("headers", {}),
            custom_args=mine.get("custom_args", {}),
            html=substituted(parts.get("text/html", ""), tags),
            text=substituted(parts.get("text/plain", ""), tags),
        )

    def _message(self, request: int, message_id: str) -> dict[str, Any]:
        """Read a request's message; its deliveries stand together, so the last one read is kept."""
        if self._last[0] != message_id:
            packed = self._all("SELECT message FROM request WHERE id = ?", (request,))[0][0]
            self._last = message_id, _unpacked(packed)
        return self._last[1]

    def read(self, statement: str, values: tuple[object, ...]) -> list[Any]:
        """Read rows, for who keeps more in the same file."""
        return self._all(statement, values)

    def _all(self, statement: str, values: tuple[object, ...]) -> list[Any]:
        with self._guard:
            rows: list[Any] = self._store.execute(statement, values).fetchall()
        return rows

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give the store for a transaction that is wholly done or not at all."""
        with self._guard:
            self._store.execute("BEGIN IMMEDIATE")
            try:
                yield self._store
            except BaseException:
                self._store.execute("ROLLBACK")
                raise
            self._store.execute("COMMIT")


def _tables(store: sqlite3.Connection) -> set[str]:
    return {name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _mails(store: sqlite3.Connection, request_id: int | None) -> list[AcceptedMail]:
    rows = store.execute("SELECT id, address, own FROM delivery WHERE request_id = ? ORDER BY id", (request_id,))
    return [AcceptedMail(id_, address, orjson.loads(own)["custom_args"]) for id_, address, own in rows]


def substituted(text: str, substitutions: Mapping[str, str | None]) -> str:
    """Replace tags literally, as SendGrid does in subject, reply-to and content, and nowhere else."""
    for tag, value in substitutions.items():
        if tag:
            text = text.replace(tag, value or "")
    return text


def _packed(message: dict[str, Any]) -> bytes:
    return zlib.compress(orjson.dumps(message), 1)


def _unpacked(packed: bytes) -> dict[str, Any]:
    if not packed:
        return {}
    message: dict[str, Any] = orjson.loads(zlib.decompress(packed))
    return message


def _sqlite() -> ModuleType:
    try:
        return import_module("pysqlite3.dbapi2")
    except ImportError:
        return sqlite3
