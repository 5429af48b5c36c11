"""An index of the consent ledger by what happened and when: reports count a week of it, not all of it."""

from alembic import op


revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.create_index("ix_consent_event_kind", "consent_event", ["publication_id", "kind", "at"])
