"""``/u/<id>``: where readers leave. GET and HEAD change nothing; POST unsubscribes at once.

One address serves the mail program's button and the reader's click (RFC 8058): both POST, and only a person or a mail
program does. Scanners fetch every link of a mail, some with JavaScript, so the page holds one plain button and nothing
that presses itself. No cookie, no redirect, no login; an id that nobody has gets a neutral answer.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse, Response

from newsletter.composition import Service
from newsletter.publications import publication_by_id
from newsletter.web.pages import PAGE_HEADERS, Pages, pages_of, service_of
from subscribers.actors import READER
from subscribers.addresses import mask
from subscribers.leaving import LeavingChannel, leave
from subscribers.models import SubscriptionState
from subscribers.roster import find_by_unsubscribe_id


router = APIRouter()

#: What the page's own form sends. Anything else, also nothing at all, is a mail program's button: it SHOULD send
#: multipart/form-data and MAY send urlencoded (RFC 8058 §3.2), and some send an empty body.
FROM_PAGE = b"from=page"
BODY_LIMIT = 10_000


async def _pressed_on_page(request: Request) -> bool:
    """Tell whether the page's button was pressed; reads no more of the body than it needs."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_LIMIT:
            return False
    return body == FROM_PAGE


@router.api_route("/u/{unsubscribe_id}", methods=["GET", "HEAD"])
def show_leaving(
    request: Request,
    unsubscribe_id: str,
    service: Annotated[Service, Depends(service_of)],
    pages: Annotated[Pages, Depends(pages_of)],
) -> Response:
    """Show what would be left, and one button. Changes nothing."""
    with service.database.reading() as session:
        found = find_by_unsubscribe_id(session, unsubscribe_id)
        if found is None:
            return pages.show(request, "leaving", status=404, state="unknown", publication="", address="")
        publication = publication_by_id(session, found.publication_id)
    state = "left_already" if found.state is SubscriptionState.left else "ask"
    return pages.show(request, "leaving", state=state, publication=publication.name, address=mask(found.email))


@router.post("/u/{unsubscribe_id}")
def do_leave(
    request: Request,
    unsubscribe_id: str,
    pressed_on_page: Annotated[bool, Depends(_pressed_on_page)],
    service: Annotated[Service, Depends(service_of)],
    pages: Annotated[Pages, Depends(pages_of)],
) -> Response:
    """Unsubscribe. Twice is fine; the answer says what is true."""
    channel = LeavingChannel.page if pressed_on_page else LeavingChannel.one_click
    with service.database.writing() as session:
        departure = leave(session, unsubscribe_id, channel=channel, by=READER, now=service.clock())
        publication = publication_by_id(session, departure.publication_id) if departure else None
    if not pressed_on_page:
        return PlainTextResponse("unsubscribed\n" if departure else "nothing to unsubscribe\n", headers=PAGE_HEADERS)
    if departure is None or publication is None:
        return pages.show(request, "leaving", state="unknown", publication="", address="")
    state = "left" if departure.is_new else "left_already"
    return pages.show(request, "leaving", state=state, publication=publication.name, address=departure.masked_address)
