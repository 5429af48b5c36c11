"""Every table of a store as it really is, whichever models a test has loaded: read whole, and emptied."""

from sqlalchemy import MetaData, Row, Table
from sqlmodel import Session, SQLModel


def tables_of(session: Session) -> list[Table]:
    """Give the tables of a store; each comes after those that it refers to."""
    found = MetaData()
    found.reflect(session.connection())
    return found.sorted_tables


def rows_of(session: Session) -> list[Row]:
    """Give every row of every table."""
    return [row for table in tables_of(session) for row in session.execute(table.select())]


def empty(session: Session, model: type[SQLModel]) -> None:
    """Delete every row of a table and of all tables that refer to it, however far away: no command of ours does that."""
    tables = tables_of(session)
    doomed = {str(model.__tablename__)}
    while more := {table.name for table in tables if doomed & _referred_to_by(table)} - doomed:
        doomed |= more
    for table in reversed(tables):
        if table.name in doomed:
            session.execute(table.delete())


def _referred_to_by(table: Table) -> set[str]:
    return {key.column.table.name for key in table.foreign_keys}
