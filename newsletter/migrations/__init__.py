"""Migrations: how a store comes to the shape that this version of the service knows. Beside the floors.

`newsletter init` runs them. On SQLite a rebuild of a table under ``ON DELETE CASCADE`` would delete its children
without a word, so foreign keys are off meanwhile, everything is one transaction, and every key is checked before it
commits.
On PostgreSQL an advisory lock lets one machine migrate at a time.
"""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from newsletter.database import Database
from newsletter.errors import Misconfigured


#: Any number that nothing else of ours locks by; all migrating machines must agree on it.
ADVISORY_LOCK = 7_166_271


def migrate(database: Database, to: str = "head") -> str:
    """Bring the store to the newest shape, or to an older one's, whole or not at all; give back its revision.

    Raises:
        Misconfigured: The store was written by a newer version of the service, or the result breaks a foreign key.
    """
    with database.writer.connect() as connection:
        if not database.is_sqlite:
            with connection.begin():
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
                return _upgrade(connection, to)
        _foreign_keys(connection, "OFF")
        try:
            with connection.begin():
                revision = _upgrade(connection, to)
                _check_foreign_keys(connection)
                return revision
        finally:
            _foreign_keys(connection, "ON")


def require_current(database: Database) -> None:
    """Refuse a store that is not of this version's shape.

    Raises:
        Misconfigured: It is empty, older or newer; the sentence says what to do.
    """
    with database.reader.connect() as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None:
        raise Misconfigured(f"the database {_shown(database)} is empty: create it with `newsletter init`")
    _refuse_newer(revision)
    if revision != _revisions()[0]:
        raise Misconfigured(f"the database {_shown(database)} is older than this version: run `newsletter init`")


def _upgrade(connection: Connection, to: str) -> str:
    if revision := MigrationContext.configure(connection).get_current_revision():
        _refuse_newer(revision)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, to)
    return str(MigrationContext.configure(connection).get_current_revision())


def require_known(revision: str) -> None:
    """Refuse a shape that this version does not know.

    Raises:
        Misconfigured: A newer version of the service made it.
    """
    _refuse_newer(revision)


def _refuse_newer(revision: str) -> None:
    if revision not in _revisions():
        raise Misconfigured(
            f"the database was written by a newer version of the service (revision {revision}): "
            "install that version, or restore a backup from before it"
        )


def _check_foreign_keys(connection: Connection) -> None:
    if broken := connection.execute(text("PRAGMA foreign_key_check")).all():
        raise Misconfigured(f"the migration would break {len(broken)} foreign keys, first {broken[0]}; it was undone")


def _foreign_keys(connection: Connection, switch: str) -> None:
    # On the driver's own connection: inside a transaction SQLite ignores this pragma silently.
    driver = connection.connection.driver_connection
    if driver is not None:
        driver.execute(f"PRAGMA foreign_keys = {switch}")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    return config


@cache
def _revisions() -> tuple[str, ...]:
    """List what this version knows, the newest first; reading them takes longer than most commands' work."""
    return tuple(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def _shown(database: Database) -> str:
    return database.url.render_as_string(hide_password=True)
