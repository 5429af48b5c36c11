"""The vigil: before each tick a look at the machine itself, at its clocks and its disk. What it finds it tells once.

After a jump of the clock the store is held until a person releases it, or the clock is back where it was; after a
restart, which knows of no before, until a person does. Each machine has a hold of its own, and ends no other's. While
the disk is nearly full nothing begins and nothing is claimed; with room again it goes on by itself.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from newsletter.alerts import AlertKind
from newsletter.database import Database
from newsletter.hosts import HoldKind, believe_clock, hold_store, open_holds, tell_of_store
from newsletter.room import Room
from newsletter.worker.clock_watch import Reading, Trust, look
from subscribers.actors import CLOCK


log = structlog.get_logger(__name__)


def steady_seconds() -> float:
    """Read a clock that nobody sets, which counts the machine's sleep where the system has such a one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True)
class State:
    """How the machine stands: whether its clock can be believed, and its disk has room."""

    trusts_clock: bool
    has_room: bool


@dataclass
class Vigil:
    """The look at the machine; shared by the threads of a process.

    Attributes:
        live: On which side of NOT LIVE operators are told.
        machine: This machine, as stores know it.
        clock: The wall clock, in UTC.
        steady: The steady clock, in seconds.
    """

    database: Database
    room: Room
    live: bool
    machine: str
    clock: Callable[[], datetime]
    steady: Callable[[], float] = steady_seconds
    _trust: Trust | None = None
    _lacked: bool = False
    _looking: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> State:
        """Look now; hold and release the store, and tell operators, where something has changed."""
        with self._looking:
            return State(self._trusts_clock(), self._has_room())

    def _trusts_clock(self) -> bool:
        now = Reading(self.clock(), self.steady())
        if self._trust is None and self._is_held():
            # It began while the store is held for a clock, and cannot tell by itself whether that one is right now.
            return False
        before = self._trust or Trust(now)
        self._trust = look(before, now)
        if self._trust.jump and before.jump:
            return self._is_released(now)
        if self._trust.jump:
            self._hold(self._trust.jump, before.believed.wall)
        elif before.jump:
            self._release()
        return not self._trust.jump

    def _hold(self, jump: float, believed: datetime) -> None:
        ahead = f"{abs(jump):,.0f} s {'ahead' if jump > 0 else 'back'}"
        since = f"since {believed:%Y-%m-%d %H:%M:%S} UTC by its own count"
        reason = f"the clock of the machine {self.machine[:8]} has jumped {ahead} {since}"
        log.error("HELD: nothing is mailed", why=reason)
        with self.database.writing() as session:
            hold_store(session, HoldKind.clock, reason, live=self.live, now=self.clock(), machine=self.machine)

    def _release(self) -> None:
        log.warning("the clock is back where it was: mailing goes on")
        with self.database.writing() as session:
            believe_clock(session, self.machine, by=CLOCK, now=self.clock())

    def _is_released(self, now: Reading) -> bool:
        """Tell whether a person has said that the clock is right as it is; then it is believed from here on."""
        if self._is_held(self.machine):
            return False
        self._trust = Trust(now)
        return True

    def _is_held(self, machine: str | None = None) -> bool:
        """Tell whether the store is held for a machine's clock; for any machine's where none is named."""
        with self.database.reading() as session:
            return any(one.kind is HoldKind.clock and machine in {None, one.machine} for one in open_holds(session))

    def _has_room(self) -> bool:
        lack = self.room.lack()
        if lack and not self._lacked:
            log.error("nothing new is mailed", why=lack)
            with self.database.writing() as session:
                tell_of_store(session, AlertKind.disk_full, "disk", lack, live=self.live, now=self.clock())
        elif self._lacked and not lack:
            log.warning("there is room on the disk again: mailing goes on")
        self._lacked = bool(lack)
        return not lack
