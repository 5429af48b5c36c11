"""Subscriptions: one person in one publication. Adding by an operator's word.

After ``addresses`` and ``plans``; ``plan_changes`` gives other plans, ``leaving`` ends what begins here and
``audience`` reads it. What a reader decided stands: adding again neither brings back who left nor changes a plan.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sqlalchemy import update
from sqlmodel import Session, col

from subscribers.actors import Actor
from subscribers.addresses import parse_address
from subscribers.bulk import rows_changed
from subscribers.consent import Proof, record
from subscribers.consent_models import ConsentKind
from subscribers.enrolment import EnrolmentTerms, Newcomer, Standing, enrol, standings
from subscribers.errors import HasLeft, IsSuppressed
from subscribers.hashing import AddressHasher
from subscribers.models import Subscription, SubscriptionState
from subscribers.names import clean_name
from subscribers.plans import plan_named
from subscribers.roster import SubscriptionView, find_by_address, find_subscription


@dataclass(frozen=True)
class NewSubscription:
    """Someone an operator adds: pending, or ``confirmed`` where consent was given elsewhere.

    Without a plan it is the publication's default. ``source`` is the way it came (a command, an API key); ``detail``
    is kept as proof in the ledger of consent, and holds no address.
    """

    publication_id: int
    address: str
    plan: str | None = None
    name: str = ""
    locale: str = ""
    confirmed: bool = True
    source: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)


class Admission(StrEnum):
    """What adding someone came to: new, a pending one confirmed, or nothing to do."""

    added = "added"
    confirmed = "confirmed"
    already = "already"


def subscribe(
    session: Session, request: NewSubscription, *, hasher: AddressHasher, by: Actor, now: datetime
) -> tuple[SubscriptionView, Admission]:
    """Add someone to a publication by an operator's word; adding again changes nothing.

    A pending subscription becomes confirmed where the request says so.

    Raises:
        InvalidAddress: No mail can reach the address.
        UnknownPlan: The publication has no such plan.
        IsSuppressed: The address must not be mailed.
        HasLeft: The reader left this publication.
    """
    address = parse_address(request.address)
    plan = plan_named(session, request.publication_id, request.plan)
    standing = standings(session, request.publication_id, [address.key], hasher=hasher)[address.key]
    _refuse_unwanted(standing)
    if standing.subscription_id is None:
        newcomer = Newcomer(address, plan.id, clean_name(request.name), request.detail)
        if added := enrol(session, [newcomer], _terms(request), hasher=hasher, by=by, now=now):
            return find_subscription(session, added[address.key]), Admission.added
    view = find_by_address(session, request.publication_id, address.email)
    if request.confirmed and _confirm(session, view, request, by=by, now=now):
        return find_subscription(session, view.id), Admission.confirmed
    return view, Admission.already


def _refuse_unwanted(standing: Standing) -> None:
    if standing.suppressed:
        reasons = ", ".join(standing.suppressed)
        raise IsSuppressed(f"the address must not be mailed ({reasons}); lift the suppression first if that is wrong")
    if standing.state is SubscriptionState.left:
        raise HasLeft


def _terms(request: NewSubscription) -> EnrolmentTerms:
    state = SubscriptionState.confirmed if request.confirmed else SubscriptionState.pending
    return EnrolmentTerms(request.publication_id, state, ConsentKind.added, request.source, request.locale)


def _confirm(session: Session, view: SubscriptionView, request: NewSubscription, *, by: Actor, now: datetime) -> bool:
    """Confirm a subscription that waits, or waited in vain; tell whether it was this call that did."""
    waiting = col(Subscription.state).in_((SubscriptionState.pending, SubscriptionState.lapsed))
    values = {"state": SubscriptionState.confirmed, "confirmed_at": now, "asked_at": None}
    confirmed = update(Subscription).where(col(Subscription.id) == view.id, waiting).values(**values)
    if not rows_changed(session.execute(confirmed)):
        return False
    record(session, view, Proof(ConsentKind.confirmed, request.source, request.detail), by=by, now=now)
    return True
