"""The tables of doubt: who was in a request of unknown outcome, what was asked and heard of it, and who decided.

Beside ``models``. All of it is small: a row here is written only where an answer was lost, and for each minute in which
events came.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from newsletter.providers.sendgrid_activity import Finding
from subscribers.models import words_column


class Doubt(SQLModel, table=True):
    """A delivery was in this request of unknown outcome, and has left its batch since.

    Who stays in the batch needs no row: nothing ever joins a batch, so whoever is in it was in each of its requests.
    """

    __table_args__ = (Index("ix_doubt_attempt", "attempt_id"),)

    delivery_id: int = Field(
        sa_column=Column(Integer, ForeignKey("delivery.id", name="fk_doubt_delivery"), primary_key=True)
    )
    attempt_id: str = Field(
        sa_column=Column(String(22), ForeignKey("attempt.id", name="fk_doubt_attempt"), primary_key=True)
    )


class Decision(StrEnum):
    """How a request of unknown outcome was settled, or that somebody was asked."""

    #: An event named it.
    event = "event"
    #: The provider's own record of what it took has it.
    look_up = "look_up"
    #: Its answer came after all, when nobody waited any more.
    answer = "answer"
    #: A person takes it for accepted.
    accepted = "accepted"
    resend = "resend"
    give_up = "give_up"
    #: The quiet time is over and the policy says to ask; nothing is decided.
    asked = "asked"


#: What proves that a request was accepted; everything else is a decision without proof.
PROOFS = (Decision.event, Decision.look_up, Decision.answer)


class Settlement(SQLModel, table=True):
    """Who settled a request, how, and what was known then. Append-only: the audit of doubts."""

    __table_args__ = (
        UniqueConstraint("attempt_id", "decision", name="uq_settlement_decision"),
        Index("ix_settlement_batch", "batch_id"),
    )

    id: int = Field(default=None, primary_key=True)
    batch_id: int = Field(sa_column=Column(Integer, ForeignKey("batch.id", name="fk_settlement_batch"), nullable=False))
    attempt_id: str = Field(
        sa_column=Column(String(22), ForeignKey("attempt.id", name="fk_settlement_attempt"), nullable=False)
    )
    decision: Decision = Field(sa_column=Column(words_column(Decision, "ck_settlement_decision"), nullable=False))
    by: str
    at: datetime
    #: What was known, in a sentence.
    evidence: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))


class EventMinute(SQLModel, table=True):
    """A minute in which genuine events about requests of ours came; by these the quiet time passes."""

    __tablename__ = "event_minute"

    minute: datetime = Field(primary_key=True)
    #: When the last of them came.
    last_at: datetime
    events: int


class LookUp(SQLModel, table=True):
    """What the provider's record of messages was last asked about a request, and said."""

    __tablename__ = "look_up"
    __table_args__ = (Index("ix_look_up_asked", "asked_at"),)

    attempt_id: str = Field(
        sa_column=Column(String(22), ForeignKey("attempt.id", name="fk_look_up_attempt"), primary_key=True)
    )
    asked_at: datetime
    finding: Finding = Field(sa_column=Column(words_column(Finding, "ck_look_up_finding"), nullable=False))
    said: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
