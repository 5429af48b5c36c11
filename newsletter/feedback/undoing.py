"""Undoing: an operator looks at consequences and takes them back, singly or many at once. After ``levelling``.

What is undone is also taken off the provider's own list (``removals``), and what the provider has said again of it, or
says of the time before, leads to nothing: so the next pull does not bring it back.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, func, true
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from newsletter.errors import NotFound
from newsletter.feedback.alone import alone
from newsletter.feedback.applying import Scene, revert
from newsletter.feedback.consequences import Limits
from newsletter.feedback.histories import limits_of_all
from newsletter.feedback.levelling import bring_level
from newsletter.feedback.lifts import note_lifts
from newsletter.feedback.models import Consequence, ConsequenceState, Deed, FeedbackEventRow
from newsletter.feedback.removals import order_removal
from newsletter.feedback.standing import STANDS
from subscribers.actors import Actor
from subscribers.addresses import mask
from subscribers.models import Subscriber, SuppressionReason


@dataclass(frozen=True)
class Choice:
    """Which consequences are meant: those that fit all that is said.

    Attributes:
        text: Words of the receiving server, case aside.
    """

    ids: Sequence[int] = ()
    mailing_id: int | None = None
    provider: str = ""
    text: str = ""
    reason: SuppressionReason | None = None
    state: ConsequenceState | None = None


def said_of(session: Session, subscriber_ids: Collection[int]) -> list[dict[str, Any]]:
    """Give every event about these people, each with what followed from it, for who asks what is held of them."""
    events = session.exec(select(FeedbackEventRow).where(col(FeedbackEventRow.subscriber_id).in_(subscriber_ids))).all()
    rows = session.exec(select(Consequence).where(col(Consequence.subscriber_id).in_(subscriber_ids))).all()
    return [
        one.model_dump() | {"consequences": [row.model_dump() for row in rows if row.event_id == one.id]}
        for one in sorted(events, key=lambda one: one.id)
    ]


@dataclass(frozen=True)
class ConsequenceView:
    """A consequence with the event that led to it."""

    id: int
    state: ConsequenceState
    deed: Deed
    reason: str
    publication_id: int
    masked_address: str
    provider: str
    mailing_id: int | None
    said: str
    status: str
    text: str
    rule: str
    happened_at: datetime
    at: datetime
    undone_by: str


def list_consequences(
    session: Session, choice: Choice, *, after: int = 0, limit: int | None = None
) -> list[ConsequenceView]:
    """List consequences by ascending id; the next page begins ``after`` the last id of this one."""
    found = (
        select_columns(Consequence, FeedbackEventRow, col(Subscriber.email))
        .join(FeedbackEventRow, col(FeedbackEventRow.id) == col(Consequence.event_id))
        .outerjoin(Subscriber, col(Subscriber.id) == col(Consequence.subscriber_id))
        .where(_chosen(choice), col(Consequence.id) > after)
        .order_by(col(Consequence.id))
        .limit(limit)
    )
    return [_view(*row) for row in session.execute(found)]


def find_consequence(session: Session, consequence_id: int) -> ConsequenceView:
    """Find one consequence.

    Raises:
        NotFound: There is none of this number.
    """
    found = list_consequences(session, Choice(ids=(consequence_id,)))
    if not found:
        raise NotFound(f"there is no consequence {consequence_id}: `newsletter feedback list` shows them")
    return found[0]


def _view(row: Consequence, event: FeedbackEventRow, email: str | None) -> ConsequenceView:
    return ConsequenceView(
        id=row.id,
        state=row.state,
        deed=row.deed,
        reason=row.reason or "",
        publication_id=row.publication_id,
        masked_address=mask(email) if email else "",
        provider=event.provider,
        mailing_id=event.mailing_id,
        said=event.said,
        status=event.status,
        text=event.text,
        rule=event.rule,
        happened_at=event.at,
        at=row.at,
        undone_by=row.undone_by,
    )


def _chosen(choice: Choice) -> ColumnElement[bool]:
    chosen: ColumnElement[bool] = true()
    if choice.ids:
        chosen &= col(Consequence.id).in_(choice.ids)
    if choice.mailing_id is not None:
        chosen &= col(FeedbackEventRow.mailing_id) == choice.mailing_id
    if choice.provider:
        chosen &= col(FeedbackEventRow.provider) == choice.provider
    if choice.text:
        chosen &= col(FeedbackEventRow.text).icontains(choice.text, autoescape=True)
    if choice.reason is not None:
        chosen &= col(Consequence.reason) == choice.reason
    if choice.state is not None:
        chosen &= col(Consequence.state) == choice.state
    return chosen


def count_chosen(session: Session, choice: Choice) -> int:
    """Count the consequences that can be taken back."""
    found = select(func.count()).select_from(Consequence).where(col(Consequence.id).in_(_taken_back_with(choice)))
    return session.exec(found).one()


def _taken_back_with(choice: Choice) -> Select[Any]:
    """Choose what can be taken back: with a suppression also the departure that the same event was."""
    stands = col(Consequence.state).in_(STANDS)
    chosen = select_columns(col(Consequence.id), col(Consequence.event_id))
    chosen = chosen.join(FeedbackEventRow, col(FeedbackEventRow.id) == col(Consequence.event_id))
    these = chosen.where(_chosen(choice), stands).subquery()
    departed = col(Consequence.event_id).in_(select_columns(these.c.event_id)) & (col(Consequence.deed) == Deed.leave)
    either = col(Consequence.id).in_(select_columns(these.c.id)) | departed
    return select_columns(col(Consequence.id)).where(either, stands)


def undo(session: Session, choice: Choice, scene: Scene) -> int:
    """Take consequences back, and have their addresses taken off the provider's lists; tell how many there were.

    What the provider has said again of their events is taken back with them.
    """
    alone(session)
    found = (
        select(Consequence, FeedbackEventRow)
        .join(FeedbackEventRow, col(FeedbackEventRow.id) == col(Consequence.event_id))
        .where(col(Consequence.id).in_(_taken_back_with(choice)))
        .order_by(col(Consequence.id))
    )
    rows = session.exec(found).all()
    for row, event in rows:
        was_applied = row.state is ConsequenceState.applied
        # First, so that none of these inherits what another of them gives up.
        row.state, row.undone_at, row.undone_by = ConsequenceState.undone, scene.now, str(scene.by)
        session.add(row)
        session.flush()
        if was_applied:
            revert(session, row, by=scene.by, now=scene.now)
        order_removal(session, row, event)
    bring_level(session, {row.address_hash for row, _ in rows}, scene)
    return len(rows)


def begin_probes(session: Session, *, by: Actor, now: datetime) -> int:
    """End the pauses that are over, so that the next issue tries the address once more; tell how many there were."""
    alone(session)
    limits = limits_of_all(session)
    paused = select(Consequence).where(Consequence.deed == Deed.pause, Consequence.state == ConsequenceState.applied)
    over = [
        row
        for row in session.exec(paused.order_by(col(Consequence.id)))
        if row.at + timedelta(days=limits.get(row.publication_id, Limits()).probe_days) <= now
    ]
    # Whose pause another hand has ended is on no probe.
    note_lifts(session, [row.address_hash for row in over])
    due = [row for row in over if row.state is ConsequenceState.applied]
    for row in due:
        row.state = ConsequenceState.probing
        revert(session, row, by=by, now=now)
    return len(due)
