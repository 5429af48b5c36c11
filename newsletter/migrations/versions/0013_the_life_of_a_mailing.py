"""The test panel, and corrections."""

import sqlalchemy as sa
from alembic import op


revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    _panel()
    op.create_table(
        "correction",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("issue_id", sa.Integer(), nullable=False),
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["issue_id"], ["issue.id"], name="fk_correction_issue"),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name="fk_correction_revision"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_correction_issue", "correction", ["issue_id"])
    with op.batch_alter_table("mailing") as mailing:
        mailing.add_column(sa.Column("correction_id", sa.Integer(), nullable=True))
        mailing.add_column(sa.Column("section", sa.Text(), nullable=False, server_default=""))
        mailing.create_foreign_key("fk_mailing_correction", "correction", ["correction_id"], ["id"])


def _panel() -> None:
    op.create_table(
        "panel_address",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("publication_id", sa.Integer(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("plan", sa.String(), nullable=False),
        sa.Column("client", sa.String(length=80), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("added_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["publication_id"], ["publication.id"], name="fk_panel_address_publication"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("publication_id", "client", name="uq_panel_address_client"),
    )
    op.create_table(
        "panel_look",
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("panel_address_id", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("looked_right", sa.Boolean(), nullable=True),
        sa.Column("by", sa.String(), nullable=False, server_default=""),
        sa.Column("note", sa.Text(), nullable=False, server_default=""),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name="fk_panel_look_revision"),
        sa.ForeignKeyConstraint(
            ["panel_address_id"], ["panel_address.id"], name="fk_panel_look_address", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("revision_id", "panel_address_id"),
    )
