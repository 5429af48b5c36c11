"""Alerts, and how the telling of each went by each way."""

import sqlalchemy as sa
from alembic import op


revision = "0010"
down_revision = "0009"

_KINDS = (
    "mailing_finished",
    "mailing_held",
    "mailing_halted",
    "surge",
    "blocked",
    "complaints_rising",
    "slot_empty",
    "trial",
)


def upgrade() -> None:
    op.create_table(
        "alert",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", _words(_KINDS, "ck_alert_kind"), nullable=False),
        sa.Column("about", sa.String(length=100), nullable=False),
        sa.Column("publication_id", sa.Integer(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("repeats", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["publication_id"], ["publication.id"], name="fk_alert_publication"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_alert_created", "alert", ["created_at"])
    op.create_table(
        "alert_post",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("way", sa.String(length=60), nullable=False),
        sa.Column("state", _words(("waiting", "told", "given_up"), "ck_alert_post_state"), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", sa.String(length=300), nullable=False, server_default=""),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], name="fk_alert_post_alert"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("alert_id", "way", name="uq_alert_post_way"),
    )
    op.create_index("ix_alert_post_waiting", "alert_post", ["state", "not_before"])


def _words(words: tuple[str, ...], name: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=20)
