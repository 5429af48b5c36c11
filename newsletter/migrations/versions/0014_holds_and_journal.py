"""On which machine a store lives, and whether it may mail; its link keys; what goes to the journal and came from it."""

import sqlalchemy as sa
from alembic import op


revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "store_host",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("machine", sa.String(length=32), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "store_hold",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", _words(("restored", "moved", "retired", "clock"), "ck_store_hold_kind"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_by", sa.String(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "link_key",
        sa.Column("id", sa.String(length=8), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    _journal()
    _what_came_from_it()


def _journal() -> None:
    op.create_table(
        "journal_entry",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("what", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(), nullable=False, server_default=""),
        sa.Column("publication_id", sa.Integer(), nullable=True),
        sa.Column("key_id", sa.String(length=8), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    # By the database itself: a row that comes in by any way at all is written down in the same transaction, and with
    # the hash of that moment, which an erasure deletes a statement later.
    columns = "INSERT INTO journal_entry (what, reason, publication_id, key_id, hash, at)"
    of_people = (
        f"{columns} SELECT NEW.kind, NEW.source, NEW.publication_id, key_id, hash, NEW.at "  # noqa: S608 - our words
        "FROM address_hash WHERE subscriber_id = NEW.subscriber_id"
    )
    of_addresses = "NEW.reason, NEW.publication_id, NEW.hash_key_id, NEW.address_hash"
    _trigger("journal_people", "INSERT ON consent_event", "NEW.kind IN ('left', 'returned', 'confirmed')", of_people)
    _trigger(
        "journal_suppressed",
        "INSERT ON suppression",
        "NEW.lifted_at IS NULL",
        f"{columns} VALUES ('suppressed', {of_addresses}, NEW.created_at)",
    )
    _trigger(
        "journal_lifted",
        "UPDATE OF lifted_at ON suppression",
        "NEW.lifted_at IS NOT NULL AND OLD.lifted_at IS NULL",
        f"{columns} VALUES ('lifted', {of_addresses}, NEW.lifted_at)",
    )


def _trigger(name: str, after: str, when: str, does: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        body = f"$$ BEGIN {does}; RETURN NULL; END $$"
        op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS {body}")
        op.execute(f"CREATE TRIGGER {name} AFTER {after} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION {name}()")
    else:
        op.execute(f"CREATE TRIGGER {name} AFTER {after} WHEN {when} BEGIN {does}; END")


def _what_came_from_it() -> None:
    op.create_table(
        "journalled_issue",
        sa.Column("publication_id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("issue_key", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("publication_id", "sha256", "issue_key"),
    )
    op.create_table(
        "journalled_delivery",
        sa.Column("issue_key", sa.String(length=80), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("issue_key", "live", "hash"),
    )


def _words(words: tuple[str, ...], name: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=20)
