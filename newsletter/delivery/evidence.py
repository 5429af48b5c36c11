"""Evidence: what is known of each request whose outcome nobody knows. Read-only; ``settlement`` goes by it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func
from sqlalchemy import select as select_columns
from sqlmodel import Session, col

from newsletter.delivery.doubt_models import Decision, EventMinute, LookUp, Settlement
from newsletter.delivery.doubts import follows_its_batch
from newsletter.delivery.hearing import heard_since
from newsletter.delivery.lifecycle import BatchState, MailingState
from newsletter.delivery.models import Attempt, Batch, Delivery, Mailing
from newsletter.delivery.policies import policy_of
from newsletter.delivery.policy import Policy, UnknownPolicy
from newsletter.delivery.quiet import quiet_time
from newsletter.hosts import lost_times
from newsletter.providers.base import Ending


@dataclass(frozen=True)
class Evidence:
    """A request whose outcome nobody knows, with all that could tell.

    Attributes:
        recipients: How many readers it would reach if it was accepted.
        lost_calls: How many of the batch's calls ended without an answer, this one included.
        began_at: When the call began.
        ended_at: When its answer was given up.
        said: How the call ended, in words.
        events: How many events about other requests came since.
        last_event_at: When the last of them came.
        quiet: How much quiet time has passed.
        quiet_needed: After how much the policy decides.
        policy: What it decides then.
        looked_up: What the provider's own record said of it last; nothing where it was not asked.
        asked_at: When the operator was asked to decide.
        proofs_lost: Whether the store was restored since: events may have proven it in the time that was lost, and do
            not come again.
        stale_content: For how long what it says stays true, by the policy; after that a person is asked.
    """

    mailing_id: int
    mailing_state: MailingState
    batch_id: int
    number: int
    attempt_id: str
    recipients: int
    lost_calls: int
    began_at: datetime
    ended_at: datetime
    said: str
    events: int
    last_event_at: datetime | None
    quiet: timedelta
    quiet_needed: timedelta
    policy: UnknownPolicy
    looked_up: str
    looked_up_at: datetime | None
    asked_at: datetime | None
    stale_content: timedelta
    proofs_lost: bool = False

    @property
    def is_quiet(self) -> bool:
        """Whether the quiet time is over."""
        return self.quiet >= self.quiet_needed

    def ended_before(self, moment: datetime | None) -> bool:
        """Whether its call had ended by a moment."""
        return moment is not None and self.ended_at <= moment

    def is_old(self, now: datetime) -> bool:
        """Whether what it says may be true no more."""
        return now - self.ended_at > self.stale_content

    def in_words(self) -> str:
        """Say what is known in a sentence."""
        heard = f"{self.events:,} events about other requests since, {_hours(self.quiet)} of quiet time passed"
        looked = f"; SendGrid's record: {self.looked_up}" if self.looked_up else ""
        lost = "; proofs before the restore are lost" if self.proofs_lost else ""
        return f"call {self.number} at {self.began_at:%Y-%m-%d %H:%M:%S %Z}, {self.said}; {heard}{looked}{lost}"

    def as_json(self) -> dict[str, Any]:
        """Give it with times in seconds."""
        spans = {name: value.total_seconds() for name, value in vars(self).items() if isinstance(value, timedelta)}
        return asdict(self) | spans


def _hours(span: timedelta) -> str:
    return str(timedelta(seconds=int(span.total_seconds())))


def evidence_in(session: Session, mailing_id: int) -> list[Evidence]:
    """List a mailing's requests of unknown outcome, oldest first."""
    return _evidence(session, col(Batch.mailing_id) == mailing_id)


def all_evidence(session: Session, *, live: bool) -> list[Evidence]:
    """List the requests of unknown outcome in every mailing on one side of NOT LIVE, oldest first."""
    return _evidence(session, col(Mailing.live).is_(live))


def _evidence(session: Session, which: ColumnElement[bool]) -> list[Evidence]:
    found = (
        select_columns(Batch, Attempt, Mailing, LookUp, _recipients(), _lost_calls(), _asked_at())
        .join(Attempt, (col(Attempt.batch_id) == col(Batch.id)) & (col(Attempt.number) == col(Batch.attempt)))
        .join(Mailing, col(Mailing.id) == col(Batch.mailing_id))
        .join(LookUp, col(LookUp.attempt_id) == col(Attempt.id), isouter=True)
        .where(col(Batch.state) == BatchState.unknown, which)
        .order_by(col(Batch.id))
    )
    rows = session.execute(found.execution_options(populate_existing=True)).all()
    if not rows:
        return []
    # Once for all: the same minutes count for each that ended before them.
    heard = heard_since(session, min(_ended(row[1]) for row in rows))
    policies = {one: policy_of(session, one) for one in {row[2].publication_id for row in rows}}
    restored = [ended for _, ended in lost_times(session)]
    known = [_of(policies[row[2].publication_id], heard, *row) for row in rows]
    return [replace(one, proofs_lost=any(one.began_at < ended for ended in restored)) for one in known]


def _ended(attempt: Attempt) -> datetime:
    return attempt.ended_at or attempt.submitting_at


def _recipients() -> ColumnElement[int]:
    of_it = (col(Delivery.mailing_id) == col(Batch.mailing_id)) & (col(Delivery.batch_id) == col(Batch.id))
    return select_columns(func.count()).select_from(Delivery).where(of_it, follows_its_batch()).scalar_subquery()


def _lost_calls() -> ColumnElement[int]:
    lost = (col(Attempt.batch_id) == col(Batch.id)) & (col(Attempt.ending) == Ending.ambiguous)
    return select_columns(func.count()).select_from(Attempt).where(lost).correlate(Batch).scalar_subquery()


def _asked_at() -> ColumnElement[datetime]:
    asked = (col(Settlement.attempt_id) == col(Attempt.id)) & (col(Settlement.decision) == Decision.asked)
    return select_columns(col(Settlement.at)).where(asked).scalar_subquery()


def _of(  # noqa: PLR0913, PLR0917 - the columns of a row
    policy: Policy,
    heard: Sequence[EventMinute],
    batch: Batch,
    attempt: Attempt,
    mailing: Mailing,
    look_up: LookUp | None,
    recipients: int,
    lost_calls: int,
    asked_at: datetime | None,
) -> Evidence:
    ended_at = _ended(attempt)
    heard = [one for one in heard if one.last_at > ended_at]
    return Evidence(
        mailing_id=mailing.id,
        mailing_state=mailing.state,
        batch_id=batch.id,
        number=attempt.number,
        attempt_id=attempt.id,
        recipients=recipients,
        lost_calls=lost_calls,
        began_at=attempt.submitting_at,
        ended_at=ended_at,
        said=batch.state_reason or attempt.detail,
        events=sum(one.events for one in heard),
        last_event_at=heard[-1].last_at if heard else None,
        quiet=quiet_time(ended_at, [one.last_at for one in heard]),
        quiet_needed=policy.quiet,
        policy=policy.unknown,
        looked_up=f"{look_up.finding.replace('_', ' ')}: {look_up.said}".removesuffix(": ") if look_up else "",
        looked_up_at=look_up.asked_at if look_up else None,
        asked_at=asked_at,
        stale_content=policy.stale_content,
    )
