"""``/u/<id>``: where readers leave, and take it back. GET and HEAD change nothing; POST unsubscribes at once.

One address serves the mail program's button and the reader's click (RFC 8058): both POST, and only a person or a mail
program does. Scanners fetch every link of a mail, some with JavaScript, so the page holds plain buttons and nothing
that presses itself. No cookie, no redirect, no login; an id that nobody has gets a neutral answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse, Response
from sqlmodel import Session

from newsletter.departures import depart
from newsletter.publications import publication_by_id
from newsletter.web.forms import read_form
from newsletter.web.pages import PAGE_HEADERS, Here, Visit
from subscribers.actors import READER
from subscribers.addresses import mask
from subscribers.hashing import AddressHasher
from subscribers.leaving import (
    LeavingChannel,
    LeavingReason,
    can_undo,
    give_reason,
    leave_everything,
    reads_more,
    undo,
)
from subscribers.models import SubscriptionState
from subscribers.roster import SubscriptionView, find_by_unsubscribe_id


router = APIRouter()


#: What the page says of who is out.
_OUT = frozenset({"left", "left_already", "left_everything", "too_late"})


async def _pressed_on_page(request: Request) -> Mapping[str, str] | None:
    """Give what a form of the page says; nothing where a mail program pressed its button.

    That one SHOULD send multipart/form-data and MAY send urlencoded (RFC 8058 §3.2), and some send an empty body.
    """
    said = await read_form(request)
    return said if said.get("from") == "page" else None


@router.api_route("/u/{unsubscribe_id}", methods=["GET", "HEAD"])
def show_leaving(visit: Here, unsubscribe_id: str) -> Response:
    """Show what would be left, and the buttons. Changes nothing."""
    with visit.service.database.reading() as session:
        found = find_by_unsubscribe_id(session, unsubscribe_id)
        if found is None or not found.email:
            return _unknown(visit, status=404)
        return _page(visit, session, found, _truth(found, "ask"))


@router.post("/u/{unsubscribe_id}")
def do_leave(
    visit: Here,
    unsubscribe_id: str,
    said: Annotated[Mapping[str, str] | None, Depends(_pressed_on_page)],
) -> Response:
    """Unsubscribe, or what else a button of the page says. Twice is fine; the answer says what is true."""
    if said is None:
        with visit.service.database.writing() as session:
            _leave(visit, session, unsubscribe_id, LeavingChannel.one_click)
            known = find_by_unsubscribe_id(session, unsubscribe_id) is not None
        return PlainTextResponse("unsubscribed\n" if known else "nothing to unsubscribe\n", headers=PAGE_HEADERS)
    with visit.service.database.writing() as session:
        done = _act(visit, session, unsubscribe_id, said)
        found = find_by_unsubscribe_id(session, unsubscribe_id)
        if found is None or not found.email:
            return _unknown(visit)
        if done is None:
            return visit.say("bad_press", status=422, links=[(f"/u/{unsubscribe_id}", "back")])
        return _page(visit, session, found, _truth(found, done.state), thanked=done.thanked)


@dataclass(frozen=True)
class _Done:
    """What a button did: the state that the page should show, and the reason it thanks for."""

    state: str
    thanked: str = ""


def _truth(reader: SubscriptionView, state: str) -> str:
    """Give the state to show: what a button did, where the reader stands as that says; else how they stand."""
    if reader.state is SubscriptionState.lapsed:
        return "never_began"
    out = reader.state is SubscriptionState.left
    return state if out == (state in _OUT) else "left_already" if out else "ask"


def _act(visit: Visit, session: Session, unsubscribe_id: str, said: Mapping[str, str]) -> _Done | None:
    """Do what a button says, and tell what is true after it; nothing where no button of the page says so."""
    now, hasher = visit.now, visit.service.hasher
    match said.get("do", "leave"):
        case "undo":
            return _Done("returned" if _returns(session, unsubscribe_id, hasher, now) else "too_late")
        case "why" if (reason := said.get("reason", "")) in set(LeavingReason):
            kept = give_reason(session, unsubscribe_id, LeavingReason(reason), by=READER, now=now)
            return _Done("left_already", reason if kept else "")
        case "everything":
            leave_everything(session, unsubscribe_id, hasher=hasher, by=READER, now=now)
            return _Done("left_everything")
        case "leave":
            return _Done("left" if _leave(visit, session, unsubscribe_id, LeavingChannel.page) else "left_already")
    return None


def _returns(session: Session, unsubscribe_id: str, hasher: AddressHasher, now: datetime) -> bool:
    """Take the departure back; tell whether the subscription stands, be it by an earlier press."""
    reader = undo(session, unsubscribe_id, hasher=hasher, by=READER, now=now) or find_by_unsubscribe_id(
        session, unsubscribe_id
    )
    return reader is not None and reader.state is SubscriptionState.confirmed


def _leave(visit: Visit, session: Session, unsubscribe_id: str, channel: LeavingChannel) -> bool:
    return depart(session, unsubscribe_id, channel, live=visit.service.live, now=visit.now)


def _page(
    visit: Visit,
    session: Session,
    reader: SubscriptionView,
    state: str,
    *,
    thanked: str = "",
) -> Response:
    publication = publication_by_id(session, reader.publication_id)
    return visit.show(
        "leaving",
        state=state,
        publication=publication.name,
        address=mask(reader.email),
        undo=can_undo(session, reader, hasher=visit.service.hasher, now=visit.now),
        reads_more=reads_more(session, reader),
        reasons=list(LeavingReason),
        thanked=thanked,
        preferences=f"/preferences/{reader.unsubscribe_id}",
        sign_up=f"/sign-up/{publication.code}",
    )


def _unknown(visit: Visit, *, status: int = 200) -> Response:
    return visit.say("unknown", status=status)
