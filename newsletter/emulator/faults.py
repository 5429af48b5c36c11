"""Faults: how the next requests go wrong, told beforehand by a test or by someone who wants to see.

Some end before the request is accepted, some after it: what a caller sees can be the same, and that is the point.
"""

import random
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from newsletter.emulator.errors import EmulatorError


class Kind(StrEnum):
    """What a fault does."""

    accept_then_hang = "accept-then-hang"
    accept_then_reset = "accept-then-reset"
    five_hundred_after_accept = "500-after-accept"
    truncated_202 = "truncated-202"
    slow = "slow"
    hang_before_accept = "hang-before-accept"
    reset_before_accept = "reset-before-accept"
    garbage_answer = "garbage-answer"
    naming_400 = "400-naming"
    unnamed_400 = "400-unnamed"
    status_200 = "200"
    status_302 = "302"
    status_307 = "307"
    status_401 = "401"
    status_403 = "403"
    status_404 = "404"
    status_408 = "408"
    status_413 = "413"
    status_421 = "421"
    status_429 = "429"
    status_500 = "500"
    status_502 = "502"
    status_503 = "503"
    html_503 = "503-html"


#: After these the request is on record, whatever its caller is told.
ACCEPTING = frozenset(
    {Kind.accept_then_hang, Kind.accept_then_reset, Kind.five_hundred_after_accept, Kind.truncated_202, Kind.slow}
)


@dataclass
class Fault:
    """A fault that waits for its requests.

    Attributes:
        times: How many requests it hits; ``None`` until it is cleared.
        after: How many requests pass before it hits.
        probability: How likely it hits each request.
        seconds: How long ``slow`` and the hangs last.
        match: For the kinds that refuse recipients: a pattern of their addresses.
        reset: For 429: in how many seconds the limit is reset; without it no header says so.
    """

    kind: Kind
    times: int | None = 1
    after: int = 0
    probability: float = 1.0
    seconds: float = 120.0
    match: str = ""
    reset: float | None = None
    seed: int = 0
    _chance: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)  # noqa: S311 - repeatable by design

    def refuses(self, address: str) -> bool:
        """Tell whether an address is one that the fault refuses."""
        return re.search(self.match, address) is not None

    def as_json(self) -> dict[str, Any]:
        """Write it as it was told, with what is left of it."""
        names = ("kind", "times", "after", "probability", "seconds", "match", "reset", "seed")
        return {name: getattr(self, name) for name in names}

    def hits(self) -> bool:
        """Tell whether the fault hits the next request, and count it."""
        if self.after:
            self.after -= 1
            return False
        if self.times == 0 or self._chance.random() >= self.probability:
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass
class Faults:
    """The faults that wait, oldest first; each request meets one at most."""

    _waiting: list[Fault] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def add(self, told: Mapping[str, Any]) -> Fault:
        """Add a fault as it is told in JSON.

        Raises:
            EmulatorError: The kind or a word is unknown, or a value cannot be used.
        """
        kinds = [str(kind) for kind in Kind]
        if told.get("kind") not in kinds:
            raise EmulatorError(f"kind {told.get('kind')!r} is unknown; known are {', '.join(kinds)}")
        try:
            fault = Fault(**{**told, "kind": Kind(told["kind"])})
            re.compile(fault.match)
        except (TypeError, re.error) as error:
            raise EmulatorError(f"the fault cannot be read: {error}") from None
        with self._guard:
            self._waiting.append(fault)
        return fault

    def next(self, addresses: "list[str] | None" = None) -> Fault | None:
        """Give the fault that hits the next request, if one does."""
        with self._guard:
            for fault in self._waiting:
                if fault.match and not any(fault.refuses(address) for address in addresses or ()):
                    continue
                if fault.hits():
                    self._waiting = [one for one in self._waiting if one.times != 0]
                    return fault
        return None

    def standing(self) -> Fault | None:
        """Give a fault that stands until it is cleared and is an answer to any request, such as 401 to everything."""
        with self._guard:
            refusals = (one for one in self._waiting if one.times is None and one.kind.value.isdigit())
            return next(refusals, None)

    def listed(self) -> list[dict[str, Any]]:
        """List what waits."""
        with self._guard:
            return [fault.as_json() for fault in self._waiting]

    def clear(self) -> None:
        """Take every fault away."""
        with self._guard:
            self._waiting.clear()
