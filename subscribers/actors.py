"""Who acts: the ``by`` of every use case, written into the consent ledger and the audit.

The bottom of the people's package; every floor of ``newsletter`` may import it.
"""

from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    """The kinds of actors that can change anything."""

    operator = "operator"
    token = "token"  # noqa: S105 - an API token as an actor, not a secret
    reader = "reader"
    clock = "clock"
    provider = "provider"


@dataclass(frozen=True)
class Actor:
    """Someone or something that acts: its kind, and which one of its kind (never an address)."""

    kind: ActorKind
    reference: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.reference}" if self.reference else str(self.kind)


COMMAND_LINE = Actor(ActorKind.operator, "command-line")
CLOCK = Actor(ActorKind.clock)
READER = Actor(ActorKind.reader)
