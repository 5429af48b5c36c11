"""Where a mailing stands, derived from counts of its rows. Pure; ``accounts`` reads the counts.

The identity of DESIGN §5 is :attr:`Standing.balances`: every recipient is in exactly one of the seven classes, at
every moment.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from newsletter.delivery.lifecycle import BatchState, Difference


_CLASS_OF_STATE: Mapping[BatchState, str] = {
    BatchState.accepted: "accepted",
    BatchState.unknown: "unknown",
    BatchState.rejected: "rejected",
    BatchState.given_up: "given_up",
    BatchState.cancelled: "cancelled",
}


@dataclass(frozen=True)
class Standing:
    """The recipients of a mailing by what became of them so far.

    Attributes:
        proven: How many of the accepted are known to be so by a proof only: no answer said it.
        looked_up: How many of the proven no event named, but SendGrid's own record.
        presumed: How many of the accepted a person takes for accepted, without answer or proof.
    """

    recipients: int
    accepted: int = 0
    skipped: int = 0
    rejected: int = 0
    unknown: int = 0
    pending: int = 0
    given_up: int = 0
    cancelled: int = 0
    proven: int = 0
    looked_up: int = 0
    presumed: int = 0

    @property
    def accounted(self) -> int:
        """How many deliveries stand in some class."""
        return (
            self.accepted + self.skipped + self.rejected + self.unknown + self.pending + self.given_up + self.cancelled
        )

    @property
    def balances(self) -> bool:
        """Whether recipients = accepted + skipped + rejected + unknown + pending + given_up + cancelled."""
        return self.recipients == self.accounted

    @property
    def done_share(self) -> float:
        """Which share of the recipients is no longer pending, from 0 to 1."""
        return 1.0 if not self.recipients else 1 - self.pending / self.recipients

    def line(self) -> str:
        """Account for every recipient in one line, as operators read it."""
        how = (
            (self.proven - self.looked_up, "proven by event"),
            (self.looked_up, "proven by SendGrid's record"),
            (self.presumed, "taken for accepted"),
        )
        known_by = ", ".join(f"{count:,} of them {word}" for count, word in how if count)
        parts = [f"{self.accepted:,} accepted by SendGrid" + (f" ({known_by})" if known_by else "")]
        parts += [f"{self.skipped:,} skipped", f"{self.rejected:,} rejected", f"{self.unknown:,} unknown"]
        parts += [
            f"{count:,} {word}"
            for word, count in (("pending", self.pending), ("given up", self.given_up), ("cancelled", self.cancelled))
            if count
        ]
        return f"{self.recipients:,} recipients = {' + '.join(parts)}"


def standing(
    recipients: int,
    deliveries: Mapping[tuple[BatchState | None, Difference | None], int],
    *,
    proven: int = 0,
    looked_up: int = 0,
    presumed: int = 0,
) -> Standing:
    """Sort counted deliveries into the classes.

    Args:
        recipients: How many were frozen.
        deliveries: How many deliveries there are by the state of their batch (none yet: ``None``) and their difference.
        proven: How many of the accepted no answer spoke of, but a proof.
        looked_up: How many of the proven no event spoke of either, but SendGrid's own record.
        presumed: How many of the accepted neither answer nor proof spoke of.
    """
    counts: dict[str, int] = {}
    for (state, difference), count in deliveries.items():
        name = class_of(state, difference)
        counts[name] = counts.get(name, 0) + count
    return Standing(recipients, proven=proven, looked_up=looked_up, presumed=presumed, **counts)


def class_of(state: BatchState | None, difference: Difference | None) -> str:
    """Name the class that a delivery stands in, by the state of its batch and what sets it apart from that."""
    if difference is Difference.skipped:
        return "skipped"
    if difference is Difference.rejected:
        return "rejected"
    if difference is Difference.proven:
        return "accepted"
    return "pending" if state is None else _CLASS_OF_STATE.get(state, "pending")
