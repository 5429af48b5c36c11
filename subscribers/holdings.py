"""Holdings: everything the people's tables hold of a person, for who asks for it (GDPR, Article 15; PIPL, Article 45).

Read-only, beside ``erasure``. Rows are given whole, with every column they have, so that a new column is never left
out; what deliveries and notices hold is added by the edge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlmodel import Session, col, select

from subscribers.addresses import Address, parse_address
from subscribers.consent_models import OptIn
from subscribers.hashing import AddressHasher, require_same_pepper
from subscribers.models import (
    AddressHash,
    Attribute,
    AttributeValue,
    Plan,
    Subscriber,
    Subscription,
    SubscriptionTag,
    Suppression,
)
from subscribers.proofs import ledger_of
from subscribers.traces import traces_of


Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Holdings:
    """What is held of an address.

    Attributes:
        person: The person's own row with the hashes of the address; nothing where nobody of the address is stored.
        subscriptions: Each with its tags, attributes, ledger, and requests that were to be confirmed.
        suppressions: What keeps, or kept, the address from being mailed.
        mentions: Where the address stands in the proofs of other people.
    """

    person: Mapping[str, Any] | None
    subscriptions: Rows
    suppressions: Rows
    mentions: Rows


def holdings_of(session: Session, address: str, *, hasher: AddressHasher) -> Holdings:
    """Gather everything that is held of an address.

    Raises:
        InvalidAddress: What was typed is no address.
        OtherPepper: The store was hashed with another pepper.
    """
    parsed = parse_address(address)
    person = session.exec(select(Subscriber).where(Subscriber.address_key == parsed.key)).first()
    return Holdings(
        person=_person(session, person) if person else None,
        subscriptions=_subscriptions(session, person.id) if person else (),
        suppressions=suppressions_of(session, parsed, hasher=hasher),
        mentions=[asdict(one) for one in traces_of(session, parsed)],
    )


def suppressions_of(session: Session, address: Address, *, hasher: AddressHasher) -> list[dict[str, Any]]:
    """Give every suppression that was ever made of an address, also one that was lifted, the oldest first.

    Raises:
        OtherPepper: The store was hashed with another pepper.
    """
    require_same_pepper(session, hasher)
    hashes = list(hasher.hashes(address.key).values())
    found = select(Suppression).where(col(Suppression.address_hash).in_(hashes)).order_by(col(Suppression.id))
    return [one.model_dump() for one in session.exec(found)]


def _person(session: Session, person: Subscriber) -> dict[str, Any]:
    hashes = select(AddressHash.key_id, AddressHash.hash).where(AddressHash.subscriber_id == person.id)
    return {**person.model_dump(), "address_hashes": dict(session.exec(hashes).all())}


def _subscriptions(session: Session, subscriber_id: int) -> list[dict[str, Any]]:
    found = (
        select(Subscription, Plan.code, Plan.name)
        .join(Plan, col(Plan.id) == col(Subscription.plan_id))
        .where(Subscription.subscriber_id == subscriber_id)
        .order_by(col(Subscription.id))
    )
    return [
        {
            **one.model_dump(),
            "plan": plan,
            "plan_name": name,
            "tags": _tags(session, one.id),
            "attributes": _attributes(session, one.id),
            "ledger": [asdict(entry) for entry in ledger_of(session, one.id)],
            "requests": _requests(session, one.id),
        }
        for one, plan, name in session.exec(found)
    ]


def _tags(session: Session, subscription_id: int) -> list[str]:
    found = select(SubscriptionTag.tag).where(SubscriptionTag.subscription_id == subscription_id)
    return list(session.exec(found.order_by(col(SubscriptionTag.tag))))


def _attributes(session: Session, subscription_id: int) -> dict[str, dict[str, Any]]:
    found = (
        select(Attribute.code, AttributeValue)
        .join(AttributeValue, col(AttributeValue.attribute_id) == col(Attribute.id))
        .where(AttributeValue.subscription_id == subscription_id)
        .order_by(col(Attribute.code))
    )
    return {code: value.model_dump(exclude={"subscription_id"}) for code, value in session.exec(found)}


def _requests(session: Session, subscription_id: int) -> list[dict[str, Any]]:
    found = select(OptIn).where(OptIn.subscription_id == subscription_id).order_by(col(OptIn.id))
    return [one.model_dump() for one in session.exec(found)]
