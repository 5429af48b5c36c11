"""Matching: whose mail an event is about. By our own ids first, then the request's id, then the address alone.

Before ``record``. Our numbers are believed only together with the random id of their attempt: an account at the
provider may be shared with another installation, whose deliveries have numbers, too.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import or_
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from newsletter.delivery.lifecycle import BatchState, Difference
from newsletter.delivery.mailbox_providers import OTHER, mailbox_provider
from newsletter.delivery.models import Attempt, Batch, Delivery, Mailing
from newsletter.outbox import Notice
from newsletter.providers.feedback import FeedbackEvent, FeedbackKind
from subscribers.addresses import parse_address
from subscribers.errors import InvalidAddress
from subscribers.hashing import AddressHasher
from subscribers.models import AddressHash, Subscriber, Subscription


#: An event without any id belongs to one of a reader's last issues; older ones are not looked through.
_LAST_MAILINGS = 10
_MAY_HAVE_LEFT = (BatchState.submitting, BatchState.accepted, BatchState.unknown, BatchState.given_up)
_STAYED = (Difference.skipped, Difference.rejected)

#: What is said so often, and decides nothing of an address, that the delivery alone says whose it is.
ROUTINE = frozenset(
    {
        FeedbackKind.processed,
        FeedbackKind.deferred,
        FeedbackKind.delivered,
        FeedbackKind.opened,
        FeedbackKind.clicked,
    }
)
#: What mail servers say of an address may come without a name of its request; what readers do never does.
_OF_SERVERS = frozenset({FeedbackKind.bounced, FeedbackKind.dropped})
#: As SendGrid names a request to us: of an event that begins so, it is known whose it is, ours or another's.
_REQUEST = re.compile(r"[\w-]{22}", re.ASCII)


@dataclass(frozen=True)
class Matched:
    """An event with what it is about; every field but the first two may be unknown.

    Attributes:
        at: When it happened; where the event does not say, when it was received.
        address_hash: The keyed hash of its address; empty for what is only routine.
        provider: The address's mailbox provider.
        is_guess: Whether the delivery was found by the address and the time alone.
    """

    event: FeedbackEvent
    at: datetime
    delivery_id: int | None = None
    mailing_id: int | None = None
    publication_id: int | None = None
    subscriber_id: int | None = None
    subscription_id: int | None = None
    notice_id: int | None = None
    address_hash: str = ""
    provider: str = OTHER
    is_guess: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether it is about a mail or a person of ours."""
        return any(one is not None for one in (self.delivery_id, self.notice_id, self.subscriber_id))


def match(
    session: Session,
    events: Sequence[FeedbackEvent],
    *,
    hasher: AddressHasher,
    received_at: datetime,
    live: bool | None = None,
) -> list[Matched]:
    """Match events, in their order.

    Args:
        session: The store.
        events: What was said.
        hasher: Finds the owners of addresses.
        received_at: For events that do not say when they happened.
        live: On which side of NOT LIVE to look for the mail of an event that names none; nothing: on both.
    """
    plain = [_addressed(event, hasher, received_at) for event in events]
    by_ids = _by_ids(session, plain)
    with_owners = _with_owners(session, by_ids, hasher)
    return [_by_address(session, one, live=live) if _is_lost(one) else one for one in with_owners]


def _addressed(event: FeedbackEvent, hasher: AddressHasher, received_at: datetime) -> Matched:
    matched = Matched(event, event.at or received_at)
    if event.kind in ROUTINE and event.attempt:
        return matched
    try:
        address = parse_address(event.address)
    except InvalidAddress:
        return matched
    return replace(matched, address_hash=hasher.hash(address.key), provider=mailbox_provider(address.domain))


def _by_ids(session: Session, matches: Sequence[Matched]) -> list[Matched]:
    """Match by the ids that our request carried."""
    attempts = {one.event.attempt for one in matches if one.event.attempt}
    of_batch = select(Attempt.id, Batch.mailing_id).join(Batch, col(Batch.id) == col(Attempt.batch_id))
    mailing_of = dict(session.exec(of_batch.where(col(Attempt.id).in_(attempts))).all()) if attempts else {}
    deliveries = _deliveries(session, {one.event.delivery for one in matches if one.event.attempt in mailing_of})
    notices = _notices(session, {one.event.notice for one in matches if one.event.notice})
    return [_by_own_ids(one, mailing_of, deliveries, notices) for one in matches]


@dataclass(frozen=True)
class _Whose:
    """Whose a delivery or a notice is."""

    mailing_id: int | None
    publication_id: int
    subscriber_id: int
    subscription_id: int


def _by_own_ids(
    one: Matched,
    mailing_of: Mapping[str, int],
    deliveries: Mapping[int, _Whose],
    notices: Mapping[int, tuple[str, _Whose]],
) -> Matched:
    """Fill in the delivery or notice that the event names, where its attempt is one of that."""
    event = one.event
    whose = deliveries.get(event.delivery or 0)
    if whose is not None and whose.mailing_id == mailing_of.get(event.attempt):
        return replace(one, delivery_id=event.delivery, **vars(whose))
    call_id, whose = notices.get(event.notice or 0, ("", None))
    if whose is not None and call_id == event.attempt:
        return replace(one, notice_id=event.notice, **vars(whose))
    return one


def _deliveries(session: Session, ids: Iterable[int | None]) -> dict[int, _Whose]:
    wanted = {one for one in ids if one}
    found = (
        select_columns(
            col(Delivery.id),
            col(Delivery.mailing_id),
            col(Mailing.publication_id),
            col(Delivery.subscriber_id),
            col(Delivery.subscription_id),
        )
        .join(Mailing, col(Mailing.id) == col(Delivery.mailing_id))
        .where(col(Delivery.id).in_(wanted))
    )
    return {row[0]: _Whose(*row[1:]) for row in session.execute(found)} if wanted else {}


def _notices(session: Session, ids: Iterable[int | None]) -> dict[int, tuple[str, _Whose]]:
    """Give of each notice its last call, and whose it is."""
    wanted = {one for one in ids if one}
    found = (
        select_columns(
            col(Notice.id),
            col(Notice.call_id),
            col(Notice.publication_id),
            col(Subscription.subscriber_id),
            col(Notice.subscription_id),
        )
        .join(Subscription, col(Subscription.id) == col(Notice.subscription_id))
        .where(col(Notice.id).in_(wanted), col(Notice.call_id) != "")
    )
    return {row[0]: (row[1], _Whose(None, *row[2:])) for row in session.execute(found)} if wanted else {}


def _with_owners(session: Session, matches: Sequence[Matched], hasher: AddressHasher) -> list[Matched]:
    """Fill in the owners of addresses, and the addresses of owners where an event came without."""
    lost = {one.address_hash for one in matches if one.subscriber_id is None and one.address_hash}
    owned = select(AddressHash.hash, AddressHash.subscriber_id).where(col(AddressHash.hash).in_(lost))
    owner_of = dict(session.exec(owned).all()) if lost else {}
    nameless = {one.subscriber_id for one in matches if _lacks_address(one)}
    hashed = (
        select(AddressHash.subscriber_id, AddressHash.hash, Subscriber.domain)
        .join(Subscriber, col(Subscriber.id) == col(AddressHash.subscriber_id))
        .where(col(AddressHash.subscriber_id).in_(nameless), AddressHash.key_id == hasher.key_id)
    )
    address_of = {row[0]: (row[1], row[2]) for row in session.exec(hashed)} if nameless else {}
    return [_owned(one, owner_of, address_of) for one in matches]


def _lacks_address(one: Matched) -> bool:
    return one.subscriber_id is not None and not one.address_hash and one.event.kind not in ROUTINE


def _owned(one: Matched, owner_of: dict[str, int], address_of: dict[int, tuple[str, str]]) -> Matched:
    if one.subscriber_id is None:
        return replace(one, subscriber_id=owner_of.get(one.address_hash))
    if _lacks_address(one) and one.subscriber_id in address_of:
        address_hash, domain = address_of[one.subscriber_id]
        return replace(one, address_hash=address_hash, provider=mailbox_provider(domain))
    return one


def _is_lost(one: Matched) -> bool:
    """Tell whether an event names a reader of ours but none of our mails: an asynchronous bounce does."""
    known = one.delivery_id is not None or one.notice_id is not None
    foreign = bool(one.event.attempt)
    return not known and not foreign and one.subscriber_id is not None and one.event.kind is not FeedbackKind.listed


def _by_address(session: Session, one: Matched, *, live: bool | None) -> Matched:
    """Take the request that the event names, else the last one that left before it, for the one that it is about."""
    current = (col(Attempt.batch_id) == col(Batch.id)) & (col(Attempt.number) == col(Batch.attempt))
    left = (
        select(Delivery.id)
        .join(Batch, col(Batch.id) == col(Delivery.batch_id))
        .join(Attempt, current)
        .where(
            col(Batch.state).in_(_MAY_HAVE_LEFT),
            col(Delivery.mailing_id) == col(Batch.mailing_id),
            col(Delivery.subscriber_id) == one.subscriber_id,
            or_(col(Delivery.difference).is_(None), col(Delivery.difference).not_in(_STAYED)),
        )
        .order_by(col(Delivery.id).desc())
        .limit(1)
    )
    delivery_id = None
    if one.event.message_id:
        delivery_id = session.exec(left.where(col(Attempt.message_id) == one.event.message_id)).first()
    if is_guess := delivery_id is None and _names_no_request(one.event):
        before = col(Attempt.submitting_at) <= one.at
        among = col(Delivery.mailing_id).in_(_last_mailings(session, one.at, live=live))
        delivery_id = session.exec(left.where(before, among)).first()
    if delivery_id is None:
        return one
    whose = _deliveries(session, [delivery_id])[delivery_id]
    return replace(one, delivery_id=delivery_id, is_guess=is_guess, **vars(whose))


def _names_no_request(event: FeedbackEvent) -> bool:
    """Tell whether an event's id of SendGrid's is none of a request, so that the address is all it says.

    Drops were recorded whose id names a machine of SendGrid's instead (``filter0093p1las1.9128.…``). An id of a request
    that we do not know is another system's on the account, and so may be whatever a reader did.
    """
    if not event.message_id:
        return True
    return event.kind in _OF_SERVERS and not _REQUEST.fullmatch(event.message_id)


def _last_mailings(session: Session, at: datetime, *, live: bool | None) -> Sequence[int]:
    begun = select(Mailing.id).where(col(Mailing.begun_at) <= at)
    if live is not None:
        begun = begun.where(col(Mailing.live).is_(live))
    return session.exec(begun.order_by(col(Mailing.id).desc()).limit(_LAST_MAILINGS)).all()
