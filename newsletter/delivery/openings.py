"""Openings: from which lanes a batch may be claimed now, and the pace that each claim uses up. Called by ``claims``.

A lane is open while its mailing runs, nothing holds it, its pace allows it and the provider is there. Lanes are looked
at, not batches: a mailing has a dozen, so that a thousand batches that wait behind a held one cost nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, Boolean, ColumnElement, Select, bindparam, func, or_, text, update
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from newsletter.delivery.lifecycle import BatchState, MailingState
from newsletter.delivery.models import WAITS, Batch, Delivery, Lane, Mailing
from newsletter.delivery.pacing import next_time
from newsletter.delivery.policies import SendingPolicy
from newsletter.delivery.policy import Policy
from subscribers.bulk import table_of


UNDER_WAY = (BatchState.claimed, BatchState.submitting)


@dataclass(frozen=True)
class Opening:
    """A lane in which a batch waits that may be claimed.

    Attributes:
        retry_at: Set where the claim would be the probe of a provider that was away.
        said: What the publication's policy says.
        oldest: The batch that comes first.
    """

    publication_id: int
    mailing_id: int
    lane: str
    wave: int
    retry_at: datetime | None
    said: Mapping[str, Any] | None
    oldest: int


def waits_in(mailing_id: object, lane: object, wave: object, now: object) -> ColumnElement[bool]:
    """Tell in SQL which batches of a lane may be claimed."""
    due = or_(col(Batch.not_before).is_(None), col(Batch.not_before) <= now)
    mine = (col(Batch.mailing_id) == mailing_id) & (col(Batch.lane) == lane) & (col(Batch.wave) <= wave)
    return mine & text(f"batch.state {WAITS}") & due


def openings(session: Session, *, live: bool, now: datetime) -> list[Opening]:
    """List the open lanes of one side of NOT LIVE, the one with the oldest batch first; nothing is locked."""
    found = session.execute(_open_lanes(), {"now": now, "live": live})
    rows = [Opening(*row) for row in found if row.oldest is not None]
    return sorted(rows, key=lambda one: one.oldest)


@cache
def _open_lanes() -> Select[Any]:
    """Write the question once: it is asked for every batch, and writing it would take longer than the answer."""
    now: BindParameter[datetime] = bindparam("now", type_=table_of(Mailing).c.due_at.type)
    oldest = (
        select(Batch.id)
        .where(waits_in(col(Lane.mailing_id), col(Lane.lane), col(Lane.wave), now))
        .order_by(col(Batch.wave), col(Batch.id))
        .limit(1)
        .correlate(Lane)
        .scalar_subquery()
    )
    passed = [
        or_(moment.is_(None), moment <= now)
        for moment in (col(Mailing.first_call_at), col(Mailing.retry_at), col(Lane.not_before))
    ]
    runs = (col(Mailing.state) == MailingState.running) & (col(Mailing.live) == bindparam("live", type_=Boolean()))
    columns = (col(Lane.mailing_id), col(Lane.lane), col(Lane.wave), col(Mailing.retry_at), col(SendingPolicy.said))
    return (
        select_columns(col(Mailing.publication_id), *columns, oldest.label("oldest"))
        .join(Mailing, col(Mailing.id) == col(Lane.mailing_id))
        .join(SendingPolicy, col(SendingPolicy.publication_id) == col(Mailing.publication_id), isouter=True)
        .where(runs, col(Lane.held_at).is_(None), *passed)
    )


@dataclass(frozen=True)
class Gate:
    """A publication's pace as a claim meets it; while it is limited, claims of the publication go one by one."""

    publication_id: int
    policy: Policy
    is_open: bool
    not_before: datetime | None = None

    def rate_of(self, lane: str) -> float:
        """Tell how many recipients a second a lane may have; 0: no limit."""
        return self.policy.provider_per_second.get(lane, 0.0)


def gate_of(session: Session, opening: Opening, *, waits: bool, now: datetime) -> Gate:
    """Look whether a publication may make one more call now, and lock its pace where it has one.

    Args:
        session: Where the claim is made.
        opening: The lane in question.
        waits: Whether to wait for another claim of this publication; whoever has locked a pace already must not.
        now: When.
    """
    publication_id, policy = opening.publication_id, Policy.model_validate(opening.said or {})
    if not policy.paces:
        return Gate(publication_id, policy, is_open=True)
    # One claim at a time reads and reserves: two workers would both find the last place free.
    mine = select(SendingPolicy.publication_id, SendingPolicy.not_before).where(
        SendingPolicy.publication_id == publication_id
    )
    if (locked := session.exec(mine.with_for_update(skip_locked=not waits)).first()) is None:
        return Gate(publication_id, policy, is_open=False)
    not_before = locked[1]
    full = policy.requests_in_flight and _under_way(session, publication_id) >= policy.requests_in_flight
    is_open = not full and (not_before is None or not_before <= now)
    return Gate(publication_id, policy, is_open=is_open, not_before=not_before)


def _under_way(session: Session, publication_id: int, lane: str | None = None) -> int:
    """Count a publication's requests under way, all or those to one mailbox provider, of whichever of its mailings."""
    found = (
        select(func.count())
        .select_from(Batch)
        .join(Mailing, col(Mailing.id) == col(Batch.mailing_id))
        .where(col(Batch.state).in_(UNDER_WAY), Mailing.publication_id == publication_id)
    )
    return session.exec(found if lane is None else found.where(Batch.lane == lane)).one()


def is_still_open(session: Session, gate: Gate, opening: Opening, *, now: datetime) -> bool:
    """Look again, now that nobody else may: at the lane's pace and calls, and whether the probe is still to be made."""
    most = gate.policy.provider_requests_in_flight.get(opening.lane)
    if most and _under_way(session, opening.publication_id, opening.lane) >= most:
        return False
    if gate.rate_of(opening.lane):
        lane = select(Lane.not_before).where(Lane.mailing_id == opening.mailing_id, Lane.lane == opening.lane)
        not_before = session.exec(lane).one()
        if not_before is not None and not_before > now:
            return False
    if opening.retry_at is None:
        return True
    mailing = select(Mailing.retry_at).where(Mailing.id == opening.mailing_id).with_for_update(skip_locked=True)
    retry_at = session.exec(mailing).first()
    return retry_at is not None and retry_at <= now


def use_up(  # noqa: PLR0913 - what is claimed, of which lane, and when
    session: Session, gate: Gate, opening: Opening, batch_id: int, *, probe_until: datetime, now: datetime
) -> None:
    """Write down what the claim of a batch uses up: of the rates, and the probe where the circuit was open."""
    if opening.retry_at is not None:
        # Nobody else tries until this one has ended, or its worker has died.
        session.execute(update(Mailing).where(col(Mailing.id) == opening.mailing_id).values(retry_at=probe_until))
    rate, lane_rate = gate.policy.recipients_per_second, gate.rate_of(opening.lane)
    if not rate and not lane_rate:
        return
    counted = select(func.count()).where(Delivery.mailing_id == opening.mailing_id, Delivery.batch_id == batch_id)
    size = session.exec(counted).one()
    if rate:
        mine = col(SendingPolicy.publication_id) == gate.publication_id
        then = next_time(gate.not_before, size, rate, now)
        session.execute(update(SendingPolicy).where(mine).values(not_before=then))
    if lane_rate:
        _use_up_lane(session, opening, size, lane_rate, now)


def _use_up_lane(session: Session, opening: Opening, size: int, rate: float, now: datetime) -> None:
    """Reserve a mailbox provider's time in every mailing of the publication that runs: it sees one sender."""
    mine = (Lane.mailing_id == opening.mailing_id) & (Lane.lane == opening.lane)
    before = session.exec(select(Lane.not_before).where(mine)).one()
    running = select(Mailing.id).where(
        Mailing.publication_id == opening.publication_id, Mailing.state == MailingState.running
    )
    theirs = (col(Lane.lane) == opening.lane) & col(Lane.mailing_id).in_(running)
    session.execute(update(Lane).where(theirs).values(not_before=next_time(before, size, rate, now)))
