"""The journal's files: lines appended one behind the other, durable when ``append`` returns, read in the same order.

Numbered segments of bounded size, so that old ones can be put away. Several processes may append: each takes the
folder's lock for its lines.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from newsletter.journal.lines import opened, sealed
from subscribers.hashing import AddressHasher


#: Bytes after which the next segment begins.
SEGMENT_BYTES = 64_000_000
_NAME = "{:06}.journal"


@dataclass(frozen=True)
class Reading:
    """One line as it was read: where it stands, and its facts; ``None`` where it cannot be read."""

    where: str
    facts: Mapping[str, Any] | None


@dataclass(frozen=True)
class Journal:
    """The journal in a folder, sealed with the newest pepper."""

    folder: Path
    hasher: AddressHasher
    segment_bytes: int = SEGMENT_BYTES

    def append(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Write lines. When this returns they are on the disk.

        Raises:
            OSError: They are not.
        """
        written = b"".join(sealed(one, self.hasher.key_id, self.hasher.peppers[-1]) for one in lines)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            file, is_new = self._current()
            descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                _write_all(descriptor, _mended(descriptor) + written)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if is_new:
                sync_folder(self.folder)

    def read(self) -> Iterator[Reading]:
        """Give every line, the oldest first."""
        for segment in self.segments:
            yield from self._lines(segment)

    def read_behind(self, mark: str) -> Iterator[Reading] | None:
        """Give the lines behind the one whose ``id`` is a mark; nothing where there is no such line.

        What comes before it is neither opened nor believed, and a segment that ends before it is not read.
        """
        for number, segment in reversed(list(enumerate(self.segments))):
            if (start := self._end_of(segment, mark)) is not None:
                later = chain.from_iterable(map(self._lines, self.segments[number + 1 :]))
                return chain(self._lines(segment, *start), later)
        return None

    def _end_of(self, segment: Path, mark: str) -> tuple[int, int] | None:
        """Find the end of a mark's line: the byte, and how many lines there are up to it."""
        position, sought = 0, mark.encode()
        with segment.open("rb") as file:
            for number, line in enumerate(file, start=1):
                position += len(line)
                if sought in line and (opened(line, self.hasher.pepper_of) or {}).get("id") == mark:
                    return position, number
        return None

    def _lines(self, segment: Path, position: int = 0, before: int = 0) -> Iterator[Reading]:
        """Give a segment's lines from a byte on, up to which there are so many."""
        with segment.open("rb") as file:
            file.seek(position)
            for number, line in enumerate(file, start=before + 1):
                yield Reading(f"{segment.name}:{number}", opened(line, self.hasher.pepper_of))

    @property
    def segments(self) -> list[Path]:
        """The files, the oldest first."""
        return sorted(self.folder.glob("*.journal"))

    def _current(self) -> tuple[Path, bool]:
        """Give the file that is written to now, and whether it is yet to be made."""
        if not (segments := self.segments):
            return self.folder / _NAME.format(1), True
        if segments[-1].stat().st_size < self.segment_bytes:
            return segments[-1], False
        return self.folder / _NAME.format(int(segments[-1].stem) + 1), True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Have a file's coming or its new name on the disk: POSIX syncs that with the folder, not with the file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mended(descriptor: int) -> bytes:
    """Give the line end that a crash left out; what was torn stays a line of its own."""
    size = os.fstat(descriptor).st_size
    return b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""


def _write_all(descriptor: int, written: bytes) -> None:
    while written:
        written = written[os.write(descriptor, written) :]
