"""Doubts: who was in a request of unknown outcome, when events came, what was looked up, and who settled it."""

import sqlalchemy as sa
from alembic import op


revision = "0015"
down_revision = "0014"

_DECISIONS = ("event", "look_up", "answer", "accepted", "resend", "give_up", "asked")
_FINDINGS = ("found", "not_found", "cannot_know", "no_record")


def upgrade() -> None:
    op.create_table(
        "doubt",
        sa.Column("delivery_id", sa.Integer(), nullable=False),
        sa.Column("attempt_id", sa.String(length=22), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.id"], name="fk_doubt_delivery"),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], name="fk_doubt_attempt"),
        sa.PrimaryKeyConstraint("delivery_id", "attempt_id"),
    )
    op.create_index("ix_doubt_attempt", "doubt", ["attempt_id"])
    op.create_table(
        "settlement",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("batch_id", sa.Integer(), nullable=False),
        sa.Column("attempt_id", sa.String(length=22), nullable=False),
        sa.Column("decision", _words(_DECISIONS, "ck_settlement_decision"), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False, server_default=""),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name="fk_settlement_batch"),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], name="fk_settlement_attempt"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("attempt_id", "decision", name="uq_settlement_decision"),
    )
    op.create_index("ix_settlement_batch", "settlement", ["batch_id"])
    op.create_table(
        "event_minute",
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("minute"),
    )
    op.create_table(
        "look_up",
        sa.Column("attempt_id", sa.String(length=22), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finding", _words(_FINDINGS, "ck_look_up_finding"), nullable=False),
        sa.Column("said", sa.Text(), nullable=False, server_default=""),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], name="fk_look_up_attempt"),
        sa.PrimaryKeyConstraint("attempt_id"),
    )
    op.create_index("ix_look_up_asked", "look_up", ["asked_at"])


def _words(words: tuple[str, ...], name: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=20)
