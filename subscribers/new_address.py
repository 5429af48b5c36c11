"""A new address: a reader asks in the preferences, the owner of the new mailbox confirms. Beside ``opt_in``.

The subscriptions stay; their mails go elsewhere, in every publication that the person reads here. Until the click
everything goes to the address of before. Whether the new one is known here is shown to its own owner alone.
"""

from datetime import datetime

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from subscribers.actors import Actor
from subscribers.addresses import Address, parse_address
from subscribers.bulk import insert_all
from subscribers.consent import Evidence, Proof, record
from subscribers.consent_models import ConsentKind, OptIn, OptInKind
from subscribers.hashing import AddressHasher, begin_with_pepper
from subscribers.models import AddressHash, Subscriber, Subscription, SubscriptionState
from subscribers.opt_in import READER_CAN_LIFT, Answer, Asked, Asking, Click, Confirmation, locked
from subscribers.roster import SubscriptionView, find_subscription
from subscribers.suppression import lift_own, reasons_by_key


def ask_for_address(  # noqa: PLR0913 - the shape of every use case, with the proof and the pepper
    session: Session,
    reader: SubscriptionView,
    address: Address,
    evidence: Evidence,
    *,
    hasher: AddressHasher,
    by: Actor,
    now: datetime,
) -> Asked:
    """Take a reader's wish for a new address, and tell what to mail there. The answer holds for one wish at a time."""
    if not reader.email or address.key == reader.email.casefold():
        return Asked(Asking.silent, reader.id)
    reasons = reasons_by_key(session, reader.publication_id, [address.key], hasher=hasher).get(address.key, ())
    if set(reasons) - READER_CAN_LIFT:
        return Asked(Asking.silent, reader.id)
    _close_others(session, reader.id, now)
    wish = OptIn(
        kind=OptInKind.address,
        publication_id=reader.publication_id,
        subscription_id=reader.id,
        plan_id=reader.plan_id,
        locale=reader.locale,
        new_address=address.typed,
        created_at=now,
    )
    session.add(wish)
    session.flush()
    proof = Proof(ConsentKind.address_asked, "preferences", {"request": str(wish.id)}, evidence=evidence)
    record(session, reader, proof, by=by, now=now)
    return Asked(Asking.confirm, reader.id, wish.id)


def confirm_address(session: Session, click: Click, *, hasher: AddressHasher, by: Actor, now: datetime) -> Confirmation:
    """Give a reader the new address that its owner confirms. Twice is fine, and recorded once.

    The evidence of the event that it writes keeps the address of before, so that word of the change can be sent there.
    """
    wish = locked(session, click.request_id, OptInKind.address)
    if wish is None:
        return Confirmation(Answer.ended)
    before = find_subscription(session, wish.subscription_id)
    if wish.confirmed_at:
        return Confirmation(Answer.already, before)
    if wish.closed_at or not before.email or not wish.new_address:
        return Confirmation(Answer.ended, before)
    address = parse_address(wish.new_address)
    if answer := _refusal(session, before, address, hasher):
        return Confirmation(answer, before)
    wish.confirmed_at, wish.new_address = now, ""
    session.add(wish)
    _move(session, before.subscriber_id, address, hasher, now)
    lift_own(session, before.publication_id, address.email, READER_CAN_LIFT, hasher=hasher, by=by, now=now)
    proven = Evidence(address.typed, before.email, click.evidence.ip, click.evidence.user_agent)
    proof = Proof(ConsentKind.address_changed, "confirm link", {"request": str(wish.id)}, evidence=proven)
    events = {
        one.id: record(session, one, proof, by=by, now=now) for one in _subscriptions(session, before.subscriber_id)
    }
    return Confirmation(Answer.confirmed, find_subscription(session, before.id), events[before.id])


def _refusal(session: Session, reader: SubscriptionView, address: Address, hasher: AddressHasher) -> Answer | None:
    if session.exec(select(Subscriber.id).where(Subscriber.address_key == address.key)).first():
        return Answer.taken
    reasons = reasons_by_key(session, reader.publication_id, [address.key], hasher=hasher).get(address.key, ())
    return Answer.suppressed if set(reasons) - READER_CAN_LIFT else None


def _move(session: Session, subscriber_id: int, address: Address, hasher: AddressHasher, now: datetime) -> None:
    begin_with_pepper(session, hasher, now=now)
    values = {
        "address_typed": address.typed,
        "email": address.email,
        "address_key": address.key,
        "domain": address.domain,
    }
    session.execute(update(Subscriber).where(col(Subscriber.id) == subscriber_id).values(**values))
    session.execute(delete(AddressHash).where(col(AddressHash.subscriber_id) == subscriber_id))
    hashes = hasher.hashes(address.key).items()
    insert_all(
        session,
        AddressHash,
        [{"subscriber_id": subscriber_id, "key_id": key_id, "hash": one} for key_id, one in hashes],
    )


def _subscriptions(session: Session, subscriber_id: int) -> list[SubscriptionView]:
    found = select(Subscription.id).where(
        Subscription.subscriber_id == subscriber_id, Subscription.state != SubscriptionState.lapsed
    )
    return [find_subscription(session, one) for one in session.exec(found)]


def _close_others(session: Session, subscription_id: int, now: datetime) -> None:
    mine = (col(OptIn.subscription_id) == subscription_id) & (col(OptIn.kind) == OptInKind.address)
    open_ = col(OptIn.closed_at).is_(None) & col(OptIn.confirmed_at).is_(None)
    session.execute(update(OptIn).where(mine, open_).values(closed_at=now, new_address=""))
