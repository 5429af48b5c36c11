"""Suppressions of addresses whose owners have moved to another one."""

import sqlalchemy as sa
from alembic import op


revision = "0008"
down_revision = "0007"

_NAME = "ck_suppression_reason"
_BEFORE = ("hard_bounce", "soft_bounces", "complaint", "unsubscribed", "operator", "imported", "invalid", "erased")
_NOW = (*_BEFORE, "moved")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(_NAME, "suppression", type_="check")
        op.create_check_constraint(_NAME, "suppression", sa.column("reason").in_(_NOW))
        return
    # SQLite builds the table anew; the condition comes with the type.
    with op.batch_alter_table("suppression") as table:
        table.alter_column("reason", existing_type=_words(_BEFORE), type_=_words(_NOW), existing_nullable=False)


def _words(words: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*words, name=_NAME, native_enum=False, create_constraint=True, length=20)
