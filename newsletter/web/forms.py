"""Forms: what readers' pages are sent, bounded and read with care; and what is kept of who sent it.

The base of the readers' pages. A form is a few short fields: more than that is nobody's hand.
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from newsletter.web.pages import service_of
from subscribers.client_evidence import ClientEvidence
from subscribers.consent import Evidence


BODY_LIMIT = 10_000
FIELD_LIMIT = 500
_FORM = "application/x-www-form-urlencoded"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


async def read_form(request: Request) -> Mapping[str, str]:
    """Give a small urlencoded form; empty where it is larger or of another kind. The first value counts.

    Control characters are left out: nobody types them into a field of one line, and a database may refuse them.
    """
    if not request.headers.get("content-type", _FORM).startswith(_FORM):
        return {}
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_LIMIT:
            return {}
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=50)
    except (UnicodeDecodeError, ValueError):
        return {}
    return {name: _CONTROL.sub("", value)[:FIELD_LIMIT] for name, value in reversed(pairs)}


Form = Annotated[Mapping[str, str], Depends(read_form)]


def ip_of(request: Request) -> str:
    """Give the address that connected; a proxy's word for it counts only where the settings trust the proxy."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    # A socket of both families writes an IPv4 address as ::ffff:192.0.2.1: all of them would be one place.
    return str(getattr(address, "ipv4_mapped", None) or address)


def evidence_of(request: Request, address_typed: str = "") -> Evidence:
    """Give what the settings let the proof of consent keep of a request."""
    kept = service_of(request).settings.client_evidence
    ip, agent = ip_of(request), " ".join(request.headers.get("user-agent", "").split())
    if kept is ClientEvidence.off:
        return Evidence(address_typed)
    if kept is ClientEvidence.full:
        return Evidence(address_typed, ip=ip, user_agent=agent[:300])
    return Evidence(address_typed, ip=kept.ip(ip), user_agent=agent[:60])
