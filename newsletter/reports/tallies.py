"""Tallies: what became of some recipients, summed from the same rows, so that no two numbers contradict. Pure.

``accepted = delivered + deferred + processed + silent + dropped + bounced``.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from newsletter.feedback.outcomes import BOUNCED, Outcome


@dataclass(frozen=True)
class Tally:
    """What became of some recipients.

    Attributes:
        accepted: Whom SendGrid took.
        silent: Accepted, and nothing was heard of them since.
        deferred_once: Put off at least once, whatever came after.
        bounces: By class; their sum is ``bounced``.
        opened: People's programs that loaded the picture; ``machine_opened`` are those that load it by themselves.
    """

    recipients: int = 0
    accepted: int = 0
    delivered: int = 0
    deferred: int = 0
    processed: int = 0
    silent: int = 0
    dropped: int = 0
    bounces: Mapping[str, int] = field(default_factory=dict)
    deferred_once: int = 0
    complained: int = 0
    unsubscribed: int = 0
    opened: int = 0
    machine_opened: int = 0
    clicked: int = 0

    @property
    def bounced(self) -> int:
        """How many bounced, for whatever reason."""
        return sum(self.bounces.values())

    @property
    def under_way(self) -> int:
        """How many were accepted, and are neither there nor refused yet."""
        return self.deferred + self.processed

    @property
    def delivered_share(self) -> float:
        """Which share of the accepted was delivered, from 0 to 1."""
        return self.delivered / self.accepted if self.accepted else 0.0

    @property
    def complaint_share(self) -> float:
        """Which share of whom it was delivered to complained, as mailbox providers reckon it."""
        return self.complained / self.delivered if self.delivered else 0.0

    @property
    def is_tracked(self) -> bool:
        """Whether anything of opens and clicks is known."""
        return bool(self.opened or self.machine_opened or self.clicked)

    @property
    def balances(self) -> bool:
        """Whether the accepted are in exactly one place each."""
        heard = self.delivered + self.deferred + self.processed + self.dropped + self.bounced
        return self.accepted == heard + self.silent

    def as_json(self) -> dict[str, object]:
        """Write it by name."""
        return {**vars(self), "bounces": dict(self.bounces), "bounced": self.bounced}


@dataclass(frozen=True)
class Row:
    """Deliveries of one plan and mailbox provider that stand in one place of the ledger.

    Attributes:
        place: Where they stand (``progress.class_of``).
        outcomes: How many there are by what was said of them last.
        marks: How many have done what a tally names beside that: ``complained``, ``opened`` and so on.
    """

    plan: str
    provider: str
    place: str
    outcomes: Mapping[Outcome, int]
    marks: Mapping[str, int]


def tally(rows: Iterable[Row]) -> Tally:
    """Sum up rows."""
    counts: Counter[str] = Counter()
    bounces: Counter[str] = Counter()
    for row in rows:
        counts["recipients"] += sum(row.outcomes.values())
        if row.place == "accepted":
            counts["accepted"] += sum(row.outcomes.values())
            counts.update(row.marks)
            for outcome, count in row.outcomes.items():
                if outcome in BOUNCED:
                    bounces[outcome.name] += count
                else:
                    counts["silent" if outcome is Outcome.nothing else outcome.name] += count
    return Tally(**counts, bounces={name: count for name, count in sorted(bounces.items()) if count})


def added(tallies: Iterable[Tally]) -> Tally:
    """Add tallies up."""
    counts: Counter[str] = Counter()
    bounces: Counter[str] = Counter()
    for one in tallies:
        counts.update({name: value for name, value in vars(one).items() if isinstance(value, int)})
        bounces.update(one.bounces)
    return Tally(**counts, bounces=dict(sorted(bounces.items())))


def by(rows: Iterable[Row], name: Callable[[Row], str]) -> dict[str, Tally]:
    """Sum up rows by a name that each has, the largest first."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(name(row), []).append(row)
    tallies = {one: tally(those) for one, those in groups.items()}
    return dict(sorted(tallies.items(), key=lambda one: (-one[1].recipients, one[0])))
