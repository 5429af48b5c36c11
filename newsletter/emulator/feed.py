"""The feed: events that wait to be posted, and what became of each mail.

Kept in the record's own file and written in its transaction: a mail that is on record has its events, also where the
emulator is killed in between. Without a webhook nothing is written here.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from newsletter.emulator.batches import DueEvent
from newsletter.emulator.events import Event, Mail, events_of, sg_message_id
from newsletter.emulator.lists import Lists
from newsletter.emulator.oddities import Oddities
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
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_NEW_EVENT = "INSERT INTO event (delivery_id, kind, body, happens_at, due_at) VALUES (?, ?, ?, ?, ?)"


@dataclass
class Feed:
    """The feed of one emulator. ``clock`` gives its time in seconds since 1970."""

    record: Record
    reactions: Reactions
    clock: Callable[[], float]
    oddities: Oddities = field(default_factory=Oddities)
    lists: Lists = field(init=False)
    _settings: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.lists = Lists(self.record, self.clock)
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
        held = self.lists.held_back(store, [one.address for one in accepted.mails])
        for one in accepted.mails:
            mail = Mail(one.address, accepted.message_id, one.id, one.custom_args)
            why = held.get(one.address.lower(), "")
            rule = Rule(Reaction.deliver) if why else self.reactions.of(one.address)
            events = list(events_of(mail, rule, why))
            outcomes.append((one.id, "dropped" if events[0].kind == "dropped" else str(rule.reaction)))
            rows += [self._row(one.id, event, now) for event in events]
            if not why:
                self.lists.put_on_at(store, now + events[-1].after, rule.reaction, one.address, events[-1])
        store.executemany("INSERT INTO outcome VALUES (?, ?)", outcomes)
        store.executemany(_NEW_EVENT, rows)

    def react_now(self, rule: Rule) -> int:
        """Let something happen to mails that were delivered before, the oldest first; tell to how many."""
        now = self.clock()
        with self.record.writing() as store:
            mails = store.execute(
                "SELECT delivery.id, address, message_id FROM delivery JOIN request ON request.id = request_id "
                "LEFT JOIN outcome ON delivery_id = delivery.id "
                "WHERE coalesce(outcome, '') NOT IN ('dropped', 'bounce', 'block', 'expire') ORDER BY delivery.id"
            ).fetchall()
            hit = [one for one in mails if rule.takes(one[1].lower())]
            for number, address, message_id in hit:
                (own,) = store.execute("SELECT own FROM delivery WHERE id = ?", (number,)).fetchone()
                mail = Mail(address, message_id, number, orjson.loads(own).get("custom_args", {}))
                events = [one for one in events_of(mail, rule, "") if one.kind not in {"processed", "delivered"}]
                store.execute("INSERT OR REPLACE INTO outcome VALUES (?, ?)", (number, str(rule.reaction)))
                store.executemany(_NEW_EVENT, [self._row(number, event, now) for event in events])
                if events:
                    self.lists.put_on_at(store, now + events[-1].after, rule.reaction, address, events[-1])
        return len(hit)

    def due(self, limit: int) -> list[DueEvent]:
        """Give events whose time has come, the oldest first."""
        rows = self.record.read(
            "SELECT id, body, happens_at, due_at, tries FROM event WHERE due_at <= ? ORDER BY due_at, id LIMIT ?",
            (self.clock(), limit),
        )
        return [DueEvent(*row) for row in rows]

    def posted(self, ids: Sequence[int]) -> None:
        """Note that these were taken."""
        self._mark("due_at = NULL, posts = posts + 1", ids)

    def not_taken(self, events: Sequence[DueEvent], wait: float) -> None:
        """Note that these were refused, and try again later, until a day after they happened."""
        now = self.clock()
        late = {one.id for one in events if now + wait > one.happens_at + TRIED_FOR}
        self._mark("due_at = NULL, given_up = 1", sorted(late))
        again = [one.id for one in events if one.id not in late]
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
        rows = self.record.read(
            "SELECT kind, count(*), sum(due_at IS NOT NULL), sum(posts > 0), sum(given_up) FROM event GROUP BY kind", ()
        )
        outcomes = dict(self.record.read("SELECT outcome, count(*) FROM outcome GROUP BY outcome", ()))
        posting = {
            name: sum(row[column] for row in rows)
            for column, name in enumerate(("waiting", "posted", "given_up"), start=2)
        }
        return {"events": {row[0]: row[1] for row in rows}, "outcomes": outcomes, "posting": posting}

    def messages(self, argument: str, value: str, *, limit: int) -> list[dict[str, Any]]:
        """Find mails by one of their custom arguments, the newest first, as Email Activity shows them."""
        rows = self.record.read(
            "SELECT address, subject, message_id, accepted_at, delivery.id, outcome FROM delivery "
            "JOIN request ON request.id = request_id LEFT JOIN outcome ON delivery_id = delivery.id "
            "WHERE json_extract(own, ?) = ? ORDER BY delivery.id DESC LIMIT ?",
            (f'$.custom_args."{argument}"', value, limit),
        )
        return [_message(*row) for row in rows]

    def _row(self, delivery_id: int, event: Event, now: float) -> tuple[int, str, bytes, float, float]:
        happens = now + event.after
        return delivery_id, event.kind, event.at(happens), happens, happens + self.oddities.delay_seconds

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
    sent = {"msg_id": sg_message_id(message_id, number), "subject": subject, "to_email": address, "status": status}
    return {"from_email": "", **sent, **counts, "last_event_time": accepted_at[:19] + "Z"}
