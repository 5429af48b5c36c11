"""Policies in the store: one row a publication, written by operators, read by everything that mails."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import JSON, Column, ForeignKey, Integer
from sqlmodel import Field, Session, SQLModel

from newsletter.delivery.policy import Policy, UnknownPolicy
from newsletter.errors import Refused
from subscribers.actors import Actor


class SendingPolicy(SQLModel, table=True):
    """A publication's own policy; without a row the defaults hold (``policy.Policy``)."""

    __tablename__ = "sending_policy"

    publication_id: int = Field(
        sa_column=Column(Integer, ForeignKey("publication.id", name="fk_sending_policy_publication"), primary_key=True)
    )
    #: What differs from the defaults, by the names of ``Policy``.
    said: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    changed_at: datetime
    changed_by: str
    #: The pace of all of its mailings together: no batch is claimed before. The row is the lock of those who claim.
    not_before: datetime | None = None


def policy_of(session: Session, publication_id: int) -> Policy:
    """Give a publication's policy."""
    row = session.get(SendingPolicy, publication_id)
    return Policy.model_validate(row.said if row else {})


def set_policy(session: Session, publication_id: int, said: Mapping[str, Any], *, by: Actor, now: datetime) -> Policy:
    """Change what is named and leave the rest; ``None`` brings a default back.

    Raises:
        Refused: A name or value cannot be used, or two contradict each other; the sentence says which and why.
    """
    row = session.get(SendingPolicy, publication_id)
    wished = {**(row.said if row else {}), **said}
    try:
        policy = Policy.model_validate({name: value for name, value in wished.items() if value is not None})
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise Refused(f"policy: {wrong}; `newsletter mailing policy` shows every name") from None
    if policy.unknown is UnknownPolicy.resend and policy.quiet >= policy.stale_content:
        # Not in the model: what is stored must stay readable.
        raise Refused(
            f"policy: with quiet_minutes={policy.quiet_minutes:g} and stale_content_minutes="
            f"{policy.stale_content_minutes} every request is old before unknown=resend may mail it once more, and "
            "asks: make the first smaller or the second larger"
        )
    kept = policy.model_dump(mode="json", exclude_defaults=True)
    session.merge(SendingPolicy(publication_id=publication_id, said=kept, changed_at=now, changed_by=str(by)))
    return policy
