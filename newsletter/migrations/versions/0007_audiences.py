"""Mailings to a part of a publication's readers."""

import sqlalchemy as sa
from alembic import op


revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    with op.batch_alter_table("mailing") as table:
        table.add_column(sa.Column("audience", sa.Text(), nullable=False, server_default=""))
