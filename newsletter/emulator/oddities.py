"""Oddities: how posting strays from the straight way, as SendGrid's has been seen to. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from newsletter.emulator.errors import EmulatorError


_SHARES = ("duplicates", "fresh_duplicates")
_SECONDS = ("batch_seconds", "delay_seconds")


@dataclass(frozen=True)
class Oddities:
    """How posting strays from the straight way.

    Attributes:
        duplicates: Which share of events comes twice, with the same id.
        fresh_duplicates: Which share comes twice, with another id.
        shuffle: Whether events come in no order.
        batch_seconds: How long a batch is collected.
        delay_seconds: How long every event that is made from now on waits before it is collected.
    """

    duplicates: float = 0.0
    fresh_duplicates: float = 0.0
    shuffle: bool = False
    batch_seconds: float = 30.0
    delay_seconds: float = 0.0

    def changed(self, told: Mapping[str, Any]) -> "Oddities":
        """Give these with what is told in JSON.

        Raises:
            EmulatorError: A word is unknown, or a value cannot be used.
        """
        names = [one.name for one in fields(self)]
        if unknown := set(told) - set(names):
            raise EmulatorError(f"posting has no {', '.join(sorted(unknown))}: it has {', '.join(names)}")
        for name, value in told.items():
            if name in _SHARES and not (_is_number(value) and value <= 1):
                raise EmulatorError(f"{name}: {value!r} is no share; write a number from 0 to 1")
            if name in _SECONDS and not _is_number(value):
                raise EmulatorError(f"{name}: {value!r} is no number of seconds")
            if name == "shuffle" and not isinstance(value, bool):
                raise EmulatorError(f"{name}: write true or false")
        return replace(self, **told)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
