"""Plans that end are found without looking through everybody."""

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
