"""Fates: what became of each mail, as the inbox shows it, read from the events that were made of it.

Beside the feed, which writes them. Without a webhook there are none, as at SendGrid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from newsletter.emulator.feed import Feed


@dataclass(frozen=True)
class Happening:
    """One thing that happened to a mail.

    Attributes:
        name: What, by the inbox's words.
        at: When, in UTC.
        text: What the receiving server said, or where a click led.
        posting: Whether its event was ``posted``, is ``waiting``, or was ``given_up``.
    """

    name: str
    at: datetime
    text: str
    posting: str

    @property
    def look(self) -> str:
        """How it is shown."""
        return _LOOKS.get(self.name, "")


_LOOKS = {
    "delivered": "good",
    "open": "good",
    "click": "good",
    "deferred": "wait",
    "bounce": "bad",
    "blocked": "bad",
    "expired": "bad",
    "dropped": "bad",
    "spamreport": "bad",
    "unsubscribe": "wait",
    "group_unsubscribe": "wait",
}


def fates_of(feed: Feed, mails: Sequence[int]) -> dict[int, list[Happening]]:
    """Give what has happened to some mails until now, by the mail's number, the earliest first."""
    marks = ",".join("?" * len(mails))
    rows = feed.record.read(
        f"SELECT delivery_id, body, happens_at, due_at IS NOT NULL, given_up FROM event "  # noqa: S608 - marks of our own
        f"WHERE delivery_id IN ({marks}) AND happens_at <= ? ORDER BY happens_at, id",
        (*mails, feed.clock()),
    )
    found: dict[int, list[Happening]] = {one: [] for one in mails}
    for mail, body, happens_at, waits, given_up in rows:
        said = orjson.loads(body)
        posting = "waiting" if waits else "given_up" if given_up else "posted"
        text = str(said.get("reason") or said.get("url") or _answer(said))
        found[mail].append(Happening(_name(said), datetime.fromtimestamp(happens_at, UTC), text, posting))
    return found


def _name(said: dict[str, Any]) -> str:
    kind = str(said["event"])
    if kind == "bounce":
        return str(said.get("type", kind))
    return "machine_open" if kind == "open" and said.get("sg_machine_open") else kind


def _answer(said: dict[str, Any]) -> str:
    # That a mail was taken needs no words.
    return str(said.get("response", "")) if said["event"] == "deferred" else ""
