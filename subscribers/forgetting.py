"""Forgetting: a subscriber becomes a tombstone. Used by ``opt_in`` for who never confirmed, and by erasure.

The id and the ledger of consent stay, as proof that points at nobody. Everything that names the person goes: this is
the one place that knows every personal column.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from subscribers.consent_models import ConsentEvidence, OptIn
from subscribers.models import AddressHash, AttributeValue, Subscriber, Subscription, SubscriptionTag


#: Every column of the people's tables that may hold personal data; a test holds it against the tables.
PERSONAL_COLUMNS = {
    "subscriber": frozenset({"address_typed", "email", "address_key", "domain", "name"}),
    "address_hash": frozenset({"hash"}),
    "subscription_tag": frozenset({"tag"}),
    "attribute_value": frozenset({"text", "number"}),
    "consent_evidence": frozenset({"address_typed", "address_before", "ip", "user_agent"}),
    "opt_in": frozenset({"new_address"}),
}


def forget(session: Session, subscriber_ids: Sequence[int], *, now: datetime) -> None:
    """Turn subscribers into tombstones: their personal data goes, in every publication. Suppressions stay."""
    theirs = select(Subscription.id).where(col(Subscription.subscriber_id).in_(subscriber_ids))
    for model in (SubscriptionTag, AttributeValue):
        session.execute(delete(model).where(col(model.subscription_id).in_(theirs)))
    session.execute(delete(AddressHash).where(col(AddressHash.subscriber_id).in_(subscriber_ids)))
    emptied = {"address_typed": "", "address_before": "", "ip": "", "user_agent": ""}
    evidence = col(ConsentEvidence.subscriber_id).in_(subscriber_ids)
    session.execute(update(ConsentEvidence).where(evidence).values(**emptied))
    open_ = col(OptIn.subscription_id).in_(theirs)
    session.execute(update(OptIn).where(open_, col(OptIn.closed_at).is_(None)).values(closed_at=now))
    session.execute(update(OptIn).where(open_).values(new_address=""))
    gone = {"address_typed": None, "email": None, "address_key": None, "domain": "", "name": "", "erased_at": now}
    session.execute(update(Subscriber).where(col(Subscriber.id).in_(subscriber_ids)).values(**gone))
