"""Double opt-in: a stranger asks, the owner of the address confirms. Between the sign-up form and ``audience``.

Whoever knows an address can ask in its name; only who reads its mail can confirm. So asking changes nothing about a
subscription that exists (DESIGN §4.6): who left stays out until the click, and a complaint or a hard bounce is not
lifted by it at all. What the asker is told never depends on what was known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from sqlalchemy import update
from sqlmodel import Session, col, select

from subscribers.actors import Actor
from subscribers.addresses import Address
from subscribers.consent import NO_EVIDENCE, Evidence, Proof, record
from subscribers.consent_models import ConsentKind, OptIn, OptInKind
from subscribers.enrolment import EnrolmentTerms, Newcomer, enrol, standings
from subscribers.errors import RefusedPlan
from subscribers.hashing import AddressHasher
from subscribers.models import Subscriber, Subscription, SubscriptionState, SuppressionReason
from subscribers.plans import PlanView, list_plans, plan_named
from subscribers.roster import SubscriptionView, find_subscription
from subscribers.suppression import lift_own


#: What a reader's own confirmed opt-in lifts: wishes of the reader's, and a mailbox that has proven to work.
READER_CAN_LIFT = frozenset(
    {
        SuppressionReason.unsubscribed,
        SuppressionReason.erased,
        SuppressionReason.soft_bounces,
        SuppressionReason.moved,
    }
)


@dataclass(frozen=True)
class FormProof:
    """What a form proves of whoever filled it in: where it stood, what it showed, and who connected.

    ``source`` is the form's address, ``frequency`` how often the publication comes, as the form said it.
    """

    source: str
    consent_text_id: int | None = None
    frequency: str = ""
    evidence: Evidence = NO_EVIDENCE


@dataclass(frozen=True)
class SignUp:
    """What a stranger asks for: a publication at an address, on a public plan (without a word, the default one)."""

    publication_id: int
    address: Address
    proof: FormProof
    plan: str | None = None
    name: str = ""
    locale: str = ""


class Asking(StrEnum):
    """What is to be mailed to who asked: a confirm notice, word that nothing is to be done, or nothing at all."""

    confirm = "confirm"
    already = "already"
    silent = "silent"


@dataclass(frozen=True)
class Asked:
    """What asking came to; for the outbox, never for the page."""

    asking: Asking
    subscription_id: int | None = None
    opt_in_id: int | None = None


class Answer(StrEnum):
    """What a click on a confirming button came to."""

    confirmed = "confirmed"
    #: Confirmed before, and still so.
    already = "already"
    #: The request has ended: the reader left since, asked for something else, or let it lapse.
    ended = "ended"
    #: The address must not be mailed, for a reason that its owner cannot lift.
    suppressed = "suppressed"
    #: The new address belongs to another reader.
    taken = "taken"


@dataclass(frozen=True)
class Click:
    """A press of a confirming button: which request it confirms, and who connected."""

    request_id: int
    evidence: Evidence = NO_EVIDENCE


@dataclass(frozen=True)
class Confirmation:
    """The answer, with the subscription as it stands after it; none where the request was never made.

    ``event_id`` is the event of the ledger that this click wrote.
    """

    answer: Answer
    subscription: SubscriptionView | None = None
    event_id: int | None = None


def sign_up(session: Session, request: SignUp, *, hasher: AddressHasher, by: Actor, now: datetime) -> Asked:
    """Take a request to subscribe, and tell what to mail. Until it is confirmed nobody gets more than that one mail.

    Raises:
        UnknownPlan: The publication has no such plan.
        RefusedPlan: The plan is by invitation.
        OtherPepper: The store was hashed with another pepper.
    """
    plan = plan_named(session, request.publication_id, request.plan)
    if not plan.is_public:
        raise RefusedPlan(f"plan {plan.code!r} is by invitation")
    key = request.address.key
    standing = standings(session, request.publication_id, [key], hasher=hasher)[key]
    if set(standing.suppressed) - READER_CAN_LIFT:
        return Asked(Asking.silent)
    if standing.subscription_id is None:
        newcomer = Newcomer(request.address, plan.id, request.name, evidence=request.proof.evidence)
        enrolled = enrol(session, [newcomer], _terms(request), hasher=hasher, by=by, now=now)
        if key not in enrolled:
            return sign_up(session, request, hasher=hasher, by=by, now=now)
        subscription_id = enrolled[key]
    else:
        subscription_id = standing.subscription_id
        view = find_subscription(session, subscription_id)
        # Who reads and gets nothing, since the mailbox failed for a while, proves by the click that it works.
        if view.state is SubscriptionState.confirmed and not standing.suppressed:
            return Asked(Asking.already, subscription_id)
        # The proof is of what the form showed, which may be another plan than the one of before.
        _ask_again(session, replace(view, plan_id=plan.id), request, by=by, now=now)
    return Asked(Asking.confirm, subscription_id, _open(session, subscription_id, plan, request.locale, now=now))


def confirm(session: Session, click: Click, *, hasher: AddressHasher, by: Actor, now: datetime) -> Confirmation:
    """Confirm a request to subscribe. Twice is fine, and recorded once.

    Raises:
        OtherPepper: The store was hashed with another pepper.
    """
    found = locked(session, click.request_id, OptInKind.subscribe)
    if found is None:
        return Confirmation(Answer.ended)
    view = find_subscription(session, found.subscription_id)
    if answer := _without_acting(session, found, view, hasher):
        return Confirmation(answer, view)
    found.confirmed_at = now
    session.add(found)
    plan_id = _plan_on_confirming(list_plans(session, view.publication_id), view, found)
    values: dict[str, object] = {"state": SubscriptionState.confirmed, "confirmed_at": now, "left_at": None}
    values |= {"asked_at": None, "paused_until": None, "plan_id": plan_id}
    if plan_id != view.plan_id:
        # The end belonged to the plan before.
        values |= {"plan_until": None, "noticed_until": None}
    session.execute(update(Subscription).where(col(Subscription.id) == view.id).values(**values))
    if found.locale:
        # The language in which the person has just read and pressed.
        mine = col(Subscriber.id) == view.subscriber_id
        session.execute(update(Subscriber).where(mine).values(locale=found.locale))
    lift_own(session, view.publication_id, view.email, READER_CAN_LIFT, hasher=hasher, by=by, now=now)
    after = find_subscription(session, view.id)
    detail = {"from": str(view.state), "request": str(found.id)}
    record(
        session, after, Proof(ConsentKind.confirmed, "confirm link", detail, evidence=click.evidence), by=by, now=now
    )
    return Confirmation(Answer.confirmed, after)


def find_request(session: Session, opt_in_id: int) -> OptIn | None:
    """Find a request, open or ended."""
    return session.get(OptIn, opt_in_id)


def close_requests(session: Session, subscription_ids: Sequence[int], *, now: datetime) -> None:
    """End what is open for these subscriptions: links in mails already sent confirm nothing any more."""
    open_ = col(OptIn.closed_at).is_(None) & col(OptIn.confirmed_at).is_(None)
    mine = col(OptIn.subscription_id).in_(subscription_ids)
    session.execute(update(OptIn).where(open_, mine).values(closed_at=now, new_address=""))


def locked(session: Session, opt_in_id: int, kind: OptInKind) -> OptIn | None:
    """Find a request of a kind, and keep its subscription from being changed by others until the transaction ends."""
    found = session.get(OptIn, opt_in_id)
    if found is None or found.kind is not kind:
        return None
    session.execute(select(Subscription.id).where(Subscription.id == found.subscription_id).with_for_update())
    session.refresh(found)
    return found


def settled_answer(found: OptIn, view: SubscriptionView) -> Answer | None:
    """Tell what is true of a request that no click can change any more; nothing while it is open."""
    if found.confirmed_at:
        return Answer.already if view.state is SubscriptionState.confirmed else Answer.ended
    return Answer.ended if found.closed_at or not view.email else None


def _without_acting(session: Session, found: OptIn, view: SubscriptionView, hasher: AddressHasher) -> Answer | None:
    """Give the answer to a click that changes nothing; none where it may act."""
    if answer := settled_answer(found, view):
        return answer
    key = view.email.casefold()
    reasons = standings(session, view.publication_id, [key], hasher=hasher)[key].suppressed
    return Answer.suppressed if set(reasons) - READER_CAN_LIFT else None


def _plan_on_confirming(plans: Sequence[PlanView], view: SubscriptionView, found: OptIn) -> int:
    """Choose the plan: one that was given or bought stays; else the one asked for, where it is still public."""
    public = {plan.id for plan in plans if plan.is_public}
    if view.plan_id not in public:
        return view.plan_id
    return found.plan_id if found.plan_id in public else plans[0].id


def _ask_again(session: Session, shown: SubscriptionView, request: SignUp, *, by: Actor, now: datetime) -> None:
    """Record that somebody asked once more; who lapsed waits again, who left stays out until the click."""
    lapsed = col(Subscription.state) == SubscriptionState.lapsed
    waiting = col(Subscription.state).in_((SubscriptionState.pending, SubscriptionState.lapsed))
    mine = col(Subscription.id) == shown.id
    session.execute(update(Subscription).where(mine, waiting).values(asked_at=now))
    session.execute(update(Subscription).where(mine, lapsed).values(state=SubscriptionState.pending))
    proof = Proof(
        ConsentKind.asked,
        request.proof.source,
        consent_text_id=request.proof.consent_text_id,
        frequency=request.proof.frequency,
        locale=request.locale,
        evidence=request.proof.evidence,
    )
    record(session, shown, proof, by=by, now=now)


def _open(session: Session, subscription_id: int, plan: PlanView, locale: str, *, now: datetime) -> int:
    """Open a request, or go on with the one that is open: the links of all its mails stay good for their days."""
    found = select(OptIn).where(
        OptIn.subscription_id == subscription_id,
        OptIn.kind == OptInKind.subscribe,
        col(OptIn.closed_at).is_(None),
        col(OptIn.confirmed_at).is_(None),
    )
    request = session.exec(found).first() or OptIn(
        kind=OptInKind.subscribe,
        publication_id=plan.publication_id,
        subscription_id=subscription_id,
        plan_id=plan.id,
        created_at=now,
    )
    request.plan_id, request.locale, request.created_at = plan.id, locale, now
    session.add(request)
    session.flush()
    return request.id


def _terms(request: SignUp) -> EnrolmentTerms:
    return EnrolmentTerms(
        request.publication_id,
        SubscriptionState.pending,
        ConsentKind.asked,
        request.proof.source,
        request.locale,
        request.proof.consent_text_id,
        request.proof.frequency,
    )
