"""What the migrations make and what the models say are the same tables, on both databases."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from newsletter.database import Database
from newsletter.delivery import models as _delivery  # noqa: F401 - registers its tables
from newsletter.errors import Misconfigured
from newsletter.issues import models as _issues  # noqa: F401 - the same
from newsletter.migrations import migrate, require_current


#: People's tables know no publications: these foreign keys are made by the migration alone.
MADE_BY_THE_MIGRATION = {
    f"fk_{table}_publication" for table in ("plan", "subscription", "consent_event", "suppression")
}


def test_the_migrations_make_what_the_models_say(store):
    with store.writer.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, SQLModel.metadata)
    unexpected = [one for one in differences if not (one[0] == "remove_fk" and one[1].name in MADE_BY_THE_MIGRATION)]
    assert unexpected == []


def test_migrating_again_changes_nothing(store):
    before = migrate(store)
    assert migrate(store) == before
    require_current(store)


def test_foreign_keys_are_on_again_after_a_migration(sqlite_store):
    migrate(sqlite_store)
    with sqlite_store.writer.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_store_without_tables_is_told_apart_from_a_newer_one(tmp_path):
    empty = Database(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(Misconfigured, match="newsletter init"):
        require_current(empty)
    migrate(empty)
    with empty.writing() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = 'ffff'")
    for check in (require_current, migrate):
        with pytest.raises(Misconfigured, match="newer version"):
            check(empty)
    empty.close()


def test_an_orphan_that_a_migration_leaves_undoes_it(tmp_path):
    """What a rebuild loses under switched-off keys is found before it commits."""
    store = Database(f"sqlite:///{tmp_path}/orphan.db")
    migrate(store)
    with store.writer.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA foreign_keys = OFF")
        driver.execute("INSERT INTO plan_inclusion VALUES (1, 2)")
    with pytest.raises(Misconfigured, match="2 foreign keys"):
        migrate(store)
    store.close()
