"""The archive: publications that search engines should leave out, and issues that were retracted."""

import sqlalchemy as sa
from alembic import op


revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.batch_alter_table("publication") as table:
        table.add_column(sa.Column("noindex", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("issue") as table:
        table.add_column(sa.Column("retracted_at", sa.DateTime(timezone=True), nullable=True))
        table.add_column(sa.Column("retracted_by", sa.String(), nullable=False, server_default=""))
