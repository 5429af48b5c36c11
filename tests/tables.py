"""Every table of a store as it really is, whichever models a test has loaded: read whole, and emptied."""

from typing import Any

from sqlalchemy import MetaData, Table
from sqlmodel import Session, SQLModel

from newsletter.database import Database


_TABLES: dict[str, list[Table]] = {}


def tables_of(session: Session) -> list[Table]:
    """Give the tables of a store; each comes after those that it refers to."""
    dialect = session.get_bind().dialect.name
    if dialect not in _TABLES:
        # Once a process: every store of a test is migrated to the same.
        found = MetaData()
        found.reflect(session.connection())
        _TABLES[dialect] = found.sorted_tables
    return _TABLES[dialect]


def everything(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Read every row of every table."""
    with database.reading() as session:
        return {
            table.name: [tuple(row) for row in session.execute(table.select().order_by(*table.primary_key.columns))]
            for table in tables_of(session)
        }


def empty(session: Session, model: type[SQLModel]) -> None:
    """Delete every row of a table and of all tables that refer to it, however far away; no command does so."""
    tables = tables_of(session)
    doomed = {str(model.__tablename__)}
    while more := {table.name for table in tables if doomed & _referred_to_by(table)} - doomed:
        doomed |= more
    for table in reversed(tables):
        if table.name in doomed:
            session.execute(table.delete())


def _referred_to_by(table: Table) -> set[str]:
    return {key.column.table.name for key in table.foreign_keys}
