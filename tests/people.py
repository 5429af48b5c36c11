"""The people's tables, for tests that make them without a migration; and what a complaint does to a person."""

from datetime import datetime

from sqlmodel import Session

from subscribers import consent_models, models
from subscribers.actors import Actor
from subscribers.hashing import AddressHasher
from subscribers.leaving import LeavingChannel, leave_by_provider
from subscribers.models import SuppressionReason
from subscribers.roster import find_everywhere, find_subscription
from subscribers.suppression import SuppressionOrder, add


TABLES = {
    value.__table__
    for module in (models, consent_models)
    for value in vars(module).values()
    if hasattr(value, "__table__")
}


def complain(session: Session, subscription_id: int, *, hasher: AddressHasher, by: Actor, now: datetime) -> None:
    """Do what a complaint leads to: everything of the person ends, and nothing is mailed there any more."""
    email = find_subscription(session, subscription_id).email
    for one in find_everywhere(session, email):
        leave_by_provider(session, one.id, LeavingChannel.complaint, by=by, now=now)
    order = SuppressionOrder(email, SuppressionReason.complaint, origin="a complaint")
    add(session, order, hasher=hasher, by=by, now=now)
