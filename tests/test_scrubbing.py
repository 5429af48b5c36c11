"""Scrubbing: deleted rows leave the files, also stale copies, and what cannot be done yet is said."""

import threading

import pytest
from sqlalchemy import text

from newsletter.database import sqlite_module
from newsletter.scrubbing import scrub
from subscribers.forgetting import PERSONAL_COLUMNS


WORD = "Anna.Smith@example.com"


def bytes_of(store):
    return b"".join(path.read_bytes() for path in store.file.parent.glob(f"{store.file.name}*")).lower()


def is_found(store):
    return WORD.lower().encode() in bytes_of(store)


@pytest.fixture
def written(sqlite_store):
    """A store in which a row was written and deleted: its bytes are in the write-ahead log."""
    with sqlite_store.writing() as session:
        session.execute(text("CREATE TABLE note (said TEXT)"))
        session.execute(text("INSERT INTO note VALUES (:said)"), {"said": WORD})
    with sqlite_store.writing() as session:
        session.execute(text("DELETE FROM note"))
    assert is_found(sqlite_store)
    return sqlite_store


def test_the_write_ahead_log_is_emptied(written):
    assert scrub(written, [WORD], ["note"])
    assert not is_found(written)


def test_a_stale_copy_in_the_file_is_written_over(sqlite_store):
    """As a rebuilt page can keep one: here by a connection that zeroes nothing."""
    careless = sqlite_module().connect(sqlite_store.file, isolation_level=None)
    careless.execute("PRAGMA secure_delete = OFF")
    careless.execute("CREATE TABLE note (said TEXT)")
    careless.executemany("INSERT INTO note VALUES (?)", [(WORD.upper(),), ("stays",)])
    careless.execute("DELETE FROM note WHERE said <> 'stays'")
    careless.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    careless.close()
    assert is_found(sqlite_store)
    assert scrub(sqlite_store, [WORD], ["note"])
    assert not is_found(sqlite_store)
    with sqlite_store.reading() as session:
        assert session.execute(text("SELECT said FROM note")).scalars().all() == ["stays"]


def test_while_another_reads_it_is_not_done_and_after_it_is(written):
    with written.reading() as session:
        session.execute(text("SELECT * FROM note")).all()
        with written.writing() as later:
            later.execute(text("INSERT INTO note VALUES ('more')"))
        assert not scrub(written, [WORD], ["note"], patience_ms=50)
    assert is_found(written)
    assert scrub(written, [WORD], ["note"], patience_ms=50)
    assert not is_found(written)


def test_it_waits_for_who_reads_only_for_a_moment(written):
    let_go = threading.Event()
    reads = threading.Event()

    def read():
        with written.reading() as session:
            session.execute(text("SELECT * FROM note")).all()
            reads.set()
            let_go.wait(10)

    reader = threading.Thread(target=read)
    reader.start()
    reads.wait(10)
    with written.writing() as later:
        later.execute(text("INSERT INTO note VALUES ('more')"))
    threading.Timer(0.3, let_go.set).start()
    assert scrub(written, [WORD], ["note"], patience_ms=10_000)
    reader.join()
    assert not is_found(written)


def test_what_is_written_afterwards_is_written_as_before(written):
    assert scrub(written, [WORD], ["note"], patience_ms=50)
    with written.writing() as session:
        assert session.execute(text("PRAGMA busy_timeout")).scalar() == 10_000
        assert session.execute(text("PRAGMA secure_delete")).scalar() == 1


@pytest.mark.postgres
def test_on_postgresql_the_rows_are_freed(postgres_store):
    with postgres_store.writing() as session:
        session.execute(text("CREATE TABLE note (said TEXT)"))
        session.execute(text("INSERT INTO note VALUES (:said)"), {"said": WORD})
    with postgres_store.writing() as session:
        session.execute(text("DELETE FROM note"))
    assert scrub(postgres_store, [WORD], ["note", *PERSONAL_COLUMNS])
    with postgres_store.reading() as session:
        assert session.execute(text("SELECT pg_relation_size('note')")).scalar() == 0
