"""What the migrations make and what the models say are the same tables, on both databases."""

from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, Table
from sqlmodel import SQLModel

from newsletter import alerts as _alerts  # noqa: F401 - the same
from newsletter import hosts as _hosts  # noqa: F401 - the same
from newsletter import link_keys as _link_keys  # noqa: F401 - the same
from newsletter import outbox as _outbox  # noqa: F401 - the same
from newsletter import plan_calls as _plan_calls  # noqa: F401 - the same
from newsletter.database import Database
from newsletter.delivery import doubt_models as _doubts  # noqa: F401 - the same
from newsletter.delivery import models as _delivery  # noqa: F401 - registers its tables
from newsletter.delivery import panel as _panel  # noqa: F401 - the same
from newsletter.delivery import policies as _policies  # noqa: F401 - the same
from newsletter.delivery import reach as _reach  # noqa: F401 - the same
from newsletter.delivery import slot_models as _slots  # noqa: F401 - the same
from newsletter.delivery.models import Variant
from newsletter.delivery.variants import substitutions_of
from newsletter.errors import Misconfigured
from newsletter.feedback import models as _feedback  # noqa: F401 - the same
from newsletter.issues import models as _issues  # noqa: F401 - the same
from newsletter.journal import entries as _entries  # noqa: F401 - the same
from newsletter.migrations import migrate, require_current
from newsletter.rendering.personalisation import ReaderValues, values_by_tag
from subscribers import consent_models as _consent  # noqa: F401 - the same


#: People's tables know no publications: these foreign keys are made by the migration alone.
MADE_BY_THE_MIGRATION = {
    f"fk_{table}_publication"
    for table in ("plan", "subscription", "consent_event", "consent_text", "opt_in", "attribute", "suppression")
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


def test_a_variant_of_an_older_store_keeps_its_tags(tmp_path):
    """A mailing that was under way when the service was upgraded goes on with the tags its mail already holds."""
    store = Database(f"sqlite:///{tmp_path}/older.db")
    assert migrate(store, to="0001") == "0001"
    now = datetime(2026, 11, 23, tzinfo=UTC)
    made = {"created_at": now, "created_by": "x"}
    rows = {
        "publication": {"code": "w", "name": "n", "sender": "s", "reply_to": "", "site_url": "", "postal_address": ""}
        | {"time_zone": "UTC", "locale": "en", "created_at": now},
        "plan": {"publication_id": 1, "code": "free", "name": "", "position": 0, "created_at": now},
        "issue": {"publication_id": 1, "title": "t", **made},
        "revision": {"issue_id": 1, "number": 1, "source": "s", "sha256": "h", **made},
        "mailing": {"publication_id": 1, "issue_id": 1, "revision_id": 1, "state": "running", "state_reason": ""}
        | {"due_at": now, "again": False, "live": False, "freeze_until": 0, "freeze_cursor": 0}
        | {"candidates": 0, "recipients": 0, **made},
        "variant": {"mailing_id": 1, "plan_id": 1, "subject": "s", "preheader": "", "html": "h", "text": "t"}
        | {"nonce": "abcdefabcdef", "nameless": "reader", "sha256": "x"},
    }
    with store.writer.connect() as connection, connection.begin():
        for name, row in rows.items():
            table = Table(name, MetaData(), autoload_with=connection)
            known = {column: value for column, value in row.items() if column in table.columns}
            connection.execute(table.insert().values(id=1, **known))
    migrate(store)
    with store.reading() as session:
        substitutions = substitutions_of(session.get_one(Variant, 1))
    filled = values_by_tag(substitutions, ReaderValues("", "", "https://n.example.com/u/x", "", ""))
    assert filled == {
        "-abcdefabcdef.name.html-": "reader",
        "-abcdefabcdef.name.text-": "reader",
        "-abcdefabcdef.unsubscribe-": "https://n.example.com/u/x",
    }
    store.close()
