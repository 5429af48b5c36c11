"""Feedback: raw calls, outcomes of deliveries, events, consequences, surges and limits."""

import sqlalchemy as sa
from alembic import op


revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "event_call",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.Integer(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("news", sa.Integer(), nullable=False),
        sa.Column("problems", sa.Integer(), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.String(length=200), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_event_call_received", "event_call", ["received_at"])
    op.create_index("ix_event_call_waiting", "event_call", ["applied_at", "id"])
    op.create_table(
        "list_pull",
        sa.Column("list_name", sa.String(length=30), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("is_done", sa.Boolean(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("news", sa.Integer(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("list_name"),
    )
    op.create_table(
        "feedback_policy",
        sa.Column("publication_id", sa.Integer(), nullable=False),
        sa.Column("soft_issues", sa.Integer(), nullable=False),
        sa.Column("disabled_issues", sa.Integer(), nullable=False),
        sa.Column("probe_days", sa.Integer(), nullable=False),
        sa.Column("surge_share", sa.Float(), nullable=False),
        sa.Column("surge_bounces", sa.Integer(), nullable=False),
        sa.Column("complaint_share", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["publication_id"], ["publication.id"], name="fk_feedback_policy_publication"),
        sa.PrimaryKeyConstraint("publication_id"),
    )
    op.create_table(
        "surge",
        sa.Column("mailing_id", sa.Integer(), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bounced", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column(
            "decision",
            _words(
                ("confirmed", "dismissed"),
                "ck_surge_decision",
            ),
            nullable=True,
        ),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["mailing_id"], ["mailing.id"], name="fk_surge_mailing"),
        sa.PrimaryKeyConstraint("mailing_id", "provider"),
    )
    op.create_table(
        "tracked_link",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("mailing_id", sa.Integer(), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.ForeignKeyConstraint(["mailing_id"], ["mailing.id"], name="fk_tracked_link_mailing"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("mailing_id", "url", name="uq_tracked_link_url"),
    )
    op.create_table(
        "delivery_outcome",
        sa.Column("delivery_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.Column("outcome_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("machine_opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("clicked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("complained_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unsubscribed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.id"], name="fk_delivery_outcome_delivery"),
        sa.PrimaryKeyConstraint("delivery_id"),
    )
    op.create_table(
        "feedback_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.String(length=120), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column(
            "kind",
            _words(
                (
                    "processed",
                    "deferred",
                    "delivered",
                    "dropped",
                    "bounced",
                    "complained",
                    "unsubscribed",
                    "opened",
                    "clicked",
                    "listed",
                    "other",
                ),
                "ck_feedback_event_kind",
            ),
            nullable=False,
        ),
        sa.Column("said", sa.String(length=120), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivery_id", sa.Integer(), nullable=True),
        sa.Column("mailing_id", sa.Integer(), nullable=True),
        sa.Column("notice_id", sa.Integer(), nullable=True),
        sa.Column("subscriber_id", sa.Integer(), nullable=True),
        sa.Column("address_hash", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column(
            "bounce_class",
            _words(
                ("hard", "disabled", "soft", "blocked", "too_large"),
                "ck_feedback_event_class",
            ),
            nullable=True,
        ),
        sa.Column("cause", sa.String(length=20), nullable=False),
        sa.Column("rule", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=120), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.id"], name="fk_feedback_event_delivery"),
        sa.ForeignKeyConstraint(["mailing_id"], ["mailing.id"], name="fk_feedback_event_mailing"),
        sa.ForeignKeyConstraint(["subscriber_id"], ["subscriber.id"], name="fk_feedback_event_subscriber"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("event_id", name="uq_feedback_event_id"),
        sa.UniqueConstraint("fingerprint", name="uq_feedback_event_fingerprint"),
    )
    op.create_index("ix_feedback_event_address", "feedback_event", ["address_hash"])
    op.create_index("ix_feedback_event_mailing", "feedback_event", ["mailing_id", "kind", "provider"])
    op.create_table(
        "link_click",
        sa.Column("link_id", sa.Integer(), nullable=False),
        sa.Column("delivery_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.id"], name="fk_link_click_delivery"),
        sa.ForeignKeyConstraint(["link_id"], ["tracked_link.id"], name="fk_link_click_link"),
        sa.PrimaryKeyConstraint("link_id", "delivery_id"),
    )
    op.create_table(
        "consequence",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column(
            "deed",
            _words(
                ("suppress", "pause", "leave"),
                "ck_consequence_deed",
            ),
            nullable=False,
        ),
        sa.Column(
            "reason",
            _words(
                (
                    "hard_bounce",
                    "soft_bounces",
                    "complaint",
                    "unsubscribed",
                    "operator",
                    "imported",
                    "invalid",
                    "erased",
                    "moved",
                ),
                "ck_consequence_reason",
            ),
            nullable=True,
        ),
        sa.Column("publication_id", sa.Integer(), nullable=False),
        sa.Column("address_hash", sa.String(length=64), nullable=False),
        sa.Column("subscriber_id", sa.Integer(), nullable=True),
        sa.Column(
            "state",
            _words(
                ("applied", "quarantined", "undone", "probing"),
                "ck_consequence_state",
            ),
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("suppression_id", sa.Integer(), nullable=True),
        sa.Column("ended", sa.Text(), server_default="", nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["feedback_event.id"], name="fk_consequence_event"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("event_id", "deed", "reason", "publication_id", name="uq_consequence"),
    )
    op.create_index("ix_consequence_address", "consequence", ["address_hash"])
    op.create_index("ix_consequence_state", "consequence", ["state", "at"])
    op.create_table(
        "list_removal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("consequence_id", sa.Integer(), nullable=False),
        sa.Column("list_name", sa.String(length=30), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["consequence_id"], ["consequence.id"], name="fk_list_removal_consequence"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_list_removal_waiting", "list_removal", ["done_at", "not_before"])
    with op.batch_alter_table("publication") as table:
        for name in ("track_opens", "track_clicks"):
            table.add_column(sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))


def _words(words: tuple[str, ...], name: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=20)
