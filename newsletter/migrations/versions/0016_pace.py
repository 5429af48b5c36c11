"""The pace of a publication, how far a held lane was over its limits, an index to claim by, and kinds of alerts."""

import sqlalchemy as sa
from alembic import op


revision = "0016"
down_revision = "0015"

_NAME = "ck_alert_kind"
_BEFORE = (
    "mailing_finished",
    "mailing_held",
    "mailing_halted",
    "surge",
    "blocked",
    "complaints_rising",
    "slot_empty",
    "trial",
)
_NOW = (*_BEFORE, "provider_away", "key_refused", "lane_held", "superseded", "store_held")
_WAITS = sa.text("state IN ('ready', 'retry_wait')")


def upgrade() -> None:
    op.add_column("sending_policy", sa.Column("not_before", sa.DateTime(timezone=True), nullable=True))
    op.add_column("mailing_lane", sa.Column("excess", sa.Float(), nullable=False, server_default="0"))
    columns = ["mailing_id", "lane", "wave", "id"]
    op.create_index("ix_batch_claim", "batch", columns, sqlite_where=_WAITS, postgresql_where=_WAITS)
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(_NAME, "alert", type_="check")
        op.create_check_constraint(_NAME, "alert", sa.column("kind").in_(_NOW))
        return
    # SQLite builds the table anew; the condition comes with the type.
    with op.batch_alter_table("alert") as table:
        table.alter_column("kind", existing_type=_words(_BEFORE), type_=_words(_NOW), existing_nullable=False)


def _words(words: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*words, name=_NAME, native_enum=False, create_constraint=True, length=20)
