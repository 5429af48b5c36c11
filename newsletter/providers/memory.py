"""A provider that keeps what it is given: for tests and for measuring. It ends calls as it is told to."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from secrets import token_urlsafe

from newsletter.providers.base import CallEnd, Ending, Message, Recipient


ACCEPTED_ALL_THE_SAME = "accepted, and the answer was lost"


@dataclass
class MemoryProvider:
    """Accepts every request and remembers it, unless a script says how the next calls end.

    Attributes:
        accepted: The requests that were accepted, in order.
        answering: Called before each answer; a place for a test to act while a call is under way.
    """

    accepted: list[Message] = field(default_factory=list)
    answering: Callable[[Message], None] | None = None
    _script: deque[CallEnd] = field(default_factory=deque)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        """The provider's name, for people."""
        return "memory"

    def ends_next(self, *ends: CallEnd) -> None:
        """Say how the next calls end, in order; after them every call is accepted again."""
        self._script.extend(ends)

    def loses_next(self, calls: int = 1) -> None:
        """Accept the next calls after those that are scripted, and let no answer reach the caller."""
        self._script.extend([CallEnd(Ending.ambiguous, detail=ACCEPTED_ALL_THE_SAME)] * calls)

    def submit(self, message: Message) -> CallEnd:
        """End as the script says, else accept."""
        if self.answering is not None:
            self.answering(message)
        with self._guard:
            end = self._script.popleft() if self._script else CallEnd(Ending.accepted, 202, token_urlsafe(16))
            if end.ending is Ending.accepted or end.detail == ACCEPTED_ALL_THE_SAME:
                self.accepted.append(message)
        return end

    def reached(self) -> list[str]:
        """List every address that was accepted, as often as it was."""
        return [recipient.address for recipient in self.recipients()]

    def recipients(self) -> Iterable[Recipient]:
        """Go through every accepted recipient, in order."""
        for message in list(self.accepted):
            yield from message.recipients
