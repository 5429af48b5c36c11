"""A kind of alert: calls that this machine could not make; told as a held mailing until now."""

import sqlalchemy as sa
from alembic import op


revision = "0021"
down_revision = "0020"

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
    "provider_away",
    "key_refused",
    "lane_held",
    "superseded",
    "store_held",
    "disk_full",
    "notices_refused",
    "account_changed",
    "event_stepped_over",
    "lists_refused",
    "request_refused",
)
_NOW = (*_BEFORE, "calls_not_made")


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(_NAME, "alert", type_="check")
        op.create_check_constraint(_NAME, "alert", sa.column("kind").in_(_NOW))
        return
    # SQLite builds the table anew; the condition comes with the type.
    with op.batch_alter_table("alert") as table:
        table.alter_column("kind", existing_type=_words(_BEFORE), type_=_words(_NOW), existing_nullable=False)


def _words(words: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*words, name=_NAME, native_enum=False, create_constraint=True, length=20)
