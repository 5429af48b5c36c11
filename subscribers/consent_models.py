"""The tables of consent: the words readers agreed to, the ledger of what they did, and what is open between the two.

Rows of ``consent_text`` and ``consent_event`` are only ever inserted; the database itself refuses anything else (a
trigger of the migration). Neither holds personal data: address, IP and browser stand in ``consent_evidence``, which
points at its event and is emptied when the person is forgotten.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from subscribers.models import words_column


class ConsentKind(StrEnum):
    """What a consent event proves."""

    asked = "asked"
    confirm_sent = "confirm_sent"
    added = "added"
    imported = "imported"
    confirmed = "confirmed"
    plan_changed = "plan_changed"
    paused = "paused"
    resumed = "resumed"
    address_asked = "address_asked"
    address_changed = "address_changed"
    left = "left"
    reason_given = "reason_given"
    returned = "returned"
    lapsed = "lapsed"
    erased = "erased"


class OptInKind(StrEnum):
    """What a request waits to have confirmed."""

    subscribe = "subscribe"
    address = "address"


class ConsentText(SQLModel, table=True):
    """The words that a sign-up form showed, verbatim, in one language; a change makes a new version."""

    __tablename__ = "consent_text"
    __table_args__ = (
        UniqueConstraint("publication_id", "locale", "version", name="uq_consent_text_version"),
        UniqueConstraint("publication_id", "sha256", name="uq_consent_text_sha256"),
    )

    id: int = Field(default=None, primary_key=True)
    publication_id: int
    locale: str = Field(sa_column=Column(String(20), nullable=False))
    version: int
    text: str = Field(sa_column=Column(Text, nullable=False))
    #: Of language, text, and the privacy policy's address and version, so that each of them is proven.
    sha256: str = Field(sa_column=Column(String(64), nullable=False))
    privacy_url: str
    privacy_version: str
    created_at: datetime


class ConsentEvent(SQLModel, table=True):
    """Proof of one asking, confirming, changing or leaving. Only ever inserted."""

    __tablename__ = "consent_event"
    __table_args__ = (
        Index("ix_consent_event_subscription", "subscription_id"),
        # Reports ask what happened in some weeks.
        Index("ix_consent_event_kind", "publication_id", "kind", "at"),
    )

    id: int = Field(default=None, primary_key=True)
    publication_id: int
    subscriber_id: int = Field(
        sa_column=Column(Integer, ForeignKey("subscriber.id", name="fk_consent_event_subscriber"), nullable=False)
    )
    subscription_id: int = Field(
        sa_column=Column(Integer, ForeignKey("subscription.id", name="fk_consent_event_subscription"), nullable=False)
    )
    plan_id: int = Field(sa_column=Column(Integer, ForeignKey("plan.id", name="fk_consent_event_plan"), nullable=False))
    kind: ConsentKind = Field(sa_column=Column(words_column(ConsentKind, "ck_consent_event_kind"), nullable=False))
    at: datetime
    by: str
    #: The way it came: a form's address, a channel of leaving, a run of an import, a command.
    source: str
    #: What the form showed, where it came from a form.
    consent_text_id: int | None = Field(
        default=None,
        sa_column=Column(Integer, ForeignKey("consent_text.id", name="fk_consent_event_text"), nullable=True),
    )
    frequency: str = Field(default="", sa_column=Column(String, nullable=False, server_default=""))
    locale: str = Field(default="", sa_column=Column(String(20), nullable=False, server_default=""))
    #: What else proves it: file and row, the basis of consent. Never an address.
    detail: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))


class ConsentEvidence(SQLModel, table=True):
    """The personal part of an event's proof, apart from the ledger so that it can be emptied."""

    __tablename__ = "consent_evidence"

    event_id: int = Field(
        sa_column=Column(Integer, ForeignKey("consent_event.id", name="fk_consent_evidence_event"), primary_key=True)
    )
    subscriber_id: int = Field(
        sa_column=Column(
            Integer, ForeignKey("subscriber.id", name="fk_consent_evidence_subscriber"), nullable=False, index=True
        )
    )
    address_typed: str = ""
    #: The address before, where the event changed it.
    address_before: str = ""
    ip: str = ""
    user_agent: str = ""


class OptIn(SQLModel, table=True):
    """A request that waits for its confirming click: to subscribe, or to get the mails at another address."""

    __tablename__ = "opt_in"
    __table_args__ = (Index("ix_opt_in_subscription", "subscription_id"),)

    id: int = Field(default=None, primary_key=True)
    kind: OptInKind = Field(sa_column=Column(words_column(OptInKind, "ck_opt_in_kind"), nullable=False))
    publication_id: int
    subscription_id: int = Field(
        sa_column=Column(Integer, ForeignKey("subscription.id", name="fk_opt_in_subscription"), nullable=False)
    )
    plan_id: int = Field(sa_column=Column(Integer, ForeignKey("plan.id", name="fk_opt_in_plan"), nullable=False))
    locale: str = Field(default="", sa_column=Column(String(20), nullable=False, server_default=""))
    #: The new address, of a request to change it; emptied when it ends.
    new_address: str = ""
    created_at: datetime
    confirmed_at: datetime | None = None
    #: Ended without being confirmed: the reader left, asked anew, or let it lapse.
    closed_at: datetime | None = None
