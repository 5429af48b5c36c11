"""When a delivery was first put off, in the place of a row for each time; and kinds of alerts."""

import sqlalchemy as sa
from alembic import op


revision = "0017"
down_revision = "0016"

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
)
_NOW = (*_BEFORE, "account_changed", "event_stepped_over", "lists_refused")


def upgrade() -> None:
    op.add_column("delivery_outcome", sa.Column("deferred_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "UPDATE delivery_outcome SET deferred_at = put_off.at FROM (SELECT delivery_id, min(at) AS at "
        "FROM feedback_event WHERE kind = 'deferred' GROUP BY delivery_id) AS put_off "
        "WHERE put_off.delivery_id = delivery_outcome.delivery_id"
    )
    op.execute("DELETE FROM feedback_event WHERE kind = 'deferred' AND problem = ''")
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(_NAME, "alert", type_="check")
        op.create_check_constraint(_NAME, "alert", sa.column("kind").in_(_NOW))
        return
    # SQLite builds the table anew; the condition comes with the type.
    with op.batch_alter_table("alert") as table:
        table.alter_column("kind", existing_type=_words(_BEFORE), type_=_words(_NOW), existing_nullable=False)


def _words(words: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*words, name=_NAME, native_enum=False, create_constraint=True, length=20)
