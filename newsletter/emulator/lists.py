"""The lists of addresses that are held back: who stands on them, since when, and who will once an event happens.

Kept in the record's own file. An address stands on a list from the moment of its event on, not from when that was said.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from newsletter.emulator.events import Event
from newsletter.emulator.reactions import Reaction
from newsletter.emulator.record import Record


_SCHEMA = """
CREATE TABLE IF NOT EXISTS listed (
    list TEXT NOT NULL, address TEXT NOT NULL, email TEXT NOT NULL, created INTEGER NOT NULL, reason TEXT NOT NULL,
    status TEXT NOT NULL, PRIMARY KEY (list, address)
);
CREATE INDEX IF NOT EXISTS ix_listed_created ON listed (list, created);
CREATE TABLE IF NOT EXISTS listing (
    id INTEGER PRIMARY KEY, due_at REAL NOT NULL, list TEXT NOT NULL, address TEXT NOT NULL, email TEXT NOT NULL,
    reason TEXT NOT NULL, status TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS ix_listing_due ON listing (due_at);
"""
LISTS = ("bounces", "blocks", "invalid_emails", "spam_reports", "unsubscribes")
#: Why a mail to an address on a list is dropped; blocks are tried again.
_HOLDS_BACK = {
    "bounces": "Bounced Address",
    "spam_reports": "Spam Reporting Address",
    "unsubscribes": "Unsubscribed Address",
    "invalid_emails": "Invalid",
}
_LIST_OF = {
    Reaction.bounce: "bounces",
    Reaction.async_bounce: "bounces",
    Reaction.block: "blocks",
    Reaction.complain: "spam_reports",
    Reaction.unsubscribe: "unsubscribes",
    Reaction.invalid: "invalid_emails",
}


@dataclass(frozen=True)
class Span:
    """Which part of a list is asked for: created within a time, and addresses that begin so (``%``: anything)."""

    since: int
    until: int
    email: str = ""


@dataclass
class Lists:
    """The lists of one emulator. ``clock`` gives its time in seconds since 1970."""

    record: Record
    clock: Callable[[], float]

    def __post_init__(self) -> None:
        with self.record.writing() as store:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                store.execute(statement)

    def page(self, list_name: str, span: Span, limit: int, offset: int) -> list[dict[str, Any]]:
        """Give a page of a list, the newest first."""
        begins = re.sub(r"([_\\])", r"\\\1", span.email.lower()) + "%"
        with self._as_of_now() as store:
            rows = store.execute(
                "SELECT email, created, reason, status FROM listed WHERE list = ? AND created BETWEEN ? AND ? "
                r"AND address LIKE ? ESCAPE '\' ORDER BY created DESC, address LIMIT ? OFFSET ?",
                (list_name, span.since, span.until, begins, limit, offset),
            ).fetchall()
        return [_entry(list_name, *row) for row in rows]

    def find(self, list_name: str, address: str) -> list[dict[str, Any]]:
        """Give the entry of one address, in a list of one or none."""
        with self._as_of_now() as store:
            rows = store.execute(
                "SELECT email, created, reason, status FROM listed WHERE list = ? AND address = ?",
                (list_name, address.lower()),
            ).fetchall()
        return [_entry(list_name, *row) for row in rows]

    def take_off(self, list_name: str, addresses: Iterable[str] | None) -> int:
        """Take addresses off a list, or all; tell how many stood on it."""
        with self._as_of_now() as store:
            if addresses is None:
                return int(store.execute("DELETE FROM listed WHERE list = ?", (list_name,)).rowcount)
            gone = "DELETE FROM listed WHERE list = ? AND address = ?"
            return sum(store.execute(gone, (list_name, one.lower())).rowcount for one in addresses)

    def put_on(self, list_name: str, addresses: Iterable[str]) -> None:
        """Put addresses on a list."""
        now = int(self.clock())
        with self._as_of_now() as store:
            store.executemany(
                "INSERT OR REPLACE INTO listed VALUES (?, ?, ?, ?, '', '')",
                [(list_name, one.lower(), one, now) for one in addresses],
            )

    def put_on_at(self, store: Any, moment: float, reaction: Reaction, address: str, event: Event) -> None:
        """Let an address stand on the list of a reaction, if it has one, from the moment of its event on."""
        if name := _LIST_OF.get(reaction):
            why = event.body.get("reason", ""), event.body.get("status", "")
            store.execute(
                "INSERT INTO listing VALUES (NULL, ?, ?, ?, ?, ?, ?)", (moment, name, address.lower(), address, *why)
            )

    def held_back(self, store: Any, addresses: Sequence[str]) -> Mapping[str, str]:
        """Tell why mails to some addresses, given here in lower case, are dropped now."""
        self._settle(store)
        names, marks = ",".join("?" * len(_HOLDS_BACK)), ",".join("?" * len(addresses))
        rows = store.execute(
            f"SELECT address, list FROM listed WHERE list IN ({names}) AND address IN ({marks})",  # noqa: S608 - marks of our own
            (*_HOLDS_BACK, *(one.lower() for one in addresses)),
        ).fetchall()
        return {address: _HOLDS_BACK[name] for address, name in rows}

    @contextmanager
    def _as_of_now(self) -> Iterator[Any]:
        """Give the store with the lists as they stand now."""
        with self.record.writing() as store:
            self._settle(store)
            yield store

    def _settle(self, store: Any) -> None:
        """Put on the lists whose event has happened meanwhile, in the order of the events."""
        now = (self.clock(),)
        store.execute(
            "INSERT OR REPLACE INTO listed SELECT list, address, email, CAST(due_at AS INTEGER), reason, status "
            "FROM listing WHERE due_at <= ? ORDER BY due_at, id",
            now,
        )
        store.execute("DELETE FROM listing WHERE due_at <= ?", now)


def _entry(list_name: str, email: str, created: int, reason: str, status: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"created": created, "email": email}
    if list_name in {"bounces", "blocks"}:
        return entry | {"reason": reason, "status": status}
    own = {"invalid_emails": {"reason": reason}, "spam_reports": {"ip": "127.0.0.1"}}
    return entry | own.get(list_name, {})
