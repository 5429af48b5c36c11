"""The lattice of outcomes: what became of a delivery only moves up, so that order and repeats make no difference. Pure.

Of all that was said of one delivery, the highest word stands. A bounce stands above ``delivered``, since a server may
take a mail and send it back later; ``delivered`` stands above the deferrals on the way to it. That it was put off, and
what a reader did (opened, clicked, complained, left), stands beside it, each with the first time it was said.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import IntEnum, StrEnum

from newsletter.providers.feedback import FeedbackEvent, FeedbackKind


class BounceClass(StrEnum):
    """What a bounce says of the address, or of us."""

    #: The address does not exist: never again.
    hard = "hard"
    #: The mailbox is closed, or so it seems: never again after a second time.
    disabled = "disabled"
    #: For now: full, away, slow, or nobody can tell.
    soft = "soft"
    #: Our fault: reputation, content, frequency or authentication. The address is not to blame.
    blocked = "blocked"
    #: Our fault: the mail is too large for this mailbox.
    too_large = "too_large"


#: What says nothing against the address.
OUR_FAULTS = frozenset({BounceClass.blocked, BounceClass.too_large})


class Outcome(IntEnum):
    """What became of a delivery, in the order of the lattice. The numbers are stored."""

    nothing = 0
    processed = 10
    deferred = 20
    delivered = 30
    dropped = 40
    soft = 50
    too_large = 60
    blocked = 70
    disabled = 80
    hard = 90


BOUNCED = frozenset({Outcome.soft, Outcome.too_large, Outcome.blocked, Outcome.disabled, Outcome.hard})

_OF_KIND: Mapping[FeedbackKind, Outcome] = {
    FeedbackKind.processed: Outcome.processed,
    FeedbackKind.delivered: Outcome.delivered,
    FeedbackKind.dropped: Outcome.dropped,
}


@dataclass(frozen=True)
class Standing:
    """Everything that is known of one delivery after it was accepted; times are UTC."""

    outcome: Outcome = Outcome.nothing
    outcome_at: datetime | None = None
    deferred_at: datetime | None = None
    opened_at: datetime | None = None
    machine_opened_at: datetime | None = None
    clicked_at: datetime | None = None
    complained_at: datetime | None = None
    unsubscribed_at: datetime | None = None

    def joined(self, other: "Standing") -> "Standing":
        """Join two pieces of knowledge; in any order, and however often, the same comes out."""
        higher = max(self.outcome, other.outcome)
        reached = [one.outcome_at for one in (self, other) if one.outcome is higher]
        return Standing(higher, _first(*reached), *(_first(getattr(self, n), getattr(other, n)) for n in MARKS))


#: The columns of what stands beside the outcome.
MARKS = tuple(field.name for field in fields(Standing) if field.name not in {"outcome", "outcome_at"})


def standing_of(event: FeedbackEvent, bounce_class: BounceClass | None, at: datetime) -> Standing:
    """Tell what one event says of its delivery."""
    match event.kind:
        case FeedbackKind.bounced if bounce_class:
            return Standing(Outcome[bounce_class], at)
        case FeedbackKind.opened if event.is_machine:
            return Standing(machine_opened_at=at)
        case FeedbackKind.opened:
            return Standing(opened_at=at)
        case FeedbackKind.clicked:
            return Standing(clicked_at=at)
        case FeedbackKind.complained:
            return Standing(complained_at=at)
        case FeedbackKind.unsubscribed:
            return Standing(unsubscribed_at=at)
        case FeedbackKind.deferred:
            return Standing(Outcome.deferred, at, deferred_at=at)
        case _:
            outcome = _OF_KIND.get(event.kind, Outcome.nothing)
            return Standing(outcome, at if outcome else None)


def _first(*times: datetime | None) -> datetime | None:
    return min((time for time in times if time), default=None)
