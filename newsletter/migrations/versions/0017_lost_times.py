"""Times that restores lost, whose machine's clock holds the store, and the journal's line for a new address."""

import sqlalchemy as sa
from alembic import op


revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "lost_time",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.add_column("store_hold", sa.Column("machine", sa.String(length=32), nullable=False, server_default=""))
    op.add_column("journal_entry", sa.Column("hash_after", sa.String(length=64), nullable=False, server_default=""))
    # The table of hashes knows no time: the ledger's last word of the person is of the same moment.
    of_ledger = "(SELECT max(at) FROM consent_event WHERE subscriber_id = NEW.subscriber_id)"
    of_person = "(SELECT created_at FROM subscriber WHERE id = NEW.subscriber_id)"
    does = (
        "INSERT INTO journal_entry (what, key_id, hash, hash_after, at) "  # noqa: S608 - our words
        f"VALUES ('moved', OLD.key_id, OLD.hash, NEW.hash, COALESCE({of_ledger}, {of_person}))"
    )
    after, when = "UPDATE OF hash ON address_hash", "NEW.hash <> OLD.hash"
    if op.get_bind().dialect.name == "postgresql":
        body = f"$$ BEGIN {does}; RETURN NULL; END $$"
        op.execute(f"CREATE FUNCTION journal_moved() RETURNS trigger LANGUAGE plpgsql AS {body}")
        op.execute(
            f"CREATE TRIGGER journal_moved AFTER {after} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION journal_moved()"
        )
    else:
        op.execute(f"CREATE TRIGGER journal_moved AFTER {after} WHEN {when} BEGIN {does}; END")
