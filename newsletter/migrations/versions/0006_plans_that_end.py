"""Plans that end, found without looking through everybody; and the calls of a payment system that change plans."""

import sqlalchemy as sa
from alembic import op


revision = "0006"
down_revision = "0005"

_ENDS = sa.text("plan_until IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "ix_subscription_plan_until",
        "subscription",
        ["plan_id", "plan_until"],
        sqlite_where=_ENDS,
        postgresql_where=_ENDS,
    )
    op.create_table(
        "plan_call",
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
