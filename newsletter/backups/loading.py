"""A PostgreSQL backup loaded into a schema of its own, which then takes the place of the store's in one transaction."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from newsletter.backups.manifest import Manifest
from newsletter.backups.snapshots import columns_of, counts_of, require_balance, require_rows
from newsletter.database import Database
from newsletter.migrations import migrate


#: What the migrations keep for themselves.
_THEIRS = "alembic_version"


@contextmanager
def schema_of_its_own(database: Database, name: str) -> Iterator[Database]:
    """Give a store that lives in a new schema of the same database; the schema goes where an error leaves the block."""
    said = database.url.query.get("options", "")
    options = f"{said if isinstance(said, str) else ' '.join(said)} -csearch_path={name}".strip()
    _run(database, f'CREATE SCHEMA "{name}"')
    copy = Database(database.url.update_query_dict({"options": options}).render_as_string(hide_password=False))
    try:
        yield copy
    except BaseException:
        copy.close()
        _run(database, f'DROP SCHEMA IF EXISTS "{name}" CASCADE')
        raise
    finally:
        copy.close()


def load(copy: Database, manifest: Manifest, folder: Path) -> None:
    """Load the files of a backup into an empty store, in the shape that it was taken in, and look through it.

    Raises:
        Refused: The rows are not those of the backup, or the account of a mailing does not balance.
    """
    migrate(copy, to=manifest.revision)
    with copy.writer.connect() as connection, connection.begin():
        tables = [name for name in manifest.counts if name != _THEIRS]
        # What the triggers would write down is in the backup already; foreign keys are checked all the same.
        _triggers(connection, tables, "DISABLE")
        for name in tables:
            _copy_in(connection, name, folder / f"{name}.copy")
            _count_on(connection, name)
        _triggers(connection, tables, "ENABLE")
        require_rows(manifest.counts, counts_of(connection))
        require_balance(connection)


def take_its_place(database: Database, name: str, aside: str) -> None:
    """Rename the store's schema aside, and the new one to its name, at once."""
    with database.writer.connect() as connection, connection.begin():
        present = connection.execute(text("SELECT current_schema()")).scalar_one()
        connection.exec_driver_sql(f'ALTER SCHEMA "{present}" RENAME TO "{aside}"')
        connection.exec_driver_sql(f'ALTER SCHEMA "{name}" RENAME TO "{present}"')


def _copy_in(connection: Connection, name: str, file: Path) -> None:
    driver: Any = connection.connection.driver_connection
    copying = f'COPY "{name}" ({columns_of(connection, name)}) FROM STDIN'
    with file.open("rb") as opened, driver.cursor() as cursor, cursor.copy(copying) as rows:
        while piece := opened.read(1_000_000):
            rows.write(piece)


def _count_on(connection: Connection, name: str) -> None:
    """Let the next row of a table get the next number."""
    table: Mapping[str, str] = {"table": f'"{name}"'}
    column = text(
        "SELECT 1 FROM information_schema.columns WHERE table_schema = current_schema() "
        "AND table_name = :name AND column_name = 'id' AND column_default LIKE 'nextval%'"
    )
    if connection.execute(column, {"name": name}).first() is None:
        return
    last = connection.exec_driver_sql(f'SELECT max(id) FROM "{name}"').scalar()  # noqa: S608 - a name of our tables
    if last is not None:
        counted = text("SELECT setval(pg_get_serial_sequence(:table, 'id'), :last)")
        connection.execute(counted, {**table, "last": last})


def _triggers(connection: Connection, tables: list[str], switch: str) -> None:
    for name in tables:
        connection.exec_driver_sql(f'ALTER TABLE "{name}" {switch} TRIGGER USER')


def _run(database: Database, statement: str) -> None:
    with database.writer.connect() as connection, connection.begin():
        connection.exec_driver_sql(statement)
