"""Seen lines: which addresses a file had on which line, for as long as it is being read. For rehearsals of imports.

A file may have millions of rows: they are kept in a temporary database of SQLite's, which lives in its small cache
and goes to a file without a name where it grows beyond that, gone with the process.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping


class SeenLines:
    """The first line of each address so far. Close it when the file is read."""

    def __init__(self) -> None:
        self._store = sqlite3.connect("", isolation_level=None)
        self._store.execute("CREATE TABLE seen (address BLOB PRIMARY KEY, line INTEGER NOT NULL) WITHOUT ROWID")
        # Never committed: what is here is of use to nobody else, and a journal would only slow it.
        self._store.execute("BEGIN")

    def lines_of(self, keys: Iterable[str]) -> dict[str, int]:
        """Give the first lines of those addresses that have been seen."""
        ask = "SELECT line FROM seen WHERE address = ?"
        found = ((key, self._store.execute(ask, (_digest(key),)).fetchone()) for key in keys)
        return {key: line[0] for key, line in found if line}

    def remember(self, lines: Mapping[str, int]) -> None:
        """Remember addresses with their lines; those seen before keep theirs."""
        rows = ((_digest(key), line) for key, line in lines.items())
        self._store.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", rows)

    def close(self) -> None:
        """Forget everything."""
        self._store.close()


def _digest(key: str) -> bytes:
    """Stand in for an address, which has no business on the disk; two with one digest do not happen."""
    return hashlib.blake2b(key.encode(), digest_size=16).digest()
