"""Weekly slots with their exceptions; what an approval overrode, and since when a mailing's issue was ready."""

import sqlalchemy as sa
from alembic import op


revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "slot",
        sa.Column("publication_id", sa.Integer(), nullable=False),
        sa.Column("weekday", sa.Integer(), nullable=False),
        sa.Column("at", sa.Time(), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["publication_id"], ["publication.id"], name="fk_slot_publication"),
        sa.PrimaryKeyConstraint("publication_id"),
    )
    op.create_table(
        "slot_exception",
        sa.Column("publication_id", sa.Integer(), nullable=False),
        sa.Column("planned", sa.Date(), nullable=False),
        sa.Column("moved_date", sa.Date(), nullable=True),
        sa.Column("moved_time", sa.Time(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["publication_id"], ["publication.id"], name="fk_slot_exception_publication"),
        sa.PrimaryKeyConstraint("publication_id", "planned"),
    )
    op.add_column("issue", sa.Column("ready_overrides", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("mailing", sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True))
