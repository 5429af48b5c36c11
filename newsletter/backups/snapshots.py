"""A store copied as of one moment while others write, and looked through before anybody relies on the copy."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, Table, func, text
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from newsletter.database import Database, make_private, sqlite_module
from newsletter.delivery.accounts import account_of
from newsletter.delivery.models import Mailing
from newsletter.errors import Refused


#: Pages copied between two movements of the bar.
PAGES = 2000
STORE = "store.db"

Moved = Callable[[int, int], object]


def copy_sqlite(database: Database, folder: Path, moved: Moved) -> tuple[Path, dict[str, int]]:
    """Copy an SQLite store by its online backup; give the file and the rows of each table at that moment.

    Args:
        database: The store; others may write to it meanwhile.
        folder: Where the copy goes.
        moved: Told how many pages are done, of how many.

    Raises:
        Refused: The copy is not what was copied.
    """
    copy = folder / STORE
    make_private(copy)
    with database.reader.connect() as connection, closing(sqlite_module().connect(copy)) as target:
        # The transaction is the snapshot: without one the copying would begin anew with every write of others.
        counts = counts_of(connection)
        source: Any = connection.connection.driver_connection
        source.backup(target, pages=PAGES, progress=lambda _, left, total: moved(total - left, total))
        # As one file, without a log of its own beside it.
        target.execute("PRAGMA journal_mode = DELETE")
    verify_sqlite(copy, counts)
    return copy, counts


def verify_sqlite(file: Path, counts: Mapping[str, int]) -> None:
    """Look through a copy: its pages, its foreign keys, its rows, and the account of every mailing.

    Raises:
        Refused: Something of it is not right; the sentence says what.
    """
    database = Database(f"sqlite:///{file}")
    try:
        with database.reader.connect() as connection:
            integrity = str(connection.execute(text("PRAGMA integrity_check(1)")).scalar())
            if integrity != "ok":
                raise Refused(f"the copy is damaged: {integrity}")
            if broken := connection.execute(text("PRAGMA foreign_key_check")).first():
                raise Refused(f"in the copy a row points at nothing: {tuple(broken)}")
            require_rows(counts, counts_of(connection))
            require_balance(connection)
    finally:
        database.close()


def copy_postgres(database: Database, folder: Path, moved: Moved) -> tuple[list[Path], dict[str, int]]:
    """Copy a PostgreSQL store, a file a table, in one snapshot; give the files and the rows of each table.

    Raises:
        Refused: The account of a mailing does not balance.
    """
    engine = database.reader.execution_options(isolation_level="REPEATABLE READ")
    files = []
    with engine.connect() as connection:
        counts = counts_of(connection)
        require_balance(connection)
        driver: Any = connection.connection.driver_connection
        for number, name in enumerate(counts, start=1):
            file = folder / f"{name}.copy"
            make_private(file)
            copying = f'COPY "{name}" ({columns_of(connection, name)}) TO STDOUT'
            with file.open("wb") as opened, driver.cursor() as cursor, cursor.copy(copying) as rows:
                opened.writelines(rows)
            files.append(file)
            moved(number, len(counts))
    require_rows(counts, {file.stem: lines_in(file) for file in files})
    return files, counts


def columns_of(connection: Connection, name: str) -> str:
    """Give the columns of a table as COPY takes them, in the order of their names, which no migration changes."""
    table = Table(name, MetaData(), autoload_with=connection)
    return ", ".join(f'"{column}"' for column in sorted(table.columns.keys()))


def lines_in(file: Path) -> int:
    """Count the rows in a file of COPY: it writes a line a row, and line ends in values as two characters."""
    with file.open("rb") as opened:
        return sum(1 for _ in opened)


def counts_of(connection: Connection) -> dict[str, int]:
    """Count the rows of every table, those first that others point at."""
    metadata = MetaData()
    metadata.reflect(connection)
    return {
        table.name: connection.execute(select_columns(func.count()).select_from(table)).scalar_one()
        for table in metadata.sorted_tables
    }


def size_of(database: Database) -> int:
    """Tell about how many bytes a copy of a store has."""
    sizes = (
        "SELECT (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size)"
        if database.is_sqlite
        else "SELECT coalesce(sum(pg_table_size(oid)), 0)::bigint FROM pg_class "
        "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
    )
    with database.reader.connect() as connection:
        return int(connection.execute(text(sizes)).scalar_one())


def revision_of(database: Database) -> str:
    """Give the migration that a store is at."""
    with database.reader.connect() as connection:
        return str(MigrationContext.configure(connection).get_current_revision())


def require_balance(connection: Connection) -> None:
    """Refuse a store in which the account of a mailing does not balance.

    Raises:
        Refused: The sentence names the mailing.
    """
    with Session(connection) as session:
        for mailing in session.exec(select(Mailing).order_by(col(Mailing.id))):
            if not (account := account_of(session, mailing)).balances:
                raise Refused(f"the account of mailing {mailing.id} does not balance: {account.standing.line()}")


def require_rows(expected: Mapping[str, int], found: Mapping[str, int]) -> None:
    """Refuse a copy whose tables do not hold as many rows as they should.

    Raises:
        Refused: The sentence names them.
    """
    if wrong := [name for name, count in expected.items() if found.get(name) != count]:
        said = ", ".join(f"{name} ({found.get(name, 0):,} instead of {expected[name]:,})" for name in wrong)
        raise Refused(f"the copy does not hold the rows of the store: {said}")
