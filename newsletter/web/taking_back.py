"""``/take-back/<token>``: where an old mailbox puts its address back. After ``confirming`` of a new one.

Whoever has one mail of a reader can ask for another address, and confirm it from there. The mailbox that loses the
mails is told, and its word undoes the change. GET shows one button, since scanners follow links; only its POST acts.
"""

from fastapi import APIRouter
from fastapi.responses import Response

from newsletter.signing import ExpiredToken, ForgedToken, Purpose
from newsletter.web.forms import evidence_of
from newsletter.web.pages import Here, Visit
from subscribers.actors import READER
from subscribers.addresses import mask
from subscribers.new_address import address_after, take_back
from subscribers.opt_in import Answer, Click


router = APIRouter()


@router.api_route("/take-back/{token}", methods=["GET", "HEAD"])
def show_change(visit: Here, token: str) -> Response:
    """Show where the mails go now, and one button. Changes nothing."""
    if (event_id := _event(visit, token)) is None:
        return _answer(visit, Answer.ended)
    with visit.service.database.reading() as session:
        address = address_after(session, event_id)
    if not address:
        return _answer(visit, Answer.ended)
    words = visit.words
    return visit.show(
        "confirm",
        heading=words["take_back_ask"],
        sentence=words["take_back_ask_detail"].format(address=mask(address)),
        button=words["take_back_button"],
    )


@router.post("/take-back/{token}")
def do_take_back(visit: Here, token: str) -> Response:
    """Put the address back. Twice is fine; the answer says what is true."""
    if (event_id := _event(visit, token)) is None:
        return _answer(visit, Answer.ended)
    click = Click(event_id, evidence_of(visit.request))
    with visit.service.database.writing() as session:
        done = take_back(session, click, hasher=visit.service.hasher, by=READER, now=visit.now)
    return _answer(visit, done.answer, done.subscription.email if done.subscription else "")


def _event(visit: Visit, token: str) -> int | None:
    """Give the event that a link names; nothing where it has expired, or was not made here."""
    try:
        return visit.service.signer.ids(Purpose.take_back, token, now=visit.now)[0]
    except (ForgedToken, ExpiredToken):
        return None


def _answer(visit: Visit, answer: Answer, address: str = "") -> Response:
    status = 410 if answer is Answer.ended else 200
    return visit.say(f"take_back_{answer}", status=status, address=mask(address) if address else "")
