"""The first tables: people, issues, and the ledger of delivery in its final shape.

The foreign keys from people to publications are made here: the people's package knows no publications.
"""

import sqlalchemy as sa
from alembic import op


revision = "0001"
down_revision = None


def upgrade() -> None:
    _publication()
    _plan()
    _subscriber()
    _suppression()
    _issue()
    _plan_inclusion()
    _subscription()
    _consent_event()
    _revision()
    _mailing()
    _exclusion()
    _variant()
    _batch()
    _attempt()
    _delivery()


def _publication() -> None:
    op.create_table(
        "publication",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("reply_to", sa.String(), nullable=False),
        sa.Column("site_url", sa.String(), nullable=False),
        sa.Column("postal_address", sa.String(), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("locale", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code", name="uq_publication_code"),
    )


def _plan() -> None:
    op.create_table(
        "plan",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("publication_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["publication_id"], ["publication.id"], name="fk_plan_publication"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("publication_id", "code", name="uq_plan_code"),
    )


def _subscriber() -> None:
    op.create_table(
        "subscriber",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("address_typed", sa.String(length=320), nullable=True),
        sa.Column("email", sa.String(length=320), nullable=True),
        sa.Column("address_key", sa.String(length=320), nullable=True),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("address_hash", sa.String(length=64), nullable=True),
        sa.Column("hash_key_id", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("locale", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("address_key", name="uq_subscriber_address_key"),
    )


def _suppression() -> None:
    op.create_table(
        "suppression",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("publication_id", sa.Integer(), nullable=True),
        sa.Column("address_hash", sa.String(length=64), nullable=False),
        sa.Column("hash_key_id", sa.String(length=8), nullable=False),
        sa.Column(
            "reason",
            sa.Enum(
                "hard_bounce",
                "soft_bounces",
                "complaint",
                "unsubscribed",
                "operator",
                "imported",
                "invalid",
                "erased",
                name="ck_suppression_reason",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["publication_id"], ["publication.id"], name="fk_suppression_publication"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("suppression", schema=None) as batch_op:
        batch_op.create_index("ix_suppression_address_hash", ["address_hash"], unique=False)
        batch_op.create_index(
            "uq_suppression_everywhere",
            ["address_hash", "reason"],
            unique=True,
            sqlite_where=sa.text("lifted_at IS NULL AND publication_id IS NULL"),
            postgresql_where=sa.text("lifted_at IS NULL AND publication_id IS NULL"),
        )
        batch_op.create_index(
            "uq_suppression_publication",
            ["publication_id", "address_hash", "reason"],
            unique=True,
            sqlite_where=sa.text("lifted_at IS NULL AND publication_id IS NOT NULL"),
            postgresql_where=sa.text("lifted_at IS NULL AND publication_id IS NOT NULL"),
        )


def _issue() -> None:
    op.create_table(
        "issue",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("publication_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["publication_id"], ["publication.id"], name="fk_issue_publication"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("issue", schema=None) as batch_op:
        batch_op.create_index("ix_issue_publication", ["publication_id"], unique=False)


def _plan_inclusion() -> None:
    op.create_table(
        "plan_inclusion",
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column("included_plan_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["included_plan_id"], ["plan.id"], name="fk_plan_inclusion_included"),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_plan_inclusion_plan"),
        sa.PrimaryKeyConstraint("plan_id", "included_plan_id"),
    )


def _subscription() -> None:
    op.create_table(
        "subscription",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("publication_id", sa.Integer(), nullable=False),
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "pending",
                "confirmed",
                "left",
                name="ck_subscription_state",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("unsubscribe_id", sa.String(length=22), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_subscription_plan"),
        sa.ForeignKeyConstraint(["subscriber_id"], ["subscriber.id"], name="fk_subscription_subscriber"),
        sa.ForeignKeyConstraint(["publication_id"], ["publication.id"], name="fk_subscription_publication"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("subscriber_id", "publication_id", name="uq_subscription_subscriber"),
        sa.UniqueConstraint("unsubscribe_id", name="uq_subscription_unsubscribe_id"),
    )
    with op.batch_alter_table("subscription", schema=None) as batch_op:
        batch_op.create_index("ix_subscription_publication", ["publication_id", "id"], unique=False)


def _consent_event() -> None:
    op.create_table(
        "consent_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("publication_id", sa.Integer(), nullable=False),
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "asked",
                "added",
                "imported",
                "confirmed",
                "plan_changed",
                "left",
                "returned",
                name="ck_consent_event_kind",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_consent_event_plan"),
        sa.ForeignKeyConstraint(["subscriber_id"], ["subscriber.id"], name="fk_consent_event_subscriber"),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.id"], name="fk_consent_event_subscription"),
        sa.ForeignKeyConstraint(["publication_id"], ["publication.id"], name="fk_consent_event_publication"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("consent_event", schema=None) as batch_op:
        batch_op.create_index("ix_consent_event_subscription", ["subscription_id"], unique=False)


def _revision() -> None:
    op.create_table(
        "revision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["issue_id"], ["issue.id"], name="fk_revision_issue"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("issue_id", "number", name="uq_revision_number"),
        sa.UniqueConstraint("issue_id", "sha256", name="uq_revision_source"),
    )


def _mailing() -> None:
    op.create_table(
        "mailing",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("publication_id", sa.Integer(), nullable=False),
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "draft",
                "scheduled",
                "freezing",
                "running",
                "finished",
                "paused",
                "held",
                "halted",
                "cancelled",
                name="ck_mailing_state",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("state_reason", sa.String(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("again", sa.Boolean(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("freeze_until", sa.Integer(), nullable=False),
        sa.Column("freeze_cursor", sa.Integer(), nullable=False),
        sa.Column("candidates", sa.Integer(), nullable=False),
        sa.Column("recipients", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["issue_id"], ["issue.id"], name="fk_mailing_issue"),
        sa.ForeignKeyConstraint(["publication_id"], ["publication.id"], name="fk_mailing_publication"),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name="fk_mailing_revision"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("mailing", schema=None) as batch_op:
        batch_op.create_index("ix_mailing_issue", ["issue_id"], unique=False)
        batch_op.create_index("ix_mailing_state", ["state", "due_at"], unique=False)


def _exclusion() -> None:
    op.create_table(
        "exclusion",
        sa.Column("mailing_id", sa.Integer(), nullable=False),
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["mailing_id"], ["mailing.id"], name="fk_exclusion_mailing"),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.id"], name="fk_exclusion_subscription"),
        sa.PrimaryKeyConstraint("mailing_id", "subscription_id"),
    )


def _variant() -> None:
    op.create_table(
        "variant",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("mailing_id", sa.Integer(), nullable=False),
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("preheader", sa.String(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("nameless", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["mailing_id"], ["mailing.id"], name="fk_variant_mailing"),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name="fk_variant_plan"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("mailing_id", "plan_id", name="uq_variant_plan"),
    )


def _batch() -> None:
    op.create_table(
        "batch",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("mailing_id", sa.Integer(), nullable=False),
        sa.Column("variant_id", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("lane", sa.String(length=40), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "ready",
                "claimed",
                "submitting",
                "accepted",
                "retry_wait",
                "unknown",
                "rejected",
                "held",
                "split",
                "cancelled",
                "given_up",
                name="ck_batch_state",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("state_reason", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["mailing_id"], ["mailing.id"], name="fk_batch_mailing"),
        sa.ForeignKeyConstraint(["parent_id"], ["batch.id"], name="fk_batch_parent"),
        sa.ForeignKeyConstraint(["variant_id"], ["variant.id"], name="fk_batch_variant"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("batch", schema=None) as batch_op:
        batch_op.create_index("ix_batch_mailing", ["mailing_id", "state"], unique=False)
        batch_op.create_index("ix_batch_work", ["state", "not_before"], unique=False)


def _attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("submitting_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "ending",
            sa.Enum(
                "never_left",
                "accepted",
                "throttled",
                "recipients_refused",
                "too_large",
                "unauthorised",
                "ambiguous",
                "refused",
                name="ck_attempt_ending",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=True,
        ),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("message_id", sa.String(length=120), nullable=True),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name="fk_attempt_batch"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("batch_id", "number", name="uq_attempt_number"),
    )
    with op.batch_alter_table("attempt", schema=None) as batch_op:
        batch_op.create_index("ix_attempt_message", ["message_id"], unique=False)


def _delivery() -> None:
    op.create_table(
        "delivery",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("mailing_id", sa.Integer(), nullable=False),
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.Integer(), nullable=True),
        sa.Column(
            "difference",
            sa.Enum(
                "skipped",
                "rejected",
                "moved",
                "proven",
                name="ck_delivery_difference",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=True,
        ),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("may_have_reached", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name="fk_delivery_batch"),
        sa.ForeignKeyConstraint(["issue_id"], ["issue.id"], name="fk_delivery_issue"),
        sa.ForeignKeyConstraint(["mailing_id"], ["mailing.id"], name="fk_delivery_mailing"),
        sa.ForeignKeyConstraint(["subscriber_id"], ["subscriber.id"], name="fk_delivery_subscriber"),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.id"], name="fk_delivery_subscription"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("mailing_id", "subscriber_id", name="uq_delivery_subscriber"),
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index("ix_delivery_batch", ["mailing_id", "batch_id"], unique=False)
        batch_op.create_index(
            "uq_delivery_once_an_issue",
            ["issue_id", "subscriber_id", "live", "round"],
            unique=True,
            sqlite_where=sa.text("may_have_reached = 1"),
            postgresql_where=sa.text("may_have_reached"),
        )
