"""``/preferences/<id>``: what a reader has, and may change: plan, pause, address. Beside ``leaving``.

The id is the one of the way out, for ever. What reaches beyond the subscription, a new address, is confirmed from its
own mailbox first.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from fastapi import APIRouter
from fastapi.responses import Response
from sqlmodel import Session

from newsletter.outbox import NoticeKind, NoticeOrder, enqueue
from newsletter.publications import Publication, publication_by_id, zone_of
from newsletter.web.forms import Form, evidence_of, ip_of
from newsletter.web.pages import Here, Visit
from newsletter.web.throttle import FullMailbox, Throttle
from subscribers.actors import READER
from subscribers.addresses import canonical, mask, parse_address
from subscribers.errors import InvalidAddress, RefusedPause
from subscribers.leaving import can_undo
from subscribers.models import SubscriptionState
from subscribers.new_address import ask_for_address
from subscribers.opt_in import Asking
from subscribers.pausing import pause, resume
from subscribers.plan_changes import PlanChange, change_plan
from subscribers.plans import PlanView, list_plans
from subscribers.roster import SubscriptionView, find_by_unsubscribe_id
from subscribers.suppression import reasons_against


router = APIRouter()


@router.api_route("/preferences/{unsubscribe_id}", methods=["GET", "HEAD"])
def show_preferences(visit: Here, unsubscribe_id: str) -> Response:
    """Show what this reader has: publication, plan, address, and the way out. Changes nothing."""
    with visit.service.database.reading() as session:
        reader = find_by_unsubscribe_id(session, unsubscribe_id)
        if reader is None or not reader.email:
            return visit.say("unknown", status=404)
        return _page(visit, session, reader)


@router.post("/preferences/{unsubscribe_id}")
def change_preferences(visit: Here, unsubscribe_id: str, said: Form) -> Response:
    """Do what a button of the page says, and show the page with what is true after it."""
    try:
        with visit.service.database.writing() as session:
            reader = find_by_unsubscribe_id(session, unsubscribe_id)
            if reader is None or not reader.email:
                return visit.say("unknown", status=404)
            done, error = _act(visit, session, reader, said)
            after = find_by_unsubscribe_id(session, unsubscribe_id) or reader
            return _page(visit, session, after, done=done, error=error)
    except FullMailbox:
        return visit.say("too_many", status=429)


def _act(visit: Visit, session: Session, reader: SubscriptionView, said: Mapping[str, str]) -> tuple[str, str]:
    """Do what a button says; name the words for what was done, or for why it was not."""
    now = visit.now
    try:
        match said.get("do", ""):
            case "plan":
                return _change_plan(visit, session, reader, said.get("plan", ""))
            case "pause":
                weeks = said.get("weeks", "")
                pause(session, reader, int(weeks) if weeks.isascii() and weeks.isdigit() else 0, by=READER, now=now)
                return "done_pause", ""
            case "resume":
                resume(session, reader, by=READER, now=now)
                return "done_resume", ""
            case "address":
                return _ask_for_address(visit, session, reader, said.get("email", ""))
    except RefusedPause:
        return "", "too_late_to_change"
    except InvalidAddress:
        return "", "bad_address"
    return "", "bad_form"


def _change_plan(visit: Visit, session: Session, reader: SubscriptionView, code: str) -> tuple[str, str]:
    """Change between public plans. One that was given or bought is not lost by a slip of the hand here."""
    public = {plan.code for plan in list_plans(session, reader.publication_id) if plan.is_public}
    if reader.state != "confirmed" or code not in public or reader.plan not in public:
        return "", "bad_plan"
    # Choosing the same plan once more must not take its end away.
    if code != reader.plan:
        change_plan(session, reader.id, PlanChange(code, source="preferences"), by=READER, now=visit.now)
    return "done_plan", ""


def _ask_for_address(visit: Visit, session: Session, reader: SubscriptionView, typed: str) -> tuple[str, str]:
    address = parse_address(typed)
    throttle: Throttle = visit.request.app.state.throttle
    if reader.state != "confirmed":
        return "", "too_late_to_change"
    if not throttle.lets_in(ip_of(visit.request), address.domain):
        return "", "too_many"
    now, evidence = visit.now, evidence_of(visit.request, address.typed)
    asked = ask_for_address(session, reader, address, evidence, hasher=visit.service.hasher, by=READER, now=now)
    if asked.asking is Asking.confirm:
        order = NoticeOrder(
            NoticeKind.confirm_address,
            reader.publication_id,
            reader.id,
            visit.service.live,
            bucket=visit.service.hasher.hash(canonical(address)),
            opt_in_id=asked.opt_in_id,
            locale=reader.locale,
        )
        if enqueue(session, order, now=now) is None:
            raise FullMailbox
    return "done_address", ""


def _page(
    visit: Visit,
    session: Session,
    reader: SubscriptionView,
    *,
    done: str = "",
    error: str = "",
) -> Response:
    now, words = visit.now, visit.words
    publication = publication_by_id(session, reader.publication_id)
    plans = {plan.code: plan for plan in list_plans(session, publication.id)}
    own = plans[reader.plan]
    until = _day(reader, publication, now)
    standing = "paused" if until else "suppressed" if _gets_nothing(visit, session, reader) else reader.state
    facts = {"publication": publication.name, "plan": own.name, "until": until}
    return visit.show(
        "preferences",
        status=422 if error else 200,
        publication=publication.name,
        address=mask(reader.email),
        plan=own.code,
        plan_name=own.name,
        until=str(reader.plan_until or ""),
        state=str(reader.state),
        standing=words[f"state_{standing}"].format(**facts),
        sign_up_again=standing == "suppressed",
        paused_until=until,
        plans=[plan for plan in plans.values() if plan.is_public] if own.is_public else [],
        upgrades=_upgrades(plans.values(), own.code, publication),
        undo=can_undo(session, reader, hasher=visit.service.hasher, now=now),
        leave=f"/u/{reader.unsubscribe_id}",
        sign_up=f"/sign-up/{publication.code}",
        done=words[done].format(**facts) if done else "",
        error=words[error] if error else "",
    )


def _gets_nothing(visit: Visit, session: Session, reader: SubscriptionView) -> bool:
    """Tell whether nothing is mailed though the reader stands in the list."""
    if reader.state is not SubscriptionState.confirmed:
        return False
    return bool(reasons_against(session, reader.publication_id, reader.email, hasher=visit.service.hasher))


def _day(reader: SubscriptionView, publication: Publication, now: datetime) -> str:
    """Give the day on which a pause ends, in the publication's zone; empty where there is none."""
    if reader.paused_until is None or reader.paused_until <= now:
        return ""
    return reader.paused_until.astimezone(zone_of(publication)).date().isoformat()


def _upgrades(plans: Iterable[PlanView], own: str, publication: Publication) -> list[dict[str, str]]:
    """Give the plans that a reader can only get elsewhere, with the address where."""
    addressed = [(plan, plan.upgrade_url or publication.upgrade_url) for plan in plans]
    return [
        {"name": plan.name, "upgrade_url": url}
        for plan, url in addressed
        if url and not plan.is_public and plan.code != own
    ]
