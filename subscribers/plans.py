"""Plans: what a reader of a publication has, and which plans include which. Before ``subscriptions`` and ``access``.

``readable_codes`` is what the access rule is fed with: everything a plan's readers may read, by plan codes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete
from sqlmodel import Session, col, select

from subscribers.errors import RefusedPlan, UnknownPlan
from subscribers.models import Plan, PlanInclusion


#: In the access rule ``anonymous`` stands for readers without a subscription: archive and feeds.
RESERVED_CODES = frozenset({"anonymous"})
_CODE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class PlanView:
    """A plan as other packages see it; ``includes`` names the plans it includes directly."""

    id: int
    publication_id: int
    code: str
    name: str
    position: int
    includes: tuple[str, ...] = ()
    is_public: bool = False
    upgrade_url: str = ""
    fallback: str = ""
    grace_days: int = 0
    notice_days: int = 7


@dataclass(frozen=True)
class NewPlan:
    """A plan to be made. Without a name it is called by its code; it takes the last position.

    The first plan of a publication is public, each other one by invitation.
    """

    publication_id: int
    code: str
    name: str = ""
    includes: tuple[str, ...] = ()


def add_plan(session: Session, new: NewPlan) -> PlanView:
    """Make a plan, after the plans that are there; the first one is the default.

    Raises:
        RefusedPlan: The code is taken, reserved or unreadable.
        UnknownPlan: It should include a plan that the publication does not have.
    """
    if not _CODE.fullmatch(new.code):
        raise RefusedPlan(f"plan code {new.code!r}: use 1 to 40 letters a-z, digits, - and _, such as pro")
    if new.code in RESERVED_CODES:
        raise RefusedPlan(f"plan code {new.code!r} is reserved for readers without a subscription; choose another")
    plans = list_plans(session, new.publication_id)
    if new.code in {plan.code for plan in plans}:
        raise RefusedPlan(f"there is already a plan {new.code!r} in this publication; choose another code")
    position = 1 + max((plan.position for plan in plans), default=0)
    plan = Plan(publication_id=new.publication_id, code=new.code, name=new.name.strip() or new.code, position=position)
    plan.is_public = not plans
    session.add(plan)
    session.flush()
    return set_inclusions(session, new.publication_id, new.code, new.includes)


def set_inclusions(session: Session, publication_id: int, code: str, includes: Sequence[str]) -> PlanView:
    """Say which plans a plan includes, in place of what was said before.

    Raises:
        UnknownPlan: One of the plans does not exist.
        RefusedPlan: A plan would include itself, directly or through others.
    """
    plan = plan_named(session, publication_id, code)
    included = [plan_named(session, publication_id, name) for name in dict.fromkeys(includes)]
    readable = readable_codes(session, publication_id)
    for other in included:
        if other.id == plan.id or code in readable[other.id]:
            raise RefusedPlan(f"plan {code!r} cannot include {other.code!r}, which is or includes {code!r} itself")
    session.exec(delete(PlanInclusion).where(col(PlanInclusion.plan_id) == plan.id))
    session.add_all(PlanInclusion(plan_id=plan.id, included_plan_id=other.id) for other in included)
    session.flush()
    return plan_named(session, publication_id, code)


def list_plans(session: Session, publication_id: int) -> list[PlanView]:
    """List a publication's plans by position; the first is the default."""
    found = select(Plan).where(Plan.publication_id == publication_id).order_by(col(Plan.position), col(Plan.id))
    plans = session.exec(found).all()
    codes = {plan.id: plan.code for plan in plans}
    direct = _direct_inclusions(session, publication_id)
    return [
        PlanView(
            id=plan.id,
            publication_id=publication_id,
            code=plan.code,
            name=plan.name,
            position=plan.position,
            includes=tuple(codes[other] for other in codes if other in direct.get(plan.id, set())),
            is_public=plan.is_public,
            upgrade_url=plan.upgrade_url,
            fallback=plan.fallback,
            grace_days=plan.grace_days,
            notice_days=plan.notice_days,
        )
        for plan in plans
    ]


def plan_named(session: Session, publication_id: int, code: str | None) -> PlanView:
    """Find a plan by its code; without a code, the publication's default plan.

    Raises:
        UnknownPlan: There is no such plan, or none at all.
    """
    return choose_plan(list_plans(session, publication_id), code)


def plan_by_id(session: Session, publication_id: int, plan_id: int) -> PlanView:
    """Find a plan by the id that a subscription holds.

    Raises:
        UnknownPlan: The publication has no such plan.
    """
    for plan in list_plans(session, publication_id):
        if plan.id == plan_id:
            return plan
    raise UnknownPlan(f"there is no plan with id {plan_id}")


def choose_plan(plans: Sequence[PlanView], word: str | None) -> PlanView:
    """Choose among plans by code, or by name where no code matches (case aside); without a word, the first.

    Raises:
        UnknownPlan: There is no such plan, or none at all.
    """
    if not plans:
        raise UnknownPlan("the publication has no plan yet: make one with `newsletter plans add`")
    if not word:
        return plans[0]
    folded = word.casefold()
    for plan in plans:
        if plan.code == folded:
            return plan
    if len(named := [plan for plan in plans if plan.name.casefold() == folded]) == 1:
        return named[0]
    raise UnknownPlan(f"there is no plan {word!r}; there is: {', '.join(plan.code for plan in plans)}")


def readable_codes(session: Session, publication_id: int) -> dict[int, frozenset[str]]:
    """Give for each plan of a publication every plan code its readers may read, its own included.

    Inclusion is transitive; plans that include each other in a ring read the same.
    """
    direct = _direct_inclusions(session, publication_id)
    codes = dict(session.exec(select(Plan.id, Plan.code).where(Plan.publication_id == publication_id)).all())
    return {plan_id: frozenset(codes[reached] for reached in _reach(plan_id, direct)) for plan_id in codes}


def _direct_inclusions(session: Session, publication_id: int) -> dict[int, set[int]]:
    found = (
        select(PlanInclusion.plan_id, PlanInclusion.included_plan_id)
        .join(Plan, col(Plan.id) == col(PlanInclusion.plan_id))
        .where(Plan.publication_id == publication_id)
    )
    direct: dict[int, set[int]] = {}
    for plan_id, included_id in session.exec(found):
        direct.setdefault(plan_id, set()).add(included_id)
    return direct


def _reach(start: int, direct: Mapping[int, set[int]]) -> set[int]:
    reached: set[int] = set()
    waiting = [start]
    while waiting:
        if (plan_id := waiting.pop()) not in reached:
            reached.add(plan_id)
            waiting.extend(direct.get(plan_id, ()))
    return reached
