"""Reactions: what becomes of a mail after it was accepted, told beforehand by address, by domain, or by chance.

Without any, every mail is delivered. The first that fits counts, the newest first: a script for a whole audience can be
laid under exceptions.
"""

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from newsletter.emulator.errors import EmulatorError


class Reaction(StrEnum):
    """What becomes of a mail."""

    deliver = "deliver"
    defer = "defer"
    bounce = "bounce"
    block = "block"
    expire = "expire"
    invalid = "invalid"
    async_bounce = "async_bounce"
    complain = "complain"
    unsubscribe = "unsubscribe"
    group_unsubscribe = "group_unsubscribe"
    group_resubscribe = "group_resubscribe"
    open = "open"
    machine_open = "machine_open"
    click = "click"


@dataclass
class Rule:
    """A reaction and whom it is of: an address, a domain, or a share of all; where nothing is said, everybody.

    Attributes:
        address: Whose mails it hits, in lower case; so is the ``domain``.
        rate: Which share of those it hits, from 0 to 1; the same addresses whenever it is asked.
        times: How many mails it hits; ``None`` until it is cleared.
        reason: What the receiving server says.
        status: Its enhanced code; ``"-"`` leaves it out, as SendGrid sometimes does.
        classification: SendGrid's class of a bounce.
        after: Seconds between the mail and the last of its events.
        url: What is clicked.
        above: Where the share begins, so that rules with one seed hit each address once; ``None``: each draws anew.
    """

    reaction: Reaction
    address: str = ""
    domain: str = ""
    rate: float = 1.0
    times: int | None = None
    reason: str = ""
    status: str = ""
    classification: str = ""
    after: float = 0.0
    url: str = ""
    seed: int = 0
    above: float | None = None

    def fits(self, address: str) -> bool:
        """Tell whether the rule is of this address, given in lower case."""
        if self.times == 0 or (self.address and self.address != address):
            return False
        if self.domain and self.domain != address.rpartition("@")[2]:
            return False
        draw = self.reaction if self.above is None else "script"
        drawn = int.from_bytes(hashlib.sha256(f"{self.seed}:{draw}:{address}".encode()).digest()[:4]) / 2**32
        begin = self.above or 0.0
        return begin <= drawn < begin + self.rate

    def takes(self, address: str) -> bool:
        """Tell whether the rule hits a mail to this address, and count it."""
        if not self.fits(address):
            return False
        if self.times is not None:
            self.times -= 1
        return True

    def as_json(self) -> dict[str, Any]:
        """Write the rule as it was told, with what is left of it."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass
class Reactions:
    """The rules of a running emulator. Safe to use from several threads."""

    _rules: list[Rule] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def add(self, told: Mapping[str, Any]) -> Rule:
        """Add a rule.

        Raises:
            EmulatorError: It cannot be read; the sentence says what is wrong.
        """
        rule = _read(told)
        with self._guard:
            self._rules.insert(0, rule)
        return rule

    def replace(self, told: Sequence[Mapping[str, Any]]) -> None:
        """Let these rules count and no others, the first that is asked first.

        Raises:
            EmulatorError: One of them cannot be read; then nothing is changed.
        """
        rules = [_read(one) for one in told]
        with self._guard:
            self._rules = rules

    def of(self, address: str) -> Rule:
        """Give the rule for one mail to an address, and count it."""
        lowered = address.lower()
        with self._guard:
            hit = next((rule for rule in self._rules if rule.takes(lowered)), None)
        return hit or Rule(Reaction.deliver)

    def listed(self) -> list[dict[str, Any]]:
        """List the rules, the first that is asked first."""
        with self._guard:
            return [rule.as_json() for rule in self._rules]

    def clear(self) -> None:
        """Let everything be delivered again."""
        with self._guard:
            self._rules.clear()


def _read(told: Mapping[str, Any]) -> Rule:
    names = {one.name: one.type for one in fields(Rule)}
    if unknown := set(told) - set(names):
        raise EmulatorError(f"a reaction has no {', '.join(sorted(unknown))}: it has {', '.join(names)}")
    if told.get("reaction") not in set(Reaction):
        raise EmulatorError(f"reaction: {told.get('reaction')!r} is none; there is {', '.join(Reaction)}")
    texts = {name: told.get(name, "") for name in ("address", "domain", "reason", "status", "classification", "url")}
    if wrong := [name for name, value in texts.items() if not isinstance(value, str)]:
        raise EmulatorError(f"{wrong[0]}: write a text")
    rate, times, after = told.get("rate", 1.0), told.get("times"), told.get("after", 0.0)
    seed, above = told.get("seed", 0), told.get("above")
    if not isinstance(rate, int | float) or not 0 <= rate <= 1:
        raise EmulatorError(f"rate: {rate!r} is no share; write a number from 0 to 1")
    if above is not None and (not isinstance(above, int | float) or not 0 <= above <= 1):
        raise EmulatorError(f"above: {above!r} is no share; write a number from 0 to 1")
    if times is not None and (not isinstance(times, int) or times < 0):
        raise EmulatorError(f"times: {times!r} is no count")
    if not isinstance(after, int | float) or after < 0:
        raise EmulatorError(f"after: {after!r} is no number of seconds")
    if not isinstance(seed, int):
        raise EmulatorError(f"seed: {seed!r} is no whole number")
    texts |= {name: texts[name].lower() for name in ("address", "domain")}
    reaction = Reaction(told["reaction"])
    return Rule(reaction, rate=rate, times=times, after=after, seed=seed, above=above, **texts)
