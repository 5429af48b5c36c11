"""The people's tables. Use cases beside them read and write; other packages see frozen values and selects.

Publication ids are plain integers here; their foreign key is made in the migration. Personal data stands only in
``subscriber`` (address as typed, e-mail, key, name), so that erasure has one place to empty. The ledger of consent
is append-only and holds no address.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, Column, Enum, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlmodel import Field, SQLModel


class SubscriptionState(StrEnum):
    """Where a subscription stands: asked for, opted in, or ended by the reader."""

    pending = "pending"
    confirmed = "confirmed"
    left = "left"


class ConsentKind(StrEnum):
    """What a consent event proves."""

    asked = "asked"
    added = "added"
    imported = "imported"
    confirmed = "confirmed"
    plan_changed = "plan_changed"
    left = "left"
    returned = "returned"


class SuppressionReason(StrEnum):
    """Why an address must not be mailed."""

    hard_bounce = "hard_bounce"
    soft_bounces = "soft_bounces"
    complaint = "complaint"
    unsubscribed = "unsubscribed"
    operator = "operator"
    imported = "imported"
    invalid = "invalid"
    erased = "erased"


def _words(words: type[StrEnum], name: str) -> Enum:
    return Enum(words, native_enum=False, create_constraint=True, name=name, length=20)


class Plan(SQLModel, table=True):
    """What a reader of a publication has. The lowest position is the default."""

    __table_args__ = (UniqueConstraint("publication_id", "code", name="uq_plan_code"),)

    id: int = Field(default=None, primary_key=True)
    publication_id: int
    code: str = Field(sa_column=Column(String(40), nullable=False))
    name: str
    position: int


class PlanInclusion(SQLModel, table=True):
    """One plan's readers may read what another's may."""

    __tablename__ = "plan_inclusion"

    plan_id: int = Field(
        sa_column=Column(Integer, ForeignKey("plan.id", name="fk_plan_inclusion_plan"), primary_key=True)
    )
    included_plan_id: int = Field(
        sa_column=Column(Integer, ForeignKey("plan.id", name="fk_plan_inclusion_included"), primary_key=True)
    )


class Subscriber(SQLModel, table=True):
    """A person with an address. After erasure a tombstone: the personal columns are empty, the id stays."""

    __table_args__ = (UniqueConstraint("address_key", name="uq_subscriber_address_key"),)

    id: int = Field(default=None, primary_key=True)
    address_typed: str | None = Field(default=None, sa_column=Column(String(320)))
    email: str | None = Field(default=None, sa_column=Column(String(320)))
    address_key: str | None = Field(default=None, sa_column=Column(String(320)))
    domain: str = Field(default="", sa_column=Column(String(255), nullable=False))
    address_hash: str | None = Field(default=None, sa_column=Column(String(64)))
    hash_key_id: str = Field(default="", sa_column=Column(String(8), nullable=False))
    name: str = ""
    #: Empty: the publication's own.
    locale: str = Field(default="", sa_column=Column(String(20), nullable=False))
    created_at: datetime
    erased_at: datetime | None = None


class Subscription(SQLModel, table=True):
    """One person in one publication. The unsubscribe id is drawn once and stays valid for ever."""

    __table_args__ = (
        # This order also finds all publications of a person.
        UniqueConstraint("subscriber_id", "publication_id", name="uq_subscription_subscriber"),
        UniqueConstraint("unsubscribe_id", name="uq_subscription_unsubscribe_id"),
        # The freeze walks a publication by ascending id.
        Index("ix_subscription_publication", "publication_id", "id"),
    )

    id: int = Field(default=None, primary_key=True)
    publication_id: int
    subscriber_id: int = Field(
        sa_column=Column(Integer, ForeignKey("subscriber.id", name="fk_subscription_subscriber"), nullable=False)
    )
    plan_id: int = Field(sa_column=Column(Integer, ForeignKey("plan.id", name="fk_subscription_plan"), nullable=False))
    state: SubscriptionState = Field(
        sa_column=Column(_words(SubscriptionState, "ck_subscription_state"), nullable=False)
    )
    unsubscribe_id: str = Field(sa_column=Column(String(22), nullable=False))
    created_at: datetime
    confirmed_at: datetime | None = None
    left_at: datetime | None = None


class ConsentEvent(SQLModel, table=True):
    """Proof of one asking, confirming, changing or leaving. Only ever inserted."""

    __tablename__ = "consent_event"
    __table_args__ = (Index("ix_consent_event_subscription", "subscription_id"),)

    id: int = Field(default=None, primary_key=True)
    publication_id: int
    subscriber_id: int = Field(
        sa_column=Column(Integer, ForeignKey("subscriber.id", name="fk_consent_event_subscriber"), nullable=False)
    )
    subscription_id: int = Field(
        sa_column=Column(Integer, ForeignKey("subscription.id", name="fk_consent_event_subscription"), nullable=False)
    )
    plan_id: int = Field(sa_column=Column(Integer, ForeignKey("plan.id", name="fk_consent_event_plan"), nullable=False))
    kind: ConsentKind = Field(sa_column=Column(_words(ConsentKind, "ck_consent_event_kind"), nullable=False))
    at: datetime
    by: str
    #: The way it came: a channel of leaving, a run of an import, a command.
    source: str
    #: What else proves it: file and row, the basis of consent. Never an address.
    detail: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))


class Suppression(SQLModel, table=True):
    """An address that must not be mailed, in one publication or (without one) everywhere; it keeps only a keyed hash.

    Reasons stand beside each other: lifting a bounce leaves a complaint standing.
    """

    __table_args__ = (
        Index("ix_suppression_address_hash", "address_hash"),
        Index(
            "uq_suppression_everywhere",
            "address_hash",
            "reason",
            unique=True,
            sqlite_where=text("lifted_at IS NULL AND publication_id IS NULL"),
            postgresql_where=text("lifted_at IS NULL AND publication_id IS NULL"),
        ),
        Index(
            "uq_suppression_publication",
            "publication_id",
            "address_hash",
            "reason",
            unique=True,
            sqlite_where=text("lifted_at IS NULL AND publication_id IS NOT NULL"),
            postgresql_where=text("lifted_at IS NULL AND publication_id IS NOT NULL"),
        ),
    )

    id: int = Field(default=None, primary_key=True)
    publication_id: int | None = None
    address_hash: str = Field(sa_column=Column(String(64), nullable=False))
    hash_key_id: str = Field(sa_column=Column(String(8), nullable=False))
    reason: SuppressionReason = Field(
        sa_column=Column(_words(SuppressionReason, "ck_suppression_reason"), nullable=False)
    )
    #: Where the reason came from: a webhook, a pull, a file, a command. Never an address.
    origin: str
    created_at: datetime
    created_by: str
    lifted_at: datetime | None = None
    lifted_by: str = ""
