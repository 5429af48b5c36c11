"""The outbox: notices that wait to leave."""

import sqlalchemy as sa
from alembic import op


revision = "0005"
down_revision = "0004"

_KINDS = (
    "confirm",
    "already_subscribed",
    "welcome",
    "goodbye",
    "sign_in",
    "read_again",
    "confirm_address",
    "address_changed",
    "renewal",
    "plan_changed",
)
_STATES = ("waiting", "sending", "accepted", "unknown", "refused", "dropped")


def upgrade() -> None:
    op.create_table(
        "notice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", _words(_KINDS, "ck_notice_kind"), nullable=False),
        sa.Column("publication_id", sa.Integer(), nullable=False),
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("opt_in_id", sa.Integer(), nullable=True),
        sa.Column("bucket", sa.String(length=64), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("locale", sa.String(length=20), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("state", _words(_STATES, "ck_notice_state"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("call_id", sa.String(length=22), nullable=False, server_default=""),
        sa.Column("text_sha256", sa.String(length=64), nullable=False, server_default=""),
        sa.Column("message_id", sa.String(length=120), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["publication_id"], ["publication.id"], name="fk_notice_publication"),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.id"], name="fk_notice_subscription"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_notice_work", "notice", ["state", "not_before"])
    op.create_index("ix_notice_bucket", "notice", ["bucket", "created_at"])
    op.create_index("ix_notice_subscription", "notice", ["subscription_id"])


def _words(words: tuple[str, ...], name: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=20)
