"""Opt-ins: the proof of consent, plans that end, pauses, tags and attributes, and hashes with several peppers."""

import sqlalchemy as sa
from alembic import op


revision = "0003"
down_revision = "0002"

_STATES = ("pending", "confirmed", "left", "lapsed")
_KINDS = (
    "asked",
    "confirm_sent",
    "added",
    "imported",
    "confirmed",
    "plan_changed",
    "paused",
    "resumed",
    "address_asked",
    "address_changed",
    "left",
    "reason_given",
    "returned",
    "lapsed",
    "erased",
)


def upgrade() -> None:
    _publication()
    _plan()
    _hashes()
    _subscription()
    _tags_and_attributes()
    _consent()
    _opt_in()
    for table in ("consent_text", "consent_event"):
        _append_only(table)


def _publication() -> None:
    with op.batch_alter_table("publication") as table:
        for name in ("frequency", "privacy_url", "privacy_version", "leave_mailbox"):
            table.add_column(sa.Column(name, sa.String(), nullable=False, server_default=""))
        table.add_column(sa.Column("consent_text", sa.Text(), nullable=False, server_default=""))


def _plan() -> None:
    with op.batch_alter_table("plan") as table:
        table.add_column(sa.Column("is_public", sa.Boolean(), nullable=False, server_default=sa.false()))
        table.add_column(sa.Column("upgrade_url", sa.String(), nullable=False, server_default=""))
        table.add_column(sa.Column("fallback", sa.String(length=40), nullable=False, server_default=""))
        table.add_column(sa.Column("grace_days", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("notice_days", sa.Integer(), nullable=False, server_default="7"))
    # Readers could give themselves no plan but the default one so far.
    plan = sa.table("plan", sa.column("is_public"), sa.column("position"), sa.column("publication_id"))
    first = plan.alias()
    lowest = sa.select(sa.func.min(first.c.position)).where(first.c.publication_id == plan.c.publication_id)
    op.execute(sa.update(plan).values(is_public=sa.true()).where(plan.c.position == lowest.scalar_subquery()))


def _hashes() -> None:
    op.create_table(
        "hash_key",
        sa.Column("id", sa.String(length=8), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "address_hash",
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.String(length=8), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["subscriber_id"], ["subscriber.id"], name="fk_address_hash_subscriber"),
        sa.PrimaryKeyConstraint("subscriber_id", "key_id"),
    )
    op.create_index("ix_address_hash_hash", "address_hash", ["hash"])
    op.execute(
        "INSERT INTO address_hash (subscriber_id, key_id, hash) "
        "SELECT id, hash_key_id, address_hash FROM subscriber WHERE address_hash IS NOT NULL"
    )
    op.execute(
        "INSERT INTO hash_key (id, created_at) SELECT hash_key_id, CURRENT_TIMESTAMP FROM "
        "(SELECT hash_key_id FROM subscriber UNION SELECT hash_key_id FROM suppression) AS used WHERE hash_key_id <> ''"
    )
    with op.batch_alter_table("subscriber") as table:
        table.drop_column("address_hash")
        table.drop_column("hash_key_id")


def _subscription() -> None:
    with op.batch_alter_table("subscription") as table:
        for name in ("asked_at", "paused_until"):
            table.add_column(sa.Column(name, sa.DateTime(timezone=True), nullable=True))
        for name in ("plan_until", "noticed_until"):
            table.add_column(sa.Column(name, sa.Date(), nullable=True))
    _allow_words("subscription", "state", "ck_subscription_state", _STATES)


def _tags_and_attributes() -> None:
    op.create_table(
        "subscription_tag",
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("tag", sa.String(length=60), nullable=False),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.id"], name="fk_subscription_tag_subscription"),
        sa.PrimaryKeyConstraint("subscription_id", "tag"),
    )
    op.create_index("ix_subscription_tag_tag", "subscription_tag", ["tag"])
    op.create_table(
        "attribute",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("publication_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "text",
                "number",
                "date",
                "yes_no",
                name="ck_attribute_kind",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["publication_id"], ["publication.id"], name="fk_attribute_publication"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("publication_id", "code", name="uq_attribute_code"),
    )
    op.create_table(
        "attribute_value",
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("attribute_id", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(length=200), nullable=True),
        sa.Column("number", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.id"], name="fk_attribute_value_subscription"),
        sa.ForeignKeyConstraint(["attribute_id"], ["attribute.id"], name="fk_attribute_value_attribute"),
        sa.PrimaryKeyConstraint("subscription_id", "attribute_id"),
    )
    op.create_index("ix_attribute_value_text", "attribute_value", ["attribute_id", "text"])
    op.create_index("ix_attribute_value_number", "attribute_value", ["attribute_id", "number"])


def _consent() -> None:
    op.create_table(
        "consent_text",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("publication_id", sa.Integer(), nullable=False),
        sa.Column("locale", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("privacy_url", sa.String(), nullable=False),
        sa.Column("privacy_version", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["publication_id"], ["publication.id"], name="fk_consent_text_publication"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("publication_id", "locale", "version", name="uq_consent_text_version"),
        sa.UniqueConstraint("publication_id", "sha256", name="uq_consent_text_sha256"),
    )
    with op.batch_alter_table("consent_event") as table:
        table.add_column(sa.Column("consent_text_id", sa.Integer(), nullable=True))
        table.add_column(sa.Column("frequency", sa.String(), nullable=False, server_default=""))
        table.add_column(sa.Column("locale", sa.String(length=20), nullable=False, server_default=""))
        table.create_foreign_key("fk_consent_event_text", "consent_text", ["consent_text_id"], ["id"])
    _allow_words("consent_event", "kind", "ck_consent_event_kind", _KINDS)
    op.create_table(
        "consent_evidence",
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("address_typed", sa.String(), nullable=False),
        sa.Column("address_before", sa.String(), nullable=False),
        sa.Column("ip", sa.String(), nullable=False),
        sa.Column("user_agent", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["consent_event.id"], name="fk_consent_evidence_event"),
        sa.ForeignKeyConstraint(["subscriber_id"], ["subscriber.id"], name="fk_consent_evidence_subscriber"),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index("ix_consent_evidence_subscriber_id", "consent_evidence", ["subscriber_id"])


def _opt_in() -> None:
    op.create_table(
        "opt_in",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "subscribe", "address", name="ck_opt_in_kind", native_enum=False, create_constraint=True, length=20
            ),
            nullable=False,
        ),
        sa.Column("publication_id", sa.Integer(), nullable=False),
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column("locale", sa.String(length=20), nullable=False, server_default=""),
        sa.Column("new_address", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["publication_id"], ["publication.id"], name="fk_opt_in_publication"),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.id"], name="fk_opt_in_subscription"),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_opt_in_plan"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_opt_in_subscription", "opt_in", ["subscription_id"])


def _allow_words(table: str, column: str, name: str, words: tuple[str, ...]) -> None:
    """Let a column hold other words than before. SQLite's rebuild of a table leaves its old check out by itself."""
    listed = ", ".join(f"'{word}'" for word in words)
    with op.batch_alter_table(table, recreate="auto") as batch:
        if op.get_bind().dialect.name == "postgresql":
            batch.drop_constraint(name, type_="check")
        batch.create_check_constraint(name, f"{column} IN ({listed})")


def _append_only(table: str) -> None:
    """Have the database itself refuse to change or delete rows. A migration that rebuilds the table says so anew."""
    refusal = f"{table} is append-only"
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE FUNCTION {table}_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{refusal}'; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_is_append_only()"
        )
        return
    for act in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_refuses_{act.lower()} BEFORE {act} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
        )
