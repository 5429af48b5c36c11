"""Feedback's tables: raw calls, what became of each delivery, events with consequences, and the consequences.

A delivery's ``Outcome`` row is the join of all that was said of it, so that nothing needs to be kept of the many events
that only say "delivered". Events that have consequences, or that a person should see, are kept one by one. Raw bodies
are the only personal data here, and are purged (docs/retention.md); texts of servers are kept without addresses.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
)
from sqlmodel import Field, SQLModel

from newsletter.feedback.outcomes import BounceClass
from newsletter.providers.feedback import FeedbackKind
from subscribers.models import SuppressionReason, words_column


class EventCall(SQLModel, table=True):
    """A genuine call of the provider, as its bytes came; purged a week later, and when somebody in it is erased."""

    __tablename__ = "event_call"
    __table_args__ = (
        Index("ix_event_call_waiting", "applied_at", "id"),
        Index("ix_event_call_received", "received_at"),
    )

    id: int = Field(default=None, primary_key=True)
    received_at: datetime
    #: Empty once purged.
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    size: int
    #: How many of its events are recorded already; committed together with their rows.
    cursor: int = 0
    events: int = 0
    #: How many of them said something that was not known yet.
    news: int = 0
    problems: int = 0
    applied_at: datetime | None = None
    #: Why it could not be read.
    problem: str = Field(default="", sa_column=Column(String(200), nullable=False, server_default=""))


class DeliveryOutcome(SQLModel, table=True):
    """What became of a delivery after it was accepted: only ever moved up (``outcomes.Standing``)."""

    __tablename__ = "delivery_outcome"

    delivery_id: int = Field(
        sa_column=Column(
            Integer,
            ForeignKey("delivery.id", name="fk_delivery_outcome_delivery"),
            primary_key=True,
            autoincrement=False,
        )
    )
    outcome: int = Field(sa_column=Column(SmallInteger, nullable=False))
    outcome_at: datetime | None = None
    #: When the receiving server put it off first, whatever came after.
    deferred_at: datetime | None = None
    opened_at: datetime | None = None
    machine_opened_at: datetime | None = None
    clicked_at: datetime | None = None
    complained_at: datetime | None = None
    unsubscribed_at: datetime | None = None


class FeedbackEventRow(SQLModel, table=True):
    """One event that has consequences, or that a person should see; each once, however often it was said."""

    __tablename__ = "feedback_event"
    __table_args__ = (
        UniqueConstraint("event_id", name="uq_feedback_event_id"),
        UniqueConstraint("fingerprint", name="uq_feedback_event_fingerprint"),
        Index("ix_feedback_event_mailing", "mailing_id", "kind", "provider"),
        Index("ix_feedback_event_address", "address_hash"),
    )

    id: int = Field(default=None, primary_key=True)
    #: The provider's id; some events come without one.
    event_id: str | None = Field(default=None, sa_column=Column(String(120), nullable=True))
    #: The second key, over whose mail, what and when: repeats come with fresh ids, too.
    fingerprint: str = Field(sa_column=Column(String(64), nullable=False))
    kind: FeedbackKind = Field(sa_column=Column(words_column(FeedbackKind, "ck_feedback_event_kind"), nullable=False))
    said: str = Field(sa_column=Column(String(120), nullable=False))
    at: datetime
    received_at: datetime
    delivery_id: int | None = Field(
        default=None,
        sa_column=Column(Integer, ForeignKey("delivery.id", name="fk_feedback_event_delivery"), nullable=True),
    )
    mailing_id: int | None = Field(
        default=None,
        sa_column=Column(Integer, ForeignKey("mailing.id", name="fk_feedback_event_mailing"), nullable=True),
    )
    notice_id: int | None = None
    subscriber_id: int | None = Field(
        default=None,
        sa_column=Column(Integer, ForeignKey("subscriber.id", name="fk_feedback_event_subscriber"), nullable=True),
    )
    address_hash: str = Field(sa_column=Column(String(64), nullable=False))
    #: The mailbox provider of the address.
    provider: str = Field(sa_column=Column(String(40), nullable=False))
    bounce_class: BounceClass | None = Field(
        default=None, sa_column=Column(words_column(BounceClass, "ck_feedback_event_class"), nullable=True)
    )
    cause: str = Field(sa_column=Column(String(20), nullable=False))
    #: The row of the policy that fitted.
    rule: str = Field(sa_column=Column(String(200), nullable=False))
    status: str = Field(sa_column=Column(String(120), nullable=False))
    #: The server's words, every address in them masked.
    text: str = Field(sa_column=Column(Text, nullable=False))
    problem: str = Field(sa_column=Column(Text, nullable=False))


class TrackedLink(SQLModel, table=True):
    """A link of a mailing that somebody clicked, where the publication counts clicks."""

    __tablename__ = "tracked_link"
    __table_args__ = (UniqueConstraint("mailing_id", "url", name="uq_tracked_link_url"),)

    id: int = Field(default=None, primary_key=True)
    mailing_id: int = Field(
        sa_column=Column(Integer, ForeignKey("mailing.id", name="fk_tracked_link_mailing"), nullable=False)
    )
    url: str = Field(sa_column=Column(String(2000), nullable=False))


class LinkClick(SQLModel, table=True):
    """That a link was clicked in a delivery, once however often it was."""

    __tablename__ = "link_click"

    link_id: int = Field(
        sa_column=Column(Integer, ForeignKey("tracked_link.id", name="fk_link_click_link"), primary_key=True)
    )
    delivery_id: int = Field(
        sa_column=Column(Integer, ForeignKey("delivery.id", name="fk_link_click_delivery"), primary_key=True)
    )


class ConsequenceState(StrEnum):
    """Where a consequence stands."""

    applied = "applied"
    #: Its provider's bounces surged: it waits for the operator's word.
    quarantined = "quarantined"
    #: An operator took it back, or dismissed the surge it belongs to.
    undone = "undone"
    #: A pause that is over: the next issue tries the address once more.
    probing = "probing"


class Deed(StrEnum):
    """What a consequence does."""

    suppress = "suppress"
    pause = "pause"
    leave = "leave"


class Consequence(SQLModel, table=True):
    """What one event led to, and by what it can be undone."""

    __table_args__ = (
        UniqueConstraint("event_id", "deed", "reason", "publication_id", name="uq_consequence"),
        Index("ix_consequence_address", "address_hash"),
        Index("ix_consequence_state", "state", "at"),
    )

    id: int = Field(default=None, primary_key=True)
    event_id: int = Field(
        sa_column=Column(Integer, ForeignKey("feedback_event.id", name="fk_consequence_event"), nullable=False)
    )
    deed: Deed = Field(sa_column=Column(words_column(Deed, "ck_consequence_deed"), nullable=False))
    reason: SuppressionReason | None = Field(
        default=None, sa_column=Column(words_column(SuppressionReason, "ck_consequence_reason"), nullable=True)
    )
    #: 0: everywhere.
    publication_id: int = 0
    address_hash: str = Field(sa_column=Column(String(64), nullable=False))
    subscriber_id: int | None = None
    state: ConsequenceState = Field(
        sa_column=Column(words_column(ConsequenceState, "ck_consequence_state"), nullable=False)
    )
    at: datetime
    #: The suppression that it made; nothing where one stood already.
    suppression_id: int | None = None
    #: The subscriptions that it ended.
    ended: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    undone_at: datetime | None = None
    undone_by: str = ""


class SurgeDecision(StrEnum):
    """What an operator said of a surge."""

    confirmed = "confirmed"
    dismissed = "dismissed"


class Surge(SQLModel, table=True):
    """That a mailbox provider bounced an unusual share of a mailing: its consequences wait for the operator."""

    mailing_id: int = Field(
        sa_column=Column(Integer, ForeignKey("mailing.id", name="fk_surge_mailing"), primary_key=True)
    )
    provider: str = Field(sa_column=Column(String(40), primary_key=True))
    seen_at: datetime
    #: As they stood when it was seen.
    bounced: int
    accepted: int
    decision: SurgeDecision | None = Field(
        default=None, sa_column=Column(words_column(SurgeDecision, "ck_surge_decision"), nullable=True)
    )
    decided_at: datetime | None = None
    decided_by: str = ""


class FeedbackPolicy(SQLModel, table=True):
    """A publication's own limits; without a row the defaults hold (``consequences.Limits``)."""

    __tablename__ = "feedback_policy"

    publication_id: int = Field(
        sa_column=Column(Integer, ForeignKey("publication.id", name="fk_feedback_policy_publication"), primary_key=True)
    )
    soft_issues: int
    disabled_issues: int
    probe_days: int
    surge_share: float = Field(sa_column=Column(Float, nullable=False))
    surge_bounces: int
    complaint_share: float = Field(sa_column=Column(Float, nullable=False))


class ListPull(SQLModel, table=True):
    """How far a list of the provider's was read: a window of time, and the place in it."""

    __tablename__ = "list_pull"

    list_name: str = Field(sa_column=Column(String(30), primary_key=True))
    #: Unix seconds: everything before was read whole at some time.
    since: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    until: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    place: int = 0
    is_done: bool = Field(default=True, sa_column=Column(Boolean, nullable=False))
    entries: int = 0
    news: int = 0
    finished_at: datetime | None = None


class ListRemoval(SQLModel, table=True):
    """That an address is to be taken off the provider's list, after its consequence was undone."""

    __tablename__ = "list_removal"
    __table_args__ = (Index("ix_list_removal_waiting", "done_at", "not_before"),)

    id: int = Field(default=None, primary_key=True)
    consequence_id: int = Field(
        sa_column=Column(Integer, ForeignKey("consequence.id", name="fk_list_removal_consequence"), nullable=False)
    )
    list_name: str = Field(sa_column=Column(String(30), nullable=False))
    tries: int = 0
    not_before: datetime | None = None
    done_at: datetime | None = None
    #: How it ended, or what went wrong last.
    result: str = ""
