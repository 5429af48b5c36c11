"""Room on the disk: below a reserve nothing new is mailed, so that what is under way can still be written down.

Asked anew each time: as soon as there is room again, mailing goes on by itself.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Usage(Protocol):
    """How a file system stands, in bytes."""

    @property
    def total(self) -> int:
        """Its size."""

    @property
    def free(self) -> int:
        """What is free on it."""


@dataclass(frozen=True)
class Room:
    """The file systems that must keep a reserve.

    Attributes:
        folders: A folder on each; several may be on one.
        percent: Share that must be free.
        megabytes: The same in megabytes; the larger of the two counts.
        usage: Asks a file system.
    """

    folders: Sequence[Path]
    percent: float
    megabytes: int
    usage: Callable[[Path], Usage] = shutil.disk_usage

    def lack(self) -> str:
        """Say where room is lacking; empty where there is enough."""
        for folder in self.folders:
            if lack := self.lack_for(folder, 0):
                return f"{lack}: make room, and mailing goes on by itself"
        return ""

    def lack_for(self, folder: Path, size: float) -> str:
        """Say what is lacking for so many bytes in a folder above the reserve; empty where there is enough."""
        there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
        found = self.usage(there)
        needed = size + max(found.total * self.percent / 100, self.megabytes * 1e6)
        if found.free >= needed:
            return ""
        return f"only {found.free / 1e6:,.0f} MB are free on the disk of {there}, and {needed / 1e6:,.0f} MB must be"
