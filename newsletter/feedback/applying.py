"""Applying: what was done is brought level with what ought to be. After ``consequences.decide``; one address at a time.

What ought to be is decided over the whole history, so a later event can also take something back: a pause after four
soft bounces in a row is none where a late event says that the mail in between arrived.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from newsletter.feedback.consequences import Decision, decide
from newsletter.feedback.histories import Known, Surges, histories, limits_of_all
from newsletter.feedback.models import Consequence, ConsequenceState, Deed, FeedbackEventRow, Surge
from newsletter.feedback.removals import order_removal, removed_at
from newsletter.feedback.standing import state_now
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


def bring_level(session: Session, address_hashes: Collection[str], scene: Scene) -> int:
    """Bring the consequences of these addresses level with what was said of them; tell how many changed."""
    limits, surges = limits_of_all(session), _surges(session)
    changes = 0
    # A surge may touch more addresses than a statement can name.
    hashes = sorted(address_hashes)
    for some in (hashes[first : first + _AT_ONCE] for first in range(0, len(hashes), _AT_ONCE)):
        known, done = histories(session, some, surges), _done(session, some)
        changes += sum(
            _bring_level(session, one, decide(one.history, limits), done.get(address_hash, {}), surges, scene)
            for address_hash, one in sorted(known.items())
        )
    return changes


_AT_ONCE = 500


_Key = tuple[int, Deed, str, int]


def _surges(session: Session) -> Surges:
    return {(row.mailing_id, row.provider): row.decision for row in session.exec(select(Surge))}


def _done(session: Session, address_hashes: Collection[str]) -> dict[str, dict[_Key, Consequence]]:
    found = select(Consequence).where(col(Consequence.address_hash).in_(address_hashes))
    done: dict[str, dict[_Key, Consequence]] = {}
    for row in session.exec(found.order_by(col(Consequence.id)).execution_options(populate_existing=True)):
        done.setdefault(row.address_hash, {})[row.event_id, row.deed, row.reason or "", row.publication_id] = row
    return done


def _bring_level(  # noqa: PLR0913, PLR0917 - what is known, what ought to be, and what was done
    session: Session,
    known: Known,
    decisions: Collection[Decision],
    done: Mapping[_Key, Consequence],
    surges: Surges,
    scene: Scene,
) -> int:
    ought = {_key(one): one for one in decisions}
    changes = 0
    undone = [(row, removed_at(session, row)) for row in done.values() if row.state is ConsequenceState.undone]
    for key, decision in ought.items():
        event = known.events[decision.fact.event_id]
        state = state_now(decision, known, done.get(key), undone, surges)
        if key in done:
            changes += _move(session, done[key], decision, event, state, scene)
        else:
            changes += _begin(session, decision, known, event, state, scene)
    for key in set(done) - set(ought):
        # What was taken back stays so, whatever becomes of its ground.
        if done[key].state is not ConsequenceState.undone:
            _take_away(session, done[key], scene)
            changes += 1
    return changes


def _key(decision: Decision) -> _Key:
    return decision.fact.event_id, decision.deed, decision.reason or "", decision.publication_id or 0


def _begin(  # noqa: PLR0913, PLR0917 - what, of whom, why, and where it stands
    session: Session, decision: Decision, known: Known, event: FeedbackEventRow, state: ConsequenceState, scene: Scene
) -> int:
    row = Consequence(
        event_id=event.id,
        deed=decision.deed,
        reason=decision.reason,
        publication_id=decision.publication_id or 0,
        address_hash=event.address_hash,
        subscriber_id=event.subscriber_id or known.subscriber_id,
        state=state,
        at=scene.now,
    )
    session.add(row)
    session.flush()
    _stand(session, row, decision, event, scene)
    return 1


def _stand(session: Session, row: Consequence, decision: Decision, event: FeedbackEventRow, scene: Scene) -> None:
    """Do what the state that a consequence has come into asks for."""
    if row.state is ConsequenceState.applied:
        carry_out(session, row, event, scene)
    # Not only an echo of what an operator took back: then that was ordered with it.
    if row.state is ConsequenceState.undone and (decision.is_excused or decision.bounces):
        order_removal(session, row)


def _move(  # noqa: PLR0913, PLR0917 - what, why, and where it stands
    session: Session,
    row: Consequence,
    decision: Decision,
    event: FeedbackEventRow,
    state: ConsequenceState,
    scene: Scene,
) -> int:
    if row.state is state:
        return 0
    if row.state is ConsequenceState.applied:
        revert(session, row, scene)
    row.state = state
    session.add(row)
    session.flush()
    _stand(session, row, decision, event, scene)
    return 1


def _take_away(session: Session, row: Consequence, scene: Scene) -> None:
    if row.state is ConsequenceState.applied:
        revert(session, row, scene)
    session.delete(row)
    session.flush()


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


def revert(session: Session, row: Consequence, scene: Scene) -> None:
    """Take back what a consequence did; what another consequence or another hand did as well stays."""
    if row.deed is Deed.leave:
        _let_back(session, row, scene)
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
    lift_by_id(session, made, by=scene.by, now=scene.now)


def _heir(session: Session, row: Consequence, does_the_same: ColumnElement[bool]) -> Consequence | None:
    others = select(Consequence).where(
        Consequence.address_hash == row.address_hash,
        Consequence.state == ConsequenceState.applied,
        Consequence.id != row.id,
        does_the_same,
    )
    return session.exec(others.order_by(col(Consequence.id)).limit(1)).first()


def _let_back(session: Session, row: Consequence, scene: Scene) -> None:
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
            restore(session, subscription_id, channel, by=scene.by, now=scene.now)
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
