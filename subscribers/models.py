"""The people's tables. Use cases beside them read and write; other packages see frozen values and selects.

Publication ids are plain integers here; their foreign key is made in the migration. Personal data stands only in the
columns that ``forgetting`` empties. The tables of consent are in ``consent_models``.
"""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Boolean, Column, Enum, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlmodel import Field, SQLModel


class SubscriptionState(StrEnum):
    """Where a subscription stands: asked for, opted in, ended by the reader, or never confirmed in time."""

    pending = "pending"
    confirmed = "confirmed"
    left = "left"
    lapsed = "lapsed"


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
    #: Its owner reads at another address now.
    moved = "moved"


class AttributeKind(StrEnum):
    """What the values of an attribute are."""

    text = "text"
    number = "number"
    date = "date"
    yes_no = "yes_no"


def words_column(words: type[StrEnum], name: str) -> Enum:
    """Give the type of a column that holds one of these words, and nothing else."""
    return Enum(words, native_enum=False, create_constraint=True, name=name, length=20)


class Plan(SQLModel, table=True):
    """What a reader of a publication has. The lowest position is the default.

    A public plan is one that readers may give themselves; any other is by invitation, or bought at its upgrade address.
    """

    __table_args__ = (UniqueConstraint("publication_id", "code", name="uq_plan_code"),)

    id: int = Field(default=None, primary_key=True)
    publication_id: int
    code: str = Field(sa_column=Column(String(40), nullable=False))
    name: str
    position: int
    is_public: bool = Field(default=False, sa_column=Column(Boolean, nullable=False, server_default="0"))
    #: Where a reader gets this plan; empty: where the publication says.
    upgrade_url: str = Field(default="", sa_column=Column(String, nullable=False, server_default=""))
    #: The plan of readers whose time on this one has ended; empty: the default plan.
    fallback: str = Field(default="", sa_column=Column(String(40), nullable=False, server_default=""))
    #: Days after its end for which a reader keeps the plan, as bank transfers take.
    grace_days: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    #: Days before its end at which the reader is told; 0: not at all.
    notice_days: int = Field(default=7, sa_column=Column(Integer, nullable=False, server_default="7"))


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
    name: str = ""
    #: Empty: the publication's own.
    locale: str = Field(default="", sa_column=Column(String(20), nullable=False))
    created_at: datetime
    erased_at: datetime | None = None


class HashKey(SQLModel, table=True):
    """A pepper that this store's hashes were made with, by its id: every living address is hashed with each."""

    __tablename__ = "hash_key"

    id: str = Field(sa_column=Column(String(8), primary_key=True))
    created_at: datetime


class AddressHash(SQLModel, table=True):
    """A subscriber's address hashed with one pepper: how suppressions find the person in SQL."""

    __tablename__ = "address_hash"
    __table_args__ = (Index("ix_address_hash_hash", "hash"),)

    subscriber_id: int = Field(
        sa_column=Column(Integer, ForeignKey("subscriber.id", name="fk_address_hash_subscriber"), primary_key=True)
    )
    key_id: str = Field(sa_column=Column(String(8), primary_key=True))
    hash: str = Field(sa_column=Column(String(64), nullable=False))


class Subscription(SQLModel, table=True):
    """One person in one publication. The unsubscribe id is drawn once and stays valid for ever."""

    __table_args__ = (
        # This order also finds all publications of a person.
        UniqueConstraint("subscriber_id", "publication_id", name="uq_subscription_subscriber"),
        UniqueConstraint("unsubscribe_id", name="uq_subscription_unsubscribe_id"),
        # The freeze walks a publication by ascending id.
        Index("ix_subscription_publication", "publication_id", "id"),
        # The clock looks for plans that end; most have no end.
        Index(
            "ix_subscription_plan_until",
            "plan_id",
            "plan_until",
            sqlite_where=text("plan_until IS NOT NULL"),
            postgresql_where=text("plan_until IS NOT NULL"),
        ),
    )

    id: int = Field(default=None, primary_key=True)
    publication_id: int
    subscriber_id: int = Field(
        sa_column=Column(Integer, ForeignKey("subscriber.id", name="fk_subscription_subscriber"), nullable=False)
    )
    plan_id: int = Field(sa_column=Column(Integer, ForeignKey("plan.id", name="fk_subscription_plan"), nullable=False))
    state: SubscriptionState = Field(
        sa_column=Column(words_column(SubscriptionState, "ck_subscription_state"), nullable=False)
    )
    unsubscribe_id: str = Field(sa_column=Column(String(22), nullable=False))
    created_at: datetime
    #: When confirming was last asked for; who does not confirm is forgotten after a time.
    asked_at: datetime | None = None
    confirmed_at: datetime | None = None
    left_at: datetime | None = None
    #: No mail until then, as the reader wished.
    paused_until: datetime | None = None
    #: The last day of the plan, in the publication's zone; without one it has no end.
    plan_until: date | None = None
    #: The end of which the reader was told.
    noticed_until: date | None = None


class SubscriptionTag(SQLModel, table=True):
    """A word that an operator put on a subscription, to find it by."""

    __tablename__ = "subscription_tag"
    __table_args__ = (Index("ix_subscription_tag_tag", "tag"),)

    subscription_id: int = Field(
        sa_column=Column(
            Integer, ForeignKey("subscription.id", name="fk_subscription_tag_subscription"), primary_key=True
        )
    )
    tag: str = Field(sa_column=Column(String(60), primary_key=True))


class Attribute(SQLModel, table=True):
    """Something a publication keeps of its readers beside what everyone has, with the kind of its values."""

    __table_args__ = (UniqueConstraint("publication_id", "code", name="uq_attribute_code"),)

    id: int = Field(default=None, primary_key=True)
    publication_id: int
    code: str = Field(sa_column=Column(String(40), nullable=False))
    kind: AttributeKind = Field(sa_column=Column(words_column(AttributeKind, "ck_attribute_kind"), nullable=False))


class AttributeValue(SQLModel, table=True):
    """One reader's value of an attribute: as text (dates as 2026-11-23), or as a number (yes is 1)."""

    __tablename__ = "attribute_value"
    __table_args__ = (
        Index("ix_attribute_value_text", "attribute_id", "text"),
        Index("ix_attribute_value_number", "attribute_id", "number"),
    )

    subscription_id: int = Field(
        sa_column=Column(
            Integer, ForeignKey("subscription.id", name="fk_attribute_value_subscription"), primary_key=True
        )
    )
    attribute_id: int = Field(
        sa_column=Column(Integer, ForeignKey("attribute.id", name="fk_attribute_value_attribute"), primary_key=True)
    )
    text: str | None = Field(default=None, sa_column=Column(String(200), nullable=True))
    number: float | None = None


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
        sa_column=Column(words_column(SuppressionReason, "ck_suppression_reason"), nullable=False)
    )
    #: Where the reason came from: a webhook, a pull, a file, a command. Never an address.
    origin: str
    created_at: datetime
    created_by: str
    lifted_at: datetime | None = None
    lifted_by: str = ""
