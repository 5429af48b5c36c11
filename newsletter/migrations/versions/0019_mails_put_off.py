"""When a delivery was first put off, in the place of a row for each time."""

import sqlalchemy as sa
from alembic import op


revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("delivery_outcome", sa.Column("deferred_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(
        "UPDATE delivery_outcome SET deferred_at = put_off.at FROM (SELECT delivery_id, min(at) AS at "
        "FROM feedback_event WHERE kind = 'deferred' GROUP BY delivery_id) AS put_off "
        "WHERE put_off.delivery_id = delivery_outcome.delivery_id"
    )
    op.execute("DELETE FROM feedback_event WHERE kind = 'deferred' AND problem = ''")
