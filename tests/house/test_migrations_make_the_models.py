"""What the migrations make and what the models say are the same tables, on both databases."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from newsletter.delivery import models as _delivery  # noqa: F401 - registers its tables
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
