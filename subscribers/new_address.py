"""A new address: a reader asks in the preferences, the owner of the new mailbox confirms. Beside ``opt_in``.

The subscriptions stay; their mails go elsewhere, in every publication that the person reads here. Until the click
everything goes to the address of before. Whether the new one is known here is shown to its own owner alone.
"""

from datetime import datetime

from sqlalchemy import update
from sqlmodel import Session, col, select

from subscribers.actors import Actor
from subscribers.addresses import Address, parse_address
from subscribers.bulk import insert_missing
from subscribers.consent import Evidence, Proof, record
from subscribers.consent_models import ConsentEvent, ConsentEvidence, ConsentKind, OptIn, OptInKind
from subscribers.hashing import AddressHasher, begin_with_pepper
from subscribers.models import AddressHash, Subscriber, Subscription, SubscriptionState, SuppressionReason
from subscribers.opt_in import (
    READER_CAN_LIFT,
    Answer,
    Asked,
    Asking,
    Click,
    Confirmation,
    close_requests,
    locked,
    settled_answer,
)
from subscribers.roster import SubscriptionView, find_subscription
from subscribers.suppression import SuppressionOrder, add, lift_own, reasons_by_key


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
    """Take a reader's wish for a new address, and tell what to mail there.

    One wish is open at a time; asked for the same address again, its links of before stay good.
    """
    if not reader.email or address.key == reader.email.casefold():
        return Asked(Asking.silent, reader.id)
    reasons = reasons_by_key(session, reader.publication_id, [address.key], hasher=hasher).get(address.key, ())
    if set(reasons) - READER_CAN_LIFT:
        return Asked(Asking.silent, reader.id)
    wish = _open(session, reader, address, now)
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
    if answer := settled_answer(wish, before):
        return Confirmation(answer, before)
    address = parse_address(wish.new_address)
    if answer := _refusal(session, before, address, hasher):
        return Confirmation(answer, before)
    wish.confirmed_at, wish.new_address = now, ""
    session.add(wish)
    proven = Evidence(address.typed, before.email, click.evidence.ip, click.evidence.user_agent)
    proof = Proof(ConsentKind.address_changed, "confirm link", {"request": str(wish.id)}, evidence=proven)
    return _changed(session, before, address, proof, hasher=hasher, by=by, now=now)


def address_after(session: Session, event_id: int) -> str:
    """Give the address that a person has, by the event of a change; empty where there is nothing to take back."""
    event = session.get(ConsentEvent, event_id)
    if event is None or event.kind is not ConsentKind.address_changed:
        return ""
    return find_subscription(session, event.subscription_id).email


def take_back(session: Session, click: Click, *, hasher: AddressHasher, by: Actor, now: datetime) -> Confirmation:
    """Put back the address from before a change, where its mailbox says that the change was none of its owner's.

    ``click.request_id`` is the event of the ledger that the change wrote. Twice is fine, and recorded once.
    """
    event = session.get(ConsentEvent, click.request_id)
    if event is None or event.kind is not ConsentKind.address_changed:
        return Confirmation(Answer.ended)
    session.execute(select(Subscriber.id).where(col(Subscriber.id) == event.subscriber_id).with_for_update())
    after = find_subscription(session, event.subscription_id)
    typed = session.exec(select(ConsentEvidence.address_before).where(ConsentEvidence.event_id == event.id)).first()
    if not typed or not after.email:
        return Confirmation(Answer.ended, after)
    address = parse_address(typed)
    if address.key == after.email.casefold():
        return Confirmation(Answer.already, after)
    if answer := _refusal(session, after, address, hasher):
        return Confirmation(answer, after)
    close_requests(session, [one.id for one in _subscriptions(session, after.subscriber_id)], now=now)
    proven = Evidence(address.typed, "", click.evidence.ip, click.evidence.user_agent)
    proof = Proof(ConsentKind.address_changed, "taken back", {"event": str(event.id)}, evidence=proven)
    return _changed(session, after, address, proof, hasher=hasher, by=by, now=now)


def _changed(  # noqa: PLR0913 - the shape of every use case, with what proves the change
    session: Session,
    before: SubscriptionView,
    address: Address,
    proof: Proof,
    *,
    hasher: AddressHasher,
    by: Actor,
    now: datetime,
) -> Confirmation:
    """Give a person an address, and keep the one of before from being imported as somebody else."""
    events = {
        one.id: record(session, one, proof, by=by, now=now) for one in _subscriptions(session, before.subscriber_id)
    }
    _move(session, before.subscriber_id, address, hasher, now)
    left = SuppressionOrder(before.email, SuppressionReason.moved, origin="address changed")
    add(session, left, hasher=hasher, by=by, now=now)
    lift_own(session, before.publication_id, address.email, READER_CAN_LIFT, hasher=hasher, by=by, now=now)
    return Confirmation(Answer.confirmed, find_subscription(session, before.id), events.get(before.id))


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
    hashes = hasher.hashes(address.key)
    # Changed in place: the database itself writes down from which hash to which, for the journal.
    for key_id, one in hashes.items():
        mine = (col(AddressHash.subscriber_id) == subscriber_id) & (col(AddressHash.key_id) == key_id)
        session.execute(update(AddressHash).where(mine).values(hash=one))
    rows = [{"subscriber_id": subscriber_id, "key_id": key_id, "hash": one} for key_id, one in hashes.items()]
    insert_missing(session, AddressHash, rows)


def _subscriptions(session: Session, subscriber_id: int) -> list[SubscriptionView]:
    found = select(Subscription.id).where(
        Subscription.subscriber_id == subscriber_id, Subscription.state != SubscriptionState.lapsed
    )
    return [find_subscription(session, one) for one in session.exec(found)]


def _open(session: Session, reader: SubscriptionView, address: Address, now: datetime) -> OptIn:
    """Open a wish, or go on with the one for the same address; what was wished before ends."""
    mine = (col(OptIn.subscription_id) == reader.id) & (col(OptIn.kind) == OptInKind.address)
    open_ = col(OptIn.closed_at).is_(None) & col(OptIn.confirmed_at).is_(None)
    same = col(OptIn.new_address) == address.typed
    session.execute(update(OptIn).where(mine, open_, ~same).values(closed_at=now, new_address=""))
    wish = session.exec(select(OptIn).where(mine, open_, same)).first() or OptIn(
        kind=OptInKind.address,
        publication_id=reader.publication_id,
        subscription_id=reader.id,
        plan_id=reader.plan_id,
        locale=reader.locale,
        new_address=address.typed,
        created_at=now,
    )
    wish.created_at = now
    session.add(wish)
    session.flush()
    return wish
