"""Dying on purpose: a database, a journal and a provider that end everything at a chosen point. For tests of crashes.

The way of a mailing lists its points by itself: each commit, each line of the journal and each call says where it was
asked for, in the order in which they come. A test goes the way once to learn them, and then dies at each.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlmodel import Session

from newsletter.database import Database
from newsletter.journal.segments import Journal
from newsletter.providers.base import CallEnd, Message, Provider


class Side(StrEnum):
    """On which side of a point death comes."""

    before = "before"
    after = "after"


class Death(BaseException):
    """The process is no more: whoever catches errors must not catch this."""


@dataclass
class Points:
    """The points that were passed so far, and at which one death comes.

    Attributes:
        dies_at: The number of a point, from 0, and the side of it; without it nobody dies.
        passed: What each point was, by the name of the function that asked for it.
    """

    dies_at: tuple[int, Side] | None = None
    passed: list[str] = field(default_factory=list)

    def before(self, place: str) -> None:
        """Come to a point.

        Raises:
            Death: It is the one, and it does not happen any more.
        """
        self.passed.append(place)
        self._die_on(Side.before)

    def after(self) -> None:
        """Have passed the point that was come to last.

        Raises:
            Death: It is the one; it has happened, and nobody learns of it.
        """
        self._die_on(Side.after)

    def _die_on(self, side: Side) -> None:
        if self.dies_at == (len(self.passed) - 1, side):
            raise Death(f"{side} {self.passed[-1]}")


class MortalDatabase(Database):
    """A database whose commits are points; those of tests themselves are none. For one thread.

    It outlives the processes that die in it, each with ``points`` of its own: its statements are compiled once.
    """

    def __init__(self, url: str, points: Points) -> None:
        super().__init__(url)
        self.points = points

    @contextmanager
    def writing(self, *, one_snapshot: bool = False) -> Iterator[Session]:
        """Give a session as ever; die before or after its commit where that is the point."""
        caller = sys._getframe(2)  # noqa: SLF001 - past `contextlib`: the only way to learn who asks
        module = str(caller.f_globals["__name__"])
        ours = module.partition(".")[0] == "newsletter"
        with super().writing(one_snapshot=one_snapshot) as session:
            yield session
            if ours:
                self.points.before(f"commit in {module}.{caller.f_code.co_name}")
        if ours:
            self.points.after()


@dataclass(frozen=True)
class MortalJournal(Journal):
    """A journal each write to which is a point: died before it nothing stands there, after it nobody acts on it."""

    points: Points = field(default_factory=Points)

    def append(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Write lines as ever; die before or after that where it is the point."""
        self.points.before("line in the journal")
        super().append(lines)
        self.points.after()


@dataclass(frozen=True)
class MortalProvider:
    """A provider each call to which is a point: died before it nothing left, after it the answer reaches nobody."""

    provider: Provider
    points: Points

    @property
    def name(self) -> str:
        """The provider's name, for people."""
        return self.provider.name

    def submit(self, message: Message) -> CallEnd:
        """Hand a request on; die before or after that where it is the point."""
        self.points.before("call to the provider")
        end = self.provider.submit(message)
        self.points.after()
        return end
