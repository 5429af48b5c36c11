"""What SendGrid says, as its events are shaped (sorted keys, compact, one a line), for tests of feedback."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import col, select

from newsletter.delivery.models import Attempt, Batch, Delivery
from newsletter.feedback.applying import PROVIDER, Scene
from newsletter.feedback.ingest import apply_next, keep_call
from subscribers.models import Subscriber
from tests.world import ISSUE, World


Event = dict[str, Any]


@dataclass
class Feedback:
    """Says events about a world's deliveries, and applies them."""

    world: World
    _ids: int = 0
    _issues: int = 0

    @property
    def scene(self) -> Scene:
        """What events are applied with."""
        return Scene(self.world.hasher, PROVIDER, self.world.clock())

    def mail(self) -> int:
        """Mail one more issue, and give its mailing."""
        self._issues += 1
        issue_id = self.world.issue(ISSUE.replace("第一期", f"第{self._issues}期"))
        mailing_id = self.world.schedule(issue_id)
        assert self.world.begin() == [mailing_id]
        self.world.dispatch()
        return mailing_id

    def of(self, mailing_id: int) -> dict[str, Event]:
        """Give what every event about a mailing's deliveries carries, by address."""
        with self.world.database.reading() as session:
            current = (col(Attempt.batch_id) == col(Batch.id)) & (col(Attempt.number) == col(Batch.attempt))
            found = (
                select(Subscriber.email, Delivery.id, Attempt.id, Attempt.message_id)
                .join(Delivery, col(Delivery.subscriber_id) == col(Subscriber.id))
                .join(Batch, col(Batch.id) == col(Delivery.batch_id))
                .join(Attempt, current)
                .where(Delivery.mailing_id == mailing_id)
            )
            return {
                str(email): {
                    "email": email,
                    "delivery": str(delivery_id),
                    "attempt_id": attempt_id,
                    "sg_message_id": f"{message_id}.recvd-1-0.0",
                    "smtp-id": f"<{message_id}@geopod>",
                }
                for email, delivery_id, attempt_id, message_id in session.exec(found)
            }

    def event(self, whose: Event, event: str, at: datetime, **more: object) -> Event:
        """Make an event with an id of its own."""
        self._ids += 1
        return {**whose, "event": event, "timestamp": int(at.timestamp()), "sg_event_id": f"e{self._ids}", **more}

    def say(self, *events: object) -> None:
        """Keep a call with these events and apply all that waits."""
        with self.world.database.writing() as session:
            keep_call(session, as_body(events), now=self.world.clock())
        self.apply()

    def apply(self) -> None:
        """Apply all that waits."""
        while apply_next(self.world.database, self.scene):
            pass


def as_body(events: object) -> bytes:
    """Write events as SendGrid does."""
    return json.dumps(events, separators=(",", ":"), sort_keys=True).encode() + b"\r\n"
