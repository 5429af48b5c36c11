"""What an operator says of a plan: its name and place, who may take it, and what happens when its time is over.

Beside ``plans``, which makes plans and answers what they may read; ``plan_changes`` acts on what is said here.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import HttpUrl, TypeAdapter, ValidationError
from sqlalchemy import update
from sqlmodel import Session, col

from subscribers.errors import RefusedPlan
from subscribers.models import Plan
from subscribers.plans import PlanView, list_plans, plan_named, set_inclusions


#: Longer than a year is a plan without an end under another name.
MAX_DAYS = 366


@dataclass(frozen=True)
class PlanForm:
    """What an operator says of a plan; ``None`` leaves what stands.

    Attributes:
        name: As readers see it.
        includes: Codes of the plans that it includes, in place of those before.
        is_public: Whether readers may give it themselves; else it is by invitation, or bought.
        upgrade_url: Where a reader gets it; empty for where the publication says.
        fallback: Code of the plan of readers whose time on this one is over; empty for the default plan.
        grace_days: For how many days after its last day a reader keeps it.
        notice_days: How many days before its last day the reader is told; 0 for not at all.
        position: Its place in the order of plans, counted from 1. The first is the default.
    """

    name: str | None = None
    includes: tuple[str, ...] | None = None
    is_public: bool | None = None
    upgrade_url: str | None = None
    fallback: str | None = None
    grace_days: int | None = None
    notice_days: int | None = None
    position: int | None = None


def set_plan(session: Session, publication_id: int, code: str, form: PlanForm) -> PlanView:
    """Change what the form says of a plan and leave the rest.

    Raises:
        UnknownPlan: One of the plans named does not exist.
        RefusedPlan: A value cannot be used; the sentence says which and how to mend it.
    """
    plan = plan_named(session, publication_id, code)
    if values := _values(session, plan, form):
        session.execute(update(Plan).where(col(Plan.id) == plan.id).values(**values))
        session.expire_all()
    if form.position is not None:
        _place(session, plan_named(session, publication_id, plan.code), form.position)
    if form.includes is not None:
        set_inclusions(session, publication_id, plan.code, form.includes)
    return plan_named(session, publication_id, plan.code)


def _values(session: Session, plan: PlanView, form: PlanForm) -> dict[str, Any]:
    """Give the columns that the form changes, checked."""
    if form.is_public is False and plan.id == plan_named(session, plan.publication_id, None).id:
        raise RefusedPlan(
            f"plan {plan.code!r} is the first, which all get who name none; put another first (--position 1)"
        )
    said: dict[str, Any] = {
        "name": None if form.name is None else _name(form.name),
        "is_public": form.is_public,
        "upgrade_url": None if form.upgrade_url is None else _web_address(form.upgrade_url),
        "fallback": None if form.fallback is None else _fallback(session, plan, form.fallback),
        "grace_days": _days("grace days", form.grace_days),
        "notice_days": _days("notice days", form.notice_days),
    }
    return {name: value for name, value in said.items() if value is not None}


def _name(typed: str) -> str:
    name = typed.strip()
    if not name or not name.isprintable():
        raise RefusedPlan("name: write what readers see, in one line, such as Pro")
    return name


def _web_address(typed: str) -> str:
    address = typed.strip()
    try:
        if address:
            TypeAdapter(HttpUrl).validate_python(address)
    except ValidationError:
        address = "\n"
    # The parser would leave line breaks out without a word; what is stored is what was typed.
    if not address.isprintable():
        raise RefusedPlan(f"upgrade address: {typed!r} is no web address; write it as https://news.example.com/pro")
    return address


def _fallback(session: Session, plan: PlanView, code: str) -> str:
    if not code.strip():
        return ""
    fallback = plan_named(session, plan.publication_id, code.strip())
    if fallback.id == plan.id:
        raise RefusedPlan(f"fallback: plan {plan.code!r} cannot fall back to itself; name another, or '' for the first")
    return fallback.code


def _days(what: str, days: int | None) -> int | None:
    if days is not None and not 0 <= days <= MAX_DAYS:
        raise RefusedPlan(f"{what}: {days} is not from 0 to {MAX_DAYS}")
    return days


def _place(session: Session, plan: PlanView, position: int) -> None:
    """Put a plan at its place; the others keep their order."""
    order = [other for other in list_plans(session, plan.publication_id) if other.id != plan.id]
    if not 1 <= position <= len(order) + 1:
        raise RefusedPlan(f"position: {position} is not from 1 to {len(order) + 1}, the number of plans")
    if position == 1 and not plan.is_public:
        raise RefusedPlan(
            f"position: the first plan is given to everybody who names none, and {plan.code!r} is by invitation; "
            "make it public first (--public) if that is meant"
        )
    order.insert(position - 1, plan)
    for number, one in enumerate(order, start=1):
        session.execute(update(Plan).where(col(Plan.id) == one.id).values(position=number))
    session.expire_all()
