"""How subscriptions come to another plan: by an operator's or a payment system's word, or when a plan's time is over.

After ``plans``; ``plan_files`` and ``plan_calls`` bring changes here, and the clock ends what is over. Every change is
in the ledger of consent. Last days are days of the publication's zone: whoever asks says which day is ``today`` there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, and_, false, or_, update
from sqlmodel import Session, col, select

from subscribers.actors import Actor
from subscribers.bulk import insert_all
from subscribers.consent_models import ConsentEvent, ConsentKind
from subscribers.errors import RefusedPlan
from subscribers.models import Subscriber, Subscription, SubscriptionState
from subscribers.plans import PlanView, choose_plan, list_plans, plan_named
from subscribers.roster import SubscriptionView, find_subscription


#: Subscriptions in one transaction: longer ones would keep readers who leave waiting (DESIGN §5).
CHUNK = 1000


@dataclass(frozen=True)
class PlanChange:
    """A plan to be given.

    Attributes:
        code: The plan, by code or name.
        until: Its last day, in the publication's zone; without one it has no end.
        reason: Why, for the ledger, such as an order's number. Never an address.
        source: The way it came: a command, a file, the payment system's call.
    """

    code: str
    until: date | None = None
    reason: str = ""
    source: str = ""


@dataclass(frozen=True)
class Holder:
    """A subscription and what it has: its plan by code, and the last day of it."""

    publication_id: int
    subscription_id: int
    subscriber_id: int
    plan: str
    until: date | None


@dataclass(frozen=True)
class ChangedPlan:
    """A subscription before and after a change of its plan."""

    before: SubscriptionView
    after: SubscriptionView

    @property
    def is_new(self) -> bool:
        """Whether plan or end are other than before."""
        return (self.before.plan_id, self.before.plan_until) != (self.after.plan_id, self.after.plan_until)


@dataclass(frozen=True)
class EndedPlan:
    """A reader whose plan is over, for a notice; plans as readers know them."""

    subscription_id: int
    locale: str
    before: str
    plan: str


@dataclass(frozen=True)
class EndingPlan:
    """A reader whose plan ends soon, for a notice; plans as readers know them."""

    subscription_id: int
    locale: str
    plan: str
    until: date
    then: str
    upgrade_url: str


def change_plan(session: Session, subscription_id: int, change: PlanChange, *, by: Actor, now: datetime) -> ChangedPlan:
    """Give a subscription a plan, with or without an end; the same once more changes nothing.

    Whether the reader gets mail is not touched: who left has left, with the new plan too.

    Raises:
        UnknownSubscriber: There is no such subscription.
        UnknownPlan: The publication has no such plan.
        RefusedPlan: The plan can have no end.
    """
    # Two changes at once: the second waits, and starts from what the first has written.
    session.execute(select(Subscription.id).where(Subscription.id == subscription_id).with_for_update())
    before = find_subscription(session, subscription_id)
    plan = plan_named(session, before.publication_id, change.code)
    require_end(plan, change.until, list_plans(session, before.publication_id))
    if (before.plan_id, before.plan_until) == (plan.id, change.until):
        return ChangedPlan(before, before)
    holder = Holder(before.publication_id, before.id, before.subscriber_id, before.plan, before.plan_until)
    give(session, [holder], plan, change, by=by, now=now)
    return ChangedPlan(before, find_subscription(session, subscription_id))


def give(  # noqa: PLR0913 - the shape of every use case, with the plan that was found
    session: Session, holders: Sequence[Holder], plan: PlanView, change: PlanChange, *, by: Actor, now: datetime
) -> None:
    """Write a plan and its end to many subscriptions at once, and each change to the ledger of consent.

    The caller holds their rows, and leaves out who has this plan with this end.
    """
    values = {"plan_id": plan.id, "plan_until": change.until, "noticed_until": None}
    ids = [one.subscription_id for one in holders]
    session.execute(update(Subscription).where(col(Subscription.id).in_(ids)).values(**values))
    insert_all(session, ConsentEvent, [_event(one, plan, change, by, now) for one in holders])


def end_plans(session: Session, publication_id: int, *, today: date, by: Actor, now: datetime) -> list[EndedPlan]:
    """Let up to a thousand readers whose plan's time is over fall back to the plan named for that; give who did.

    A plan is over on the day after its last day and its days of grace. Who left falls back too, so that coming back
    brings no plan that has ended. Twice, or from two machines at once, is fine.
    """
    plans = list_plans(session, publication_id)
    found = select(Subscription).where(_over(plans, today)).order_by(col(Subscription.id)).limit(CHUNK)
    over = session.exec(found.with_for_update()).all()
    locales = _locales(session, over)
    by_plan = {plan.id: [one for one in over if one.plan_id == plan.id] for plan in plans}
    ended: list[EndedPlan] = []
    # Sorted out before anything is written: who falls back to a plan that is itself over must not fall twice.
    for plan, theirs in ((plan, by_plan[plan.id]) for plan in plans if by_plan[plan.id]):
        then = fallback_of(plan, plans)
        ended += [EndedPlan(one.id, locales[one.subscriber_id], plan.name, then.name) for one in theirs]
        holders = [Holder(publication_id, one.id, one.subscriber_id, plan.code, one.plan_until) for one in theirs]
        give(session, holders, then, PlanChange(then.code, reason="ended"), by=by, now=now)
    return ended


def read_last_day(said: str) -> date | None:
    """Read the last day of a plan as people write it; empty for a plan without an end.

    Raises:
        RefusedPlan: It is no date.
    """
    try:
        return date.fromisoformat(said) if said else None
    except ValueError:
        raise RefusedPlan(f"the plan's last day, {said!r}, is no date; write it as 2027-01-31") from None


def coming_last_day(said: str, today: date) -> date | None:
    """Read the last day of a plan that is given now.

    Raises:
        RefusedPlan: It is no date, or has passed.
    """
    day = read_last_day(said)
    if day and day < today:
        raise RefusedPlan(f"the plan's last day, {day}, has passed; name a coming day, or the plan that comes after it")
    return day


def require_end(plan: PlanView, until: date | None, plans: Sequence[PlanView]) -> None:
    """Refuse an end to a plan that nothing comes after.

    Raises:
        RefusedPlan: The plan would fall back to itself.
    """
    if until and fallback_of(plan, plans).id == plan.id:
        raise RefusedPlan(
            f"plan {plan.code!r} has no end, since nothing comes after it: leave the last day out, or name its fallback"
        )


def any_over(session: Session, publication_id: int, *, today: date) -> bool:
    """Tell whether there is any plan to end, without writing."""
    over = _over(list_plans(session, publication_id), today)
    return session.exec(select(Subscription.id).where(over).limit(1)).first() is not None


def due_renewal_notices(session: Session, publication_id: int, *, today: date) -> list[EndingPlan]:
    """Give up to a thousand confirmed readers whose plan ends soon and who were not told of this end; mark them told.

    The caller has them told in the same transaction.
    """
    plans = list_plans(session, publication_id)
    waiting = _soon(plans, today) & (col(Subscription.state) == SubscriptionState.confirmed)
    found = select(Subscription).where(waiting).order_by(col(Subscription.id)).limit(CHUNK)
    due = session.exec(found.with_for_update()).all()
    locales = _locales(session, due)
    by_id = {plan.id: plan for plan in plans}
    ending = [_ending(one, plans, by_id[one.plan_id], locales[one.subscriber_id]) for one in due]
    marked = update(Subscription).where(col(Subscription.id).in_([one.id for one in due]))
    session.execute(marked.values(noticed_until=col(Subscription.plan_until)))
    return ending


def any_ending(session: Session, publication_id: int, *, today: date) -> bool:
    """Tell whether anybody is to be told of an end, without writing."""
    waiting = _soon(list_plans(session, publication_id), today)
    confirmed = col(Subscription.state) == SubscriptionState.confirmed
    return session.exec(select(Subscription.id).where(waiting, confirmed).limit(1)).first() is not None


def fallback_of(plan: PlanView, plans: Sequence[PlanView]) -> PlanView:
    """Give the plan of readers whose time on this one is over: the one it names, else the publication's default."""
    return choose_plan(plans, plan.fallback or None)


def plan_since(session: Session, subscription_id: int) -> datetime | None:
    """Tell when the present plan began, by the ledger: its first event since the last one with another plan.

    A plan that was renewed goes on; nothing where the ledger does not know the subscription.
    """
    found = select(ConsentEvent.plan_id, ConsentEvent.at).where(ConsentEvent.subscription_id == subscription_id)
    present, since = None, None
    for plan_id, at in session.exec(found.order_by(col(ConsentEvent.id))):
        if plan_id != present:
            present, since = plan_id, at
    return since


def _over(plans: Sequence[PlanView], today: date) -> ColumnElement[bool]:
    last_days = {plan.id: today - timedelta(days=plan.grace_days) for plan in plans}
    until = col(Subscription.plan_until)
    # A plan belongs to one publication: so do those who have it.
    return or_(false(), *(and_(col(Subscription.plan_id) == one, until < day) for one, day in last_days.items()))


def _soon(plans: Sequence[PlanView], today: date) -> ColumnElement[bool]:
    """Tell in SQL whose plan ends within its days of notice, where something else comes after it."""
    until = col(Subscription.plan_until)
    told = [plan for plan in plans if plan.notice_days and fallback_of(plan, plans).id != plan.id]
    soon = (
        and_(col(Subscription.plan_id) == plan.id, until.between(today, today + timedelta(days=plan.notice_days)))
        for plan in told
    )
    return or_(false(), *soon) & col(Subscription.noticed_until).is_distinct_from(until)


def _event(holder: Holder, plan: PlanView, change: PlanChange, by: Actor, now: datetime) -> dict[str, object]:
    """Write what the ledger keeps of a change: plans by code, last days as 2027-01-31; empty facts are left out."""
    detail = {
        "from": holder.plan,
        "to": plan.code,
        "until_before": str(holder.until or ""),
        "until": str(change.until or ""),
        "reason": change.reason,
    }
    return {
        "publication_id": holder.publication_id,
        "subscriber_id": holder.subscriber_id,
        "subscription_id": holder.subscription_id,
        "plan_id": plan.id,
        "kind": ConsentKind.plan_changed,
        "at": now,
        "by": str(by),
        "source": change.source,
        "detail": {name: value for name, value in detail.items() if value},
    }


def _ending(one: Subscription, plans: Sequence[PlanView], plan: PlanView, locale: str) -> EndingPlan:
    if one.plan_until is None:
        raise ValueError(f"the plan of subscription {one.id} has no end")
    return EndingPlan(one.id, locale, plan.name, one.plan_until, fallback_of(plan, plans).name, plan.upgrade_url)


def _locales(session: Session, subscriptions: Sequence[Subscription]) -> dict[int, str]:
    ids = [one.subscriber_id for one in subscriptions]
    return dict(session.exec(select(Subscriber.id, Subscriber.locale).where(col(Subscriber.id).in_(ids))).all())
