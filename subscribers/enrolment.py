"""Enrolment: how addresses become subscriptions, a set at a time.

Below ``subscriptions`` (one) and ``importing`` (many). First ``standings`` tells what is already known of each address;
the use case judges; then ``enrol`` writes subscriber, subscription and consent event of those who come in. A fixed
number of statements for any size of set.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlmodel import Session, col, select

from subscribers.actors import Actor
from subscribers.addresses import Address
from subscribers.bulk import insert_all, insert_missing
from subscribers.consent import NO_EVIDENCE, Evidence
from subscribers.consent_models import ConsentEvent, ConsentEvidence, ConsentKind
from subscribers.hashing import AddressHasher, begin_with_pepper, require_same_pepper
from subscribers.models import AddressHash, Subscriber, Subscription, SubscriptionState, SuppressionReason
from subscribers.roster import are_of
from subscribers.suppression import reasons_by_key


#: 128 bits: cannot be guessed. As text 22 characters, so that the unsubscribe header stays short.
UNSUBSCRIBE_ID_BYTES = 16


@dataclass(frozen=True)
class Standing:
    """What is known of one address in one publication, before anything is written."""

    subscription_id: int | None = None
    state: SubscriptionState | None = None
    suppressed: tuple[SuppressionReason, ...] = ()


@dataclass(frozen=True)
class Newcomer:
    """An address that comes in, with the detail of its own consent event and the personal part of its proof."""

    address: Address
    plan_id: int
    name: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)
    evidence: Evidence = NO_EVIDENCE
    #: The plan's last day, in the publication's zone.
    plan_until: date | None = None


@dataclass(frozen=True)
class EnrolmentTerms:
    """What holds for everyone who comes in together."""

    publication_id: int
    state: SubscriptionState
    kind: ConsentKind
    source: str
    locale: str = ""
    consent_text_id: int | None = None
    frequency: str = ""


def standings(
    session: Session, publication_id: int, keys: Iterable[str], *, hasher: AddressHasher
) -> dict[str, Standing]:
    """Tell for each address key what is known of it; nothing is known of most.

    Raises:
        OtherPepper: The store was hashed with another pepper.
    """
    require_same_pepper(session, hasher)
    distinct = list(dict.fromkeys(keys))
    subscribed = _subscribed(session, publication_id, distinct)
    suppressed = reasons_by_key(session, publication_id, distinct, hasher=hasher)
    known: dict[str, Standing] = {}
    for key in distinct:
        subscription_id, state = subscribed.get(key, (None, None))
        known[key] = Standing(subscription_id, state, suppressed.get(key, ()))
    return known


def enrol(  # noqa: PLR0913 - the shape of every use case, with the pepper that hashing needs
    session: Session,
    newcomers: Sequence[Newcomer],
    terms: EnrolmentTerms,
    *,
    hasher: AddressHasher,
    by: Actor,
    now: datetime,
) -> dict[str, int]:
    """Write who comes in, and give the new subscription ids by address key.

    Whoever another process wrote at the same moment is left as it stands and missing from the answer. The keys of the
    newcomers are distinct.
    """
    begin_with_pepper(session, hasher, now=now)
    # In one order everywhere: two processes that add the same readers must not wait for each other in a ring.
    ordered = sorted(newcomers, key=lambda newcomer: newcomer.address.key)
    insert_missing(session, Subscriber, [_subscriber(newcomer, terms, now) for newcomer in ordered])
    subscriber_ids = _subscriber_ids(session, [newcomer.address.key for newcomer in ordered])
    insert_missing(
        session, AddressHash, [row for key, one in subscriber_ids.items() for row in _hashes(one, key, hasher)]
    )
    drawn = {secrets.token_urlsafe(UNSUBSCRIBE_ID_BYTES): newcomer for newcomer in ordered}
    insert_missing(
        session,
        Subscription,
        [
            _subscription(newcomer, subscriber_ids[newcomer.address.key], unsubscribe_id, terms, now)
            for unsubscribe_id, newcomer in drawn.items()
        ],
    )
    found = select(Subscription.unsubscribe_id, Subscription.id, Subscription.subscriber_id)
    written = session.exec(found.where(col(Subscription.unsubscribe_id).in_(drawn))).all()
    common = {"publication_id": terms.publication_id, "kind": terms.kind, "at": now, "by": str(by)}
    events: list[dict[str, object]] = [
        {
            **common,
            "subscriber_id": subscriber_id,
            "subscription_id": subscription_id,
            "plan_id": drawn[unsubscribe_id].plan_id,
            "source": terms.source,
            "consent_text_id": terms.consent_text_id,
            "frequency": terms.frequency,
            "locale": terms.locale,
            "detail": dict(drawn[unsubscribe_id].detail),
        }
        for unsubscribe_id, subscription_id, subscriber_id in written
    ]
    insert_all(session, ConsentEvent, events)
    _insert_evidence(session, {one[1]: drawn[one[0]].evidence for one in written if drawn[one[0]].evidence})
    return {drawn[unsubscribe_id].address.key: subscription_id for unsubscribe_id, subscription_id, _ in written}


def _insert_evidence(session: Session, evidence: Mapping[int, Evidence]) -> None:
    """Write the personal part of each new subscription's only event, by subscription id."""
    if not evidence:
        return
    found = select(ConsentEvent.id, ConsentEvent.subscriber_id, ConsentEvent.subscription_id)
    rows: list[dict[str, object]] = [
        {"event_id": event_id, "subscriber_id": subscriber_id, **vars(evidence[subscription_id])}
        for event_id, subscriber_id, subscription_id in session.exec(
            found.where(col(ConsentEvent.subscription_id).in_(evidence))
        )
    ]
    insert_all(session, ConsentEvidence, rows)


def _subscribed(session: Session, publication_id: int, keys: Iterable[str]) -> dict[str, tuple[int, SubscriptionState]]:
    found = (
        select(Subscriber.address_key, Subscription.id, Subscription.state)
        .join(Subscription, col(Subscription.subscriber_id) == col(Subscriber.id))
        .where(are_of(publication_id, keys))
    )
    return {
        key: (subscription_id, SubscriptionState(state)) for key, subscription_id, state in session.exec(found) if key
    }


def _subscriber_ids(session: Session, keys: Sequence[str]) -> dict[str, int]:
    found = select(Subscriber.address_key, Subscriber.id).where(col(Subscriber.address_key).in_(keys))
    return {key: subscriber_id for key, subscriber_id in session.exec(found) if key}


def _subscriber(newcomer: Newcomer, terms: EnrolmentTerms, now: datetime) -> dict[str, object]:
    address = newcomer.address
    return {
        "address_typed": address.typed,
        "email": address.email,
        "address_key": address.key,
        "domain": address.domain,
        "name": newcomer.name,
        "locale": terms.locale,
        "created_at": now,
    }


def _hashes(subscriber_id: int, key: str, hasher: AddressHasher) -> list[dict[str, object]]:
    return [
        {"subscriber_id": subscriber_id, "key_id": key_id, "hash": one} for key_id, one in hasher.hashes(key).items()
    ]


def _subscription(
    newcomer: Newcomer, subscriber_id: int, unsubscribe_id: str, terms: EnrolmentTerms, now: datetime
) -> dict[str, object]:
    return {
        "publication_id": terms.publication_id,
        "subscriber_id": subscriber_id,
        "plan_id": newcomer.plan_id,
        "plan_until": newcomer.plan_until,
        "state": terms.state,
        "unsubscribe_id": unsubscribe_id,
        "created_at": now,
        "asked_at": now if terms.state is SubscriptionState.pending else None,
        "confirmed_at": now if terms.state is SubscriptionState.confirmed else None,
    }
