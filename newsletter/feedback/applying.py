"""Applying: what a consequence does, and how it is taken back. For ``levelling`` and ``undoing``."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from newsletter.feedback.models import Consequence, ConsequenceState, Deed, FeedbackEventRow
from newsletter.outbox import cancel
from newsletter.providers.feedback import FeedbackKind
from subscribers.actors import Actor, ActorKind
from subscribers.hashing import AddressHasher
from subscribers.leaving import LeavingChannel, leave_by_provider, restore
from subscribers.models import Subscription, SubscriptionState
from subscribers.suppression import HashedOrder, add_hashed, lift_by_id


PROVIDER = Actor(ActorKind.provider, "sendgrid")


@dataclass(frozen=True)
class Scene:
    """What consequences are applied with: who acts, when, with which pepper, and on which side of NOT LIVE."""

    hasher: AddressHasher
    by: Actor
    now: datetime
    live: bool | None = None


def carry_out(session: Session, row: Consequence, event: FeedbackEventRow, scene: Scene) -> None:
    """Do what a consequence says."""
    if row.deed is Deed.leave:
        _leave(session, row, event, scene)
        return
    if row.reason is None:
        raise ValueError(f"consequence {row.id} suppresses for no reason")
    order = HashedOrder(row.address_hash, row.reason, row.publication_id or None, f"event {event.id}: {event.said}")
    row.suppression_id = add_hashed(session, order, hasher=scene.hasher, by=scene.by, now=scene.now)
    session.add(row)
    session.flush()


def revert(session: Session, row: Consequence, *, by: Actor, now: datetime) -> None:
    """Take back what a consequence did; what another consequence or another hand did as well stays."""
    if row.deed is Deed.leave:
        _let_back(session, row, by=by, now=now)
        return
    made = row.suppression_id
    row.suppression_id = None
    session.add(row)
    session.flush()
    if made is None:
        return
    # Another that found it standing holds it from now on.
    same = (col(Consequence.reason) == row.reason) & (col(Consequence.publication_id) == row.publication_id)
    if heir := _heir(session, row, same & (col(Consequence.deed) != Deed.leave)):
        heir.suppression_id = made
        session.add(heir)
        session.flush()
        return
    lift_by_id(session, made, by=by, now=now)


def _heir(session: Session, row: Consequence, does_the_same: ColumnElement[bool]) -> Consequence | None:
    others = select(Consequence).where(
        Consequence.address_hash == row.address_hash,
        Consequence.state == ConsequenceState.applied,
        Consequence.id != row.id,
        does_the_same,
    )
    return session.exec(others.order_by(col(Consequence.id)).limit(1)).first()


def _let_back(session: Session, row: Consequence, *, by: Actor, now: datetime) -> None:
    """Let the subscriptions stand again that a consequence ended, but for those that another ends as well."""
    for subscription_id in _numbers(row.ended):
        here = session.get_one(Subscription, subscription_id).publication_id
        ends_it = (col(Consequence.deed) == Deed.leave) & col(Consequence.publication_id).in_((0, here))
        if heir := _heir(session, row, ends_it):
            heir.ended = f"{heir.ended} {subscription_id}".strip()
            session.add(heir)
            continue
        # An heir did not end it by its own event.
        for channel in (LeavingChannel.complaint, LeavingChannel.provider):
            restore(session, subscription_id, channel, by=by, now=now)
    row.ended = ""
    session.add(row)
    session.flush()


def _leave(session: Session, row: Consequence, event: FeedbackEventRow, scene: Scene) -> None:
    ended = [
        one
        for one in _subscriptions(session, row, event)
        if leave_by_provider(session, one, _channel(event), by=scene.by, now=scene.now)
    ]
    cancel(session, ended, reason="the reader left", now=scene.now)
    row.ended = " ".join(map(str, ended))
    session.add(row)
    session.flush()


def _subscriptions(session: Session, row: Consequence, event: FeedbackEventRow) -> list[int]:
    """Give what a reader leaves: the publication that the mail was of, else everything; not what they came back to."""
    if row.subscriber_id is None:
        return []
    theirs = select(Subscription).where(
        Subscription.subscriber_id == row.subscriber_id, col(Subscription.state) != SubscriptionState.left
    )
    if row.publication_id:
        theirs = theirs.where(Subscription.publication_id == row.publication_id)
    found = session.exec(theirs.order_by(col(Subscription.id))).all()
    return [one.id for one in found if not one.confirmed_at or one.confirmed_at <= event.at]


def _channel(event: FeedbackEventRow) -> LeavingChannel:
    return LeavingChannel.complaint if event.kind is FeedbackKind.complained else LeavingChannel.provider


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split()]
