"""``/read/<id>/<mailing>``: the mail in the browser. It changes nothing.

The mail that a reader was sent is shown as it was, from the stored variant, so that also who was on another plan by
now sees that one mail.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from newsletter.composition import Service
from newsletter.delivery.replay import variant_sent
from newsletter.delivery.variants import substitutions_of
from newsletter.rendering.personalisation import fill, values_by_tag
from newsletter.web.pages import PAGE_HEADERS, Pages, pages_of, service_of
from subscribers.roster import find_by_unsubscribe_id


router = APIRouter()

#: Digits of a mailing's number that every database takes.
LONGEST_NUMBER = 9
#: The mail's images come from the publication's site; nothing in it runs, and its links open as in any page.
_MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src https: http:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox allow-top-navigation-by-user-activation allow-popups"
)


@router.api_route("/read/{unsubscribe_id}/{mailing_id}", methods=["GET", "HEAD"])
def read(
    request: Request,
    unsubscribe_id: str,
    mailing_id: str,
    service: Annotated[Service, Depends(service_of)],
    pages: Annotated[Pages, Depends(pages_of)],
) -> Response:
    """Show the mail that this reader was sent."""
    is_number = mailing_id.isascii() and mailing_id.isdecimal() and len(mailing_id) <= LONGEST_NUMBER
    number = int(mailing_id) if is_number else 0
    with service.database.reading() as session:
        reader = find_by_unsubscribe_id(session, unsubscribe_id)
        variant = variant_sent(session, reader, number) if reader else None
    if reader is None or variant is None:
        return pages.show(request, "gone", status=404)
    values = values_by_tag(substitutions_of(variant), service.letterhead.values(reader, number))
    headers = PAGE_HEADERS | {"Content-Security-Policy": _MAIL_POLICY}
    return HTMLResponse(fill(variant.html, values), headers=headers)
