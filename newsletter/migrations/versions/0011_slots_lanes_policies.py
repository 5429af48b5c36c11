"""A mailing's slot, undo window and circuit; its lanes and waves; policies; issues that are ready."""

import sqlalchemy as sa
from alembic import op


revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "sending_policy",
        sa.Column("publication_id", sa.Integer(), nullable=False),
        sa.Column("said", sa.JSON(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["publication_id"], ["publication.id"], name="fk_sending_policy_publication"),
        sa.PrimaryKeyConstraint("publication_id"),
    )
    _mailings()
    _lanes()
    with op.batch_alter_table("issue") as issue:
        issue.add_column(sa.Column("ready_revision_id", sa.Integer(), nullable=True))
        issue.add_column(sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True))
        issue.add_column(sa.Column("ready_by", sa.String(), nullable=False, server_default=""))


def _mailings() -> None:
    with op.batch_alter_table("mailing") as mailing:
        mailing.add_column(sa.Column("occurrence", sa.Date(), nullable=True))
        mailing.add_column(sa.Column("first_call_at", sa.DateTime(timezone=True), nullable=True))
        mailing.add_column(sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
        mailing.add_column(sa.Column("away_since", sa.DateTime(timezone=True), nullable=True))
        mailing.add_column(sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True))
        mailing.create_unique_constraint("uq_mailing_occurrence", ["publication_id", "occurrence", "live"])


def _lanes() -> None:
    op.add_column("batch", sa.Column("wave", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "mailing_lane",
        sa.Column("mailing_id", sa.Integer(), nullable=False),
        sa.Column("lane", sa.String(length=40), nullable=False),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("wave_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("held_for", sa.Text(), nullable=False, server_default=""),
        sa.Column("released_by", sa.String(), nullable=False, server_default=""),
        sa.ForeignKeyConstraint(["mailing_id"], ["mailing.id"], name="fk_mailing_lane_mailing"),
        sa.PrimaryKeyConstraint("mailing_id", "lane"),
    )
    # Mailings that are under way go on as they were: everything at once.
    op.execute("INSERT INTO mailing_lane (mailing_id, lane, wave) SELECT DISTINCT mailing_id, lane, 0 FROM batch")
