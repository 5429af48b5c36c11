"""The ledger's tables: a mailing, its variants, its batches with their attempts, its deliveries and its exclusions.

A delivery stores no address and nothing that its batch already says. The partial unique index of ``delivery`` is the
promise "once an issue" (DESIGN §4.2), kept by the database.
"""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Enum,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from newsletter.delivery.lifecycle import BatchState, Difference, MailingState
from newsletter.providers.base import Ending


#: Which batches wait to be claimed. Written out, since SQLite uses a partial index only where the words agree.
WAITS = "IN ('ready', 'retry_wait')"


def _words(words: type[StrEnum], name: str) -> Enum:
    return Enum(words, native_enum=False, create_constraint=True, name=name, length=20)


class Correction(SQLModel, table=True):
    """A mistake found too late: the archive shows the mended revision with a dated note. Sent mails stay."""

    __table_args__ = (Index("ix_correction_issue", "issue_id"),)

    id: int = Field(default=None, primary_key=True)
    issue_id: int = Field(sa_column=Column(Integer, ForeignKey("issue.id", name="fk_correction_issue"), nullable=False))
    revision_id: int = Field(
        sa_column=Column(Integer, ForeignKey("revision.id", name="fk_correction_revision"), nullable=False)
    )
    #: What was wrong and is right now, in one plain line for readers.
    note: str = Field(sa_column=Column(Text, nullable=False))
    made_at: datetime
    made_by: str


class Mailing(SQLModel, table=True):
    """One mailing of one revision to an audience at a time."""

    __table_args__ = (
        Index("ix_mailing_state", "state", "due_at"),
        Index("ix_mailing_issue", "issue_id"),
        UniqueConstraint("publication_id", "occurrence", "live", name="uq_mailing_occurrence"),
    )

    id: int = Field(default=None, primary_key=True)
    publication_id: int = Field(
        sa_column=Column(Integer, ForeignKey("publication.id", name="fk_mailing_publication"), nullable=False)
    )
    issue_id: int = Field(sa_column=Column(Integer, ForeignKey("issue.id", name="fk_mailing_issue"), nullable=False))
    revision_id: int = Field(
        sa_column=Column(Integer, ForeignKey("revision.id", name="fk_mailing_revision"), nullable=False)
    )
    state: MailingState = Field(sa_column=Column(_words(MailingState, "ck_mailing_state"), nullable=False))
    state_reason: str = ""
    due_at: datetime
    #: The planned date of the slot that it takes, wherever that was moved; each date is taken once.
    occurrence: date | None = None
    #: Since when its issue was ready, where it takes a slot; a mailing of content too old asks first.
    ready_at: datetime | None = None
    #: No call is made before: the time in which the operator can undo it.
    first_call_at: datetime | None = None
    again: bool = False
    #: The correction that it carries to those who were sent what it mends, and the heading of that section.
    correction_id: int | None = Field(
        default=None,
        sa_column=Column(Integer, ForeignKey("correction.id", name="fk_mailing_correction"), nullable=True),
    )
    section: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    live: bool = False
    #: The blockers of preflight that the operator overrode, each by the name of its check, with what it had found.
    overrides: list[dict[str, str]] = Field(
        default_factory=list, sa_column=Column(JSON, nullable=False, server_default="[]")
    )
    #: The filter that names its audience, as text; empty: everybody of the publication.
    audience: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    created_at: datetime
    created_by: str
    begun_at: datetime | None = None
    frozen_at: datetime | None = None
    ended_at: datetime | None = None
    #: Subscriptions up to this id belong to the audience; who subscribes later does not.
    freeze_until: int = 0
    #: Subscriptions up to this id are frozen already; committed together with their rows.
    freeze_cursor: int = 0
    candidates: int = 0
    recipients: int = 0
    #: How many calls in a row found the provider away; ``pacing`` opens the circuit by it.
    failures: int = 0
    #: Since when the provider is away.
    away_since: datetime | None = None
    #: The circuit is open until then; afterwards one batch tries.
    retry_at: datetime | None = None


class Lane(SQLModel, table=True):
    """One mailbox provider's share of a mailing: how fast it goes, how far it may go, and whether it is held."""

    __tablename__ = "mailing_lane"

    mailing_id: int = Field(
        sa_column=Column(Integer, ForeignKey("mailing.id", name="fk_mailing_lane_mailing"), primary_key=True)
    )
    lane: str = Field(sa_column=Column(String(40), primary_key=True))
    #: Batches of later waves wait.
    wave: int
    #: When the last of the first wave was submitted; the look at its feedback waits from then on.
    wave_at: datetime | None = None
    #: No batch is claimed before: the pace.
    not_before: datetime | None = None
    held_at: datetime | None = None
    held_for: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    #: How many times over its limit it was when it was held: a lane that was let go on is held again for worse only.
    excess: float = Field(default=0.0, sa_column=Column(Float, nullable=False, server_default="0"))
    #: Who let it go on after it was held.
    released_by: str = Field(default="", sa_column=Column(String, nullable=False, server_default=""))


class Exclusion(SQLModel, table=True):
    """A candidate who is not mailed, with the reason."""

    mailing_id: int = Field(
        sa_column=Column(Integer, ForeignKey("mailing.id", name="fk_exclusion_mailing"), primary_key=True)
    )
    subscription_id: int = Field(
        sa_column=Column(Integer, ForeignKey("subscription.id", name="fk_exclusion_subscription"), primary_key=True)
    )
    reason: str = Field(sa_column=Column(String(40), nullable=False))


class Variant(SQLModel, table=True):
    """A revision rendered for one plan; immutable once its mailing has begun."""

    __table_args__ = (UniqueConstraint("mailing_id", "plan_id", name="uq_variant_plan"),)

    id: int = Field(default=None, primary_key=True)
    mailing_id: int = Field(
        sa_column=Column(Integer, ForeignKey("mailing.id", name="fk_variant_mailing"), nullable=False)
    )
    plan_id: int = Field(sa_column=Column(Integer, ForeignKey("plan.id", name="fk_variant_plan"), nullable=False))
    subject: str
    preheader: str
    html: str = Field(sa_column=Column(Text, nullable=False))
    text: str = Field(sa_column=Column(Text, nullable=False))
    #: The tags that stand in this rendering, each with the field whose value takes its place.
    substitutions: list[dict[str, str]] = Field(sa_column=Column(JSON, nullable=False))
    sha256: str


class Batch(SQLModel, table=True):
    """Up to 1000 deliveries that share a variant and a lane: one request."""

    __table_args__ = (
        Index("ix_batch_work", "state", "not_before"),
        Index("ix_batch_mailing", "mailing_id", "state"),
        # A claim takes the first of a lane that waits, and never walks over those of a wave that is not open.
        Index(
            "ix_batch_claim",
            "mailing_id",
            "lane",
            "wave",
            "id",
            sqlite_where=text(f"state {WAITS}"),
            postgresql_where=text(f"state {WAITS}"),
        ),
    )

    id: int = Field(default=None, primary_key=True)
    mailing_id: int = Field(
        sa_column=Column(Integer, ForeignKey("mailing.id", name="fk_batch_mailing"), nullable=False)
    )
    variant_id: int = Field(
        sa_column=Column(Integer, ForeignKey("variant.id", name="fk_batch_variant"), nullable=False)
    )
    parent_id: int | None = Field(
        default=None, sa_column=Column(Integer, ForeignKey("batch.id", name="fk_batch_parent"), nullable=True)
    )
    lane: str = Field(sa_column=Column(String(40), nullable=False))
    #: 0 goes first; the lane says how far it is.
    wave: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    state: BatchState = Field(sa_column=Column(_words(BatchState, "ck_batch_state"), nullable=False))
    state_reason: str = ""
    #: How often the batch was claimed; a worker that wakes late finds another number and stops.
    attempt: int = 0
    #: How many calls in a row ended without a lasting result; sets the length of the next wait.
    tries: int = 0
    worker: str = ""
    lease_until: datetime | None = None
    not_before: datetime | None = None
    created_at: datetime


class Attempt(SQLModel, table=True):
    """One call for a batch, written before it is made. Its id is random: events carry it as a proof."""

    __table_args__ = (
        UniqueConstraint("batch_id", "number", name="uq_attempt_number"),
        Index("ix_attempt_message", "message_id"),
    )

    id: str = Field(sa_column=Column(String(22), primary_key=True))
    batch_id: int = Field(sa_column=Column(Integer, ForeignKey("batch.id", name="fk_attempt_batch"), nullable=False))
    number: int
    size: int
    submitting_at: datetime
    ended_at: datetime | None = None
    ending: Ending | None = Field(default=None, sa_column=Column(_words(Ending, "ck_attempt_ending"), nullable=True))
    status: int | None = None
    message_id: str | None = Field(default=None, sa_column=Column(String(120), nullable=True))
    detail: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))


class Delivery(SQLModel, table=True):
    """One recipient's row in a mailing: only what differs from its batch."""

    __table_args__ = (
        UniqueConstraint("mailing_id", "subscriber_id", name="uq_delivery_subscriber"),
        Index("ix_delivery_batch", "mailing_id", "batch_id"),
        Index(
            "uq_delivery_once_an_issue",
            "issue_id",
            "subscriber_id",
            "live",
            "round",
            unique=True,
            # As SQLAlchemy writes the condition on each: SQLite uses a partial index only where the words agree.
            sqlite_where=text("may_have_reached = 1"),
            postgresql_where=text("may_have_reached"),
        ),
        ForeignKeyConstraint(["subscription_id"], ["subscription.id"], name="fk_delivery_subscription"),
    )

    id: int = Field(default=None, primary_key=True)
    mailing_id: int = Field(
        sa_column=Column(Integer, ForeignKey("mailing.id", name="fk_delivery_mailing"), nullable=False)
    )
    issue_id: int = Field(sa_column=Column(Integer, ForeignKey("issue.id", name="fk_delivery_issue"), nullable=False))
    subscriber_id: int = Field(
        sa_column=Column(Integer, ForeignKey("subscriber.id", name="fk_delivery_subscriber"), nullable=False)
    )
    subscription_id: int
    batch_id: int | None = Field(
        default=None, sa_column=Column(Integer, ForeignKey("batch.id", name="fk_delivery_batch"), nullable=True)
    )
    difference: Difference | None = Field(
        default=None, sa_column=Column(_words(Difference, "ck_delivery_difference"), nullable=True)
    )
    reason: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    #: Whether a real reader was meant; a mailing to the local SendGrid uses up nothing of the real one.
    live: bool = Field(default=False, sa_column=Column(Boolean, nullable=False))
    #: 0, or the mailing's id where the operator said `--again`: the only way to reach a reader twice with an issue. A
    #: correction that goes by mail is a round of its own: its number, negative.
    round: int = 0
    #: False once it is certain that this delivery never reached its reader: skipped, rejected, cancelled.
    may_have_reached: bool = Field(default=True, sa_column=Column(Boolean, nullable=False))
