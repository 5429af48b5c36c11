"""The feed: events that wait to be posted, the lists of addresses that are held back, and what became of each mail.

Kept in the record's own file and written in its transaction: a mail that is on record has its events, also where the
emulator is killed in between. Without a webhook nothing is written here.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from newsletter.emulator.events import Event, Mail, events_of
from newsletter.emulator.reactions import Reaction, Reactions, Rule
from newsletter.emulator.record import Accepted, Record


#: SendGrid tries again for so long after an event, in seconds.
TRIED_FOR = 24 * 3600.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY, delivery_id INTEGER, kind TEXT NOT NULL, body BLOB NOT NULL, happens_at REAL NOT NULL,
    due_at REAL, tries INTEGER NOT NULL DEFAULT 0, posts INTEGER NOT NULL DEFAULT 0, given_up INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS ix_event_due ON event (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS ix_event_delivery ON event (delivery_id);
CREATE TABLE IF NOT EXISTS outcome (delivery_id INTEGER PRIMARY KEY, outcome TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS listed (
    list TEXT NOT NULL, address TEXT NOT NULL, email TEXT NOT NULL, created INTEGER NOT NULL, reason TEXT NOT NULL,
    status TEXT NOT NULL, PRIMARY KEY (list, address)
);
CREATE INDEX IF NOT EXISTS ix_listed_created ON listed (list, created);
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
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
LISTS = ("bounces", "blocks", "invalid_emails", "spam_reports", "unsubscribes")


@dataclass(frozen=True)
class DueEvent:
    """An event whose time to be posted has come."""

    id: int
    body: bytes
    happens_at: float
    tries: int


@dataclass
class Feed:
    """The feed of one emulator. ``clock`` gives its time in seconds since 1970."""

    record: Record
    reactions: Reactions
    clock: Callable[[], float]
    _settings: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        with self.record.writing() as store:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                store.execute(statement)
            rows = store.execute("SELECT name, value FROM setting").fetchall()
        self._settings = {name: json.loads(value) for name, value in rows}

    @property
    def webhook(self) -> dict[str, Any]:
        """The settings of the event webhook."""
        return {"enabled": False, "url": "", **self.setting("webhook", {})}

    def setting(self, name: str, default: Any) -> Any:
        """Read a setting."""
        return self._settings.get(name, default)

    def keep_setting(self, name: str, value: Any) -> None:
        """Keep a setting."""
        with self.record.writing() as store:
            store.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, json.dumps(value)))
        self._settings[name] = value

    def enlist(self, store: Any, accepted: Accepted) -> None:
        """Decide what becomes of the mails of a request, within the transaction that puts them on record."""
        if not self.webhook["enabled"]:
            return
        now, rows, outcomes = self.clock(), [], []
        held = self._held_back(store, [one.address for one in accepted.mails])
        for index, one in enumerate(accepted.mails):
            mail = Mail(one.address, accepted.message_id, index, one.custom_args)
            rule, why = self.reactions.of(one.address), held.get(one.address.lower(), "")
            events = list(events_of(mail, rule, why))
            outcomes.append((one.id, "dropped" if events[0].kind == "dropped" else str(rule.reaction)))
            rows += [_row(one.id, event, now) for event in events]
            if not why:
                self._list(store, rule, one.address, events, now)
        store.executemany("INSERT INTO outcome VALUES (?, ?)", outcomes)
        store.executemany(
            "INSERT INTO event (delivery_id, kind, body, happens_at, due_at) VALUES (?, ?, ?, ?, ?)", rows
        )

    def react_now(self, rule: Rule) -> int:
        """Let something happen to mails that were delivered before; tell to how many."""
        mails = self.record.read(
            "SELECT delivery.id, address, own, message_id FROM delivery JOIN request ON request.id = request_id "
            "LEFT JOIN outcome ON delivery_id = delivery.id "
            "WHERE coalesce(outcome, '') NOT IN ('dropped', 'bounce', 'block', 'expire') ORDER BY delivery.id",
            (),
        )
        hit, now = 0, self.clock()
        with self.record.writing() as store:
            for number, address, own, message_id in mails:
                if not rule.fits(address.lower()):
                    continue
                hit += 1
                mail = Mail(address, message_id, number, orjson.loads(own).get("custom_args", {}))
                events = [one for one in events_of(mail, rule, "") if one.kind not in {"processed", "delivered"}]
                self._list(store, rule, address, events, now)
                store.execute("INSERT OR REPLACE INTO outcome VALUES (?, ?)", (number, str(rule.reaction)))
                store.executemany(
                    "INSERT INTO event (delivery_id, kind, body, happens_at, due_at) VALUES (?, ?, ?, ?, ?)",
                    [_row(number, event, now) for event in events],
                )
        return hit

    def due(self, limit: int) -> list[DueEvent]:
        """Give events whose time has come, the oldest first."""
        rows = self.record.read(
            "SELECT id, body, happens_at, tries FROM event WHERE due_at <= ? ORDER BY due_at, id LIMIT ?",
            (self.clock(), limit),
        )
        return [DueEvent(*row) for row in rows]

    def posted(self, ids: Sequence[int]) -> None:
        """Note that these were taken."""
        self._mark("due_at = NULL, posts = posts + 1", ids)

    def put_off(self, ids: Sequence[int], until: float) -> None:
        """Let these wait."""
        self._mark(f"due_at = {until!r}", ids)

    def not_taken(self, events: Sequence[DueEvent], wait: float) -> None:
        """Note that these were refused, and try again later, until a day after they happened."""
        now = self.clock()
        late = [one.id for one in events if now + wait > one.happens_at + TRIED_FOR]
        self._mark("due_at = NULL, given_up = 1", late)
        again = [one.id for one in events if one.id not in set(late)]
        self._mark(f"due_at = {now + wait!r}, tries = tries + 1", again)

    def events(self, after: int, limit: int) -> list[tuple[Any, ...]]:
        """Give events as they were made, each once, by ascending id."""
        found: list[tuple[Any, ...]] = self.record.read(
            "SELECT id, delivery_id, kind, body, due_at IS NOT NULL, posts, given_up FROM event "
            "WHERE id > ? ORDER BY id LIMIT ?",
            (after, limit),
        )
        return found

    def counts(self) -> dict[str, Any]:
        """Count events by kind, mails by what became of them, and how posting stands."""
        kinds = dict(self.record.read("SELECT kind, count(*) FROM event GROUP BY kind", ()))
        outcomes = dict(self.record.read("SELECT outcome, count(*) FROM outcome GROUP BY outcome", ()))
        waiting, posted, given_up = self.record.read(
            "SELECT coalesce(sum(due_at IS NOT NULL), 0), coalesce(sum(posts > 0), 0), coalesce(sum(given_up), 0) "
            "FROM event",
            (),
        )[0]
        posting = {"waiting": waiting, "posted": posted, "given_up": given_up}
        return {"events": kinds, "outcomes": outcomes, "posting": posting}

    def page(self, list_name: str, since: int, until: int, limit: int, offset: int) -> list[dict[str, Any]]:
        """Give a page of a list, as SendGrid does."""
        rows = self.record.read(
            "SELECT email, created, reason, status FROM listed WHERE list = ? AND created BETWEEN ? AND ? "
            "ORDER BY created DESC, address LIMIT ? OFFSET ?",
            (list_name, since, until, limit, offset),
        )
        return [_entry(list_name, *row) for row in rows]

    def find_listed(self, list_name: str, address: str) -> list[dict[str, Any]]:
        """Give the entry of one address, in a list of one or none."""
        rows = self.record.read(
            "SELECT email, created, reason, status FROM listed WHERE list = ? AND address = ?",
            (list_name, address.lower()),
        )
        return [_entry(list_name, *row) for row in rows]

    def messages(self, argument: str, value: str, *, limit: int) -> list[dict[str, Any]]:
        """Find mails by one of their custom arguments, the newest first, as Email Activity shows them."""
        rows = self.record.read(
            "SELECT address, subject, message_id, accepted_at, delivery.id, outcome FROM delivery "
            "JOIN request ON request.id = request_id LEFT JOIN outcome ON delivery_id = delivery.id "
            "WHERE json_extract(own, ?) = ? ORDER BY delivery.id DESC LIMIT ?",
            (f'$.custom_args."{argument}"', value, limit),
        )
        return [_message(*row) for row in rows]

    def take_off(self, list_name: str, addresses: Iterable[str] | None) -> int:
        """Take addresses off a list, or all; tell how many stood on it."""
        with self.record.writing() as store:
            if addresses is None:
                return int(store.execute("DELETE FROM listed WHERE list = ?", (list_name,)).rowcount)
            gone = 0
            for address in addresses:
                gone += store.execute(
                    "DELETE FROM listed WHERE list = ? AND address = ?", (list_name, address.lower())
                ).rowcount
            return gone

    def put_on(self, list_name: str, addresses: Iterable[str]) -> None:
        """Put addresses on a list."""
        with self.record.writing() as store:
            for address in addresses:
                _put(store, list_name, address, ("", ""), self.clock())

    def _held_back(self, store: Any, addresses: Sequence[str]) -> Mapping[str, str]:
        marks = ",".join("?" * len(addresses))
        rows = store.execute(
            f"SELECT address, list FROM listed WHERE address IN ({marks})",  # noqa: S608 - marks of our own
            [one.lower() for one in addresses],
        ).fetchall()
        return {address: _HOLDS_BACK[name] for address, name in rows if name in _HOLDS_BACK}

    def _list(self, store: Any, rule: Rule, address: str, events: Sequence[Event], now: float) -> None:
        if name := _LIST_OF.get(rule.reaction):
            said = events[-1].body
            _put(store, name, address, (said.get("reason", ""), said.get("status", "")), now)

    def _mark(self, change: str, ids: Sequence[int]) -> None:
        if ids:
            with self.record.writing() as store:
                store.executemany(f"UPDATE event SET {change} WHERE id = ?", [(one,) for one in ids])  # noqa: S608


def _message(  # noqa: PLR0913, PLR0917 - the columns of a row
    address: str, subject: str, message_id: str, accepted_at: str, number: int, outcome: str | None
) -> dict[str, Any]:
    lost = {"dropped", "bounce", "block", "invalid"}
    status = "not_delivered" if outcome in lost else "delivered" if outcome else "processed"
    counts = {"opens_count": 0, "clicks_count": 0}
    sent = {"msg_id": f"{message_id}.recvd-{number}", "subject": subject, "to_email": address, "status": status}
    return {"from_email": "", **sent, **counts, "last_event_time": accepted_at[:19] + "Z"}


def _row(delivery_id: int, event: Event, now: float) -> tuple[int, str, bytes, float, float]:
    happens = now + event.after
    return delivery_id, event.kind, event.at(happens), happens, happens


def _put(store: Any, list_name: str, address: str, why: tuple[str, str], now: float) -> None:
    """Put an address on a list, with the words and the code for which it is there."""
    store.execute(
        "INSERT OR REPLACE INTO listed VALUES (?, ?, ?, ?, ?, ?)",
        (list_name, address.lower(), address, int(now), *why),
    )


def _entry(list_name: str, email: str, created: int, reason: str, status: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"created": created, "email": email}
    if list_name in {"bounces", "blocks"}:
        return entry | {"reason": reason, "status": status}
    own = {"invalid_emails": {"reason": reason}, "spam_reports": {"ip": "127.0.0.1"}}
    return entry | own.get(list_name, {})
