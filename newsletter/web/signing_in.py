"""``/issues/<code>/sign-in``: a reader with a plan gets a link by mail, and with it a cookie for the archive.

The answer to an address is the same whether anybody of it is known. Scanners follow every link of a mail, so the link
shows a button, and only the button's POST sets the cookie.
"""

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response
from sqlmodel import Session
from starlette.background import BackgroundTask

from newsletter.publications import Publication
from newsletter.signing import Purpose
from newsletter.web.forms import Form, ip_of
from newsletter.web.link_mails import ask_for_sign_in_link
from newsletter.web.pages import PAGE_HEADERS, Here, Visit
from newsletter.web.reading_session import PresentReader, begin_session, end_session, present_reader, reader_of_token
from newsletter.web.site import find_publication, home_of, missing
from newsletter.web.throttle import Throttle
from subscribers.addresses import Address, parse_address
from subscribers.errors import InvalidAddress, UnknownSubscriber
from subscribers.roster import find_by_address


router = APIRouter()


@router.api_route("/issues/{code}/sign-in", methods=["GET", "HEAD"])
def show_form(visit: Here, code: str) -> Response:
    """Show the form that asks for a link."""
    with visit.service.database.reading() as session:
        publication = find_publication(session, code)
    return _page(visit, publication, "form") if publication else missing(visit)


@router.post("/issues/{code}/sign-in")
def ask(visit: Here, code: str, said: Form) -> Response:
    """Mail a link to the address, where a reader of this publication has it."""
    with visit.service.database.reading() as session:
        if (publication := find_publication(session, code)) is None:
            return missing(visit)
    try:
        address = parse_address(said.get("address", ""))
    except InvalidAddress:
        return _page(visit, publication, "invalid")
    throttle: Throttle = visit.request.app.state.throttle
    if not throttle.lets_in(ip_of(visit.request), address.domain):
        return visit.say("too_many", status=429)
    answer = _page(visit, publication, "asked")
    # Only after the answer: how long it takes must not tell whether anybody of the address reads here.
    answer.background = BackgroundTask(_mail_link, visit, publication, address)
    return answer


def _mail_link(visit: Visit, publication: Publication, address: Address) -> None:
    with visit.service.database.writing() as session:
        if reader := _reader_at(session, visit, publication, address):
            ask_for_sign_in_link(session, visit, reader.subscription)


@router.api_route("/issues/{code}/sign-in/{token}", methods=["GET", "HEAD"])
def show_button(visit: Here, code: str, token: str) -> Response:
    """Show whom the link signs in, and one button. Changes nothing."""
    with visit.service.database.reading() as session:
        if (publication := find_publication(session, code)) is None:
            return missing(visit)
        reader = reader_of_token(session, visit, publication, Purpose.sign_in, token)
    if reader is None:
        return _page(visit, publication, "expired")
    return _page(visit, publication, "button", reader.masked_address)


@router.post("/issues/{code}/sign-in/{token}")
def sign_in(visit: Here, code: str, token: str) -> Response:
    """Sign the reader in, and lead to the archive."""
    with visit.service.database.reading() as session:
        if (publication := find_publication(session, code)) is None:
            return missing(visit)
        reader = reader_of_token(session, visit, publication, Purpose.sign_in, token)
    if reader is None:
        return _page(visit, publication, "expired")
    answer = RedirectResponse(home_of(publication), status_code=303, headers=PAGE_HEADERS)
    begin_session(answer, visit, publication, reader)
    return answer


@router.post("/issues/{code}/sign-out")
def sign_out(visit: Here, code: str) -> Response:
    """Take the cookie away, and lead to the archive."""
    with visit.service.database.reading() as session:
        if (publication := find_publication(session, code)) is None:
            return missing(visit)
    answer = RedirectResponse(home_of(publication), status_code=303, headers=PAGE_HEADERS)
    end_session(answer, publication)
    return answer


def _reader_at(session: Session, visit: Visit, publication: Publication, address: Address) -> PresentReader | None:
    try:
        found = find_by_address(session, publication.id, address.email)
    except UnknownSubscriber:
        return None
    return present_reader(session, publication, found.id, now=visit.now)


def _page(visit: Visit, publication: Publication, state: str, address: str = "") -> Response:
    status = {"invalid": 422, "expired": 410}.get(state, 200)
    facts = {"publication": publication.name, "address": address, "home": home_of(publication)}
    return visit.show("sign_in", status=status, state=state, **facts)
