"""Whether the clock can be trusted: wall and steady clock must tell the same story. Pure; ``vigil`` reads the clocks.

A wall clock that was set by hand, or by a virtual machine that woke, would begin mailings early, end plans and take
calls under way for dead. The steady clock cannot be set; it must count the time in which the machine sleeps, else every
lid that is closed looks like a jump (Linux: CLOCK_BOOTTIME, see clock_gettime(2)).
"""

from dataclasses import dataclass
from datetime import datetime


#: Seconds by which the two may disagree; NTP slews smaller errors away.
LIMIT_SECONDS = 300.0


@dataclass(frozen=True)
class Reading:
    """Both clocks at one moment; the steady one in seconds since any point."""

    wall: datetime
    steady: float

    def jump_since(self, before: "Reading") -> float:
        """Tell by how many seconds the wall clock has gone ahead of the steady one; less than 0: back."""
        return (self.wall - before.wall).total_seconds() - (self.steady - before.steady)


@dataclass(frozen=True)
class Trust:
    """What is known of the clock: the last reading that was believed, and by how much it has jumped since.

    Attributes:
        believed: The last reading before a jump, or the last of all.
        jump: Seconds; 0 while the clocks agree.
    """

    believed: Reading
    jump: float = 0.0


def look(trust: Trust, now: Reading) -> Trust:
    """Judge a reading: while the clocks agree it is believed; after a jump, once they agree with before it again."""
    jump = now.jump_since(trust.believed)
    return Trust(trust.believed, jump) if abs(jump) > LIMIT_SECONDS else Trust(now)
