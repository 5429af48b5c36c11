"""Mails with a theme: what a publication's mails show, the tags of a variant, and blockers that were overridden."""

import json

import sqlalchemy as sa
from alembic import op


revision = "0002"
down_revision = "0001"

_ADDRESSES = ("subscribe_url", "upgrade_url", "logo_url", "brand_color")


def upgrade() -> None:
    with op.batch_alter_table("publication") as table:
        for name in _ADDRESSES:
            table.add_column(sa.Column(name, sa.String(), nullable=False, server_default=""))
        table.add_column(sa.Column("standing_footer", sa.Text(), nullable=False, server_default=""))
    with op.batch_alter_table("mailing") as table:
        table.add_column(sa.Column("overrides", sa.JSON(), nullable=False, server_default="[]"))
    with op.batch_alter_table("variant") as table:
        table.add_column(sa.Column("substitutions", sa.JSON(), nullable=False, server_default="[]"))
    _carry_tags_over()
    with op.batch_alter_table("variant") as table:
        table.alter_column("substitutions", server_default=None)
        table.drop_column("nonce")
        table.drop_column("nameless")


def _carry_tags_over() -> None:
    """Say of each stored variant which tags stand in it: those that version 0001 wrote."""
    variant = sa.table(
        "variant", sa.column("id"), sa.column("nonce"), sa.column("nameless"), sa.column("substitutions", sa.String())
    )
    connection = op.get_bind()
    for row in connection.execute(sa.select(variant.c.id, variant.c.nonce, variant.c.nameless)):
        tags = [
            {"tag": f"-{row.nonce}.name.html-", "field": "name", "place": "html", "default": row.nameless},
            {"tag": f"-{row.nonce}.name.text-", "field": "name", "place": "text", "default": row.nameless},
            {"tag": f"-{row.nonce}.unsubscribe-", "field": "unsubscribe_url", "place": "text", "default": ""},
        ]
        mine = variant.c.id == row.id
        typed = sa.cast(json.dumps(tags), sa.JSON()) if connection.dialect.name == "postgresql" else json.dumps(tags)
        connection.execute(sa.update(variant).where(mine).values(substitutions=typed))
