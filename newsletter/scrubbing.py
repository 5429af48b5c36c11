"""Scrubbing: what was deleted also leaves the files. After an erasure is committed; called by the edge.

On SQLite ``secure_delete`` writes zeroes over deleted rows, and a truncating checkpoint empties the write-ahead log.
One thing is left (measured: one address in some thousands): a page that was rebuilt can keep a stale copy of a row in
its unused space. So the file is searched for what must be gone, and rewritten where it is found.

On PostgreSQL ``VACUUM`` frees the rows' space to be written over; it writes no zeroes (docs/retention.md).
"""

import mmap
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from newsletter.database import BUSY_TIMEOUT_MS, Database, sqlite_module


def scrub(
    database: Database, words: Collection[str], tables: Sequence[str], *, patience_ms: int = 3 * BUSY_TIMEOUT_MS
) -> bool:
    """Have the database's files let go of deleted rows; tell whether that is done.

    Args:
        database: Where rows were deleted, in transactions that are committed.
        words: What must be gone, such as an address; case aside.
        tables: Where it stood, for PostgreSQL.
        patience_ms: How long to wait for processes that read or write meanwhile; 30 seconds by default.
    """
    if not database.is_sqlite:
        _vacuum(database, tables)
        return True
    if not _checkpoint(database, patience_ms):
        return False
    if database.file is None or not _holds(database.file, words):
        return True
    # Found once more after that, it stands in some row after all: nobody must be told that it is gone.
    rewritten = _rewrite(database, patience_ms) and _checkpoint(database, patience_ms)
    return rewritten and not _holds(database.file, words)


def _checkpoint(database: Database, patience_ms: int) -> bool:
    """Empty the write-ahead log; without one (an older SQLite) there is nothing to empty."""
    return bool(_patiently(database, "PRAGMA wal_checkpoint(TRUNCATE)", patience_ms) == 0)


def _rewrite(database: Database, patience_ms: int) -> bool:
    return _patiently(database, "VACUUM", patience_ms) != _BUSY


_BUSY = 1


def _patiently(database: Database, statement: str, patience_ms: int) -> int:
    """Run a statement that stands in no transaction; give the first number of its answer, 1 where others are busy."""
    with database.writer.connect() as connection:
        driver = connection.connection.driver_connection
        if driver is None:
            raise RuntimeError("the database's connection has no driver")
        driver.execute(f"PRAGMA busy_timeout = {patience_ms}")
        try:
            row = driver.execute(statement).fetchone()
        except sqlite_module().OperationalError:
            return _BUSY
        finally:
            driver.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    return int(row[0]) if row else 0


def _holds(file: Path, words: Collection[str]) -> bool:
    pattern = b"|".join(re.escape(word.encode()) for word in words if word)
    if not pattern or not file.stat().st_size:
        return False
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return re.search(pattern, content, re.IGNORECASE) is not None


def _vacuum(database: Database, tables: Sequence[str]) -> None:
    with database.writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in tables:
            connection.exec_driver_sql(f'VACUUM "{table}"')
