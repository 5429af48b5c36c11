"""Forms: what readers' pages are sent, bounded and read with care; and what is kept of who sent it.

The base of the readers' pages. A form is a few short fields: more than that is nobody's hand.
"""

import ipaddress
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from newsletter.web.pages import service_of
from subscribers.client_evidence import ClientEvidence
from subscribers.consent import Evidence


BODY_LIMIT = 10_000
FIELD_LIMIT = 500


async def read_form(request: Request) -> Mapping[str, str]:
    """Give a small urlencoded form; empty where it is larger or of another kind. The first value counts."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_LIMIT:
            return {}
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=50)
    except (UnicodeDecodeError, ValueError):
        return {}
    return {name: value[:FIELD_LIMIT] for name, value in reversed(pairs)}


Form = Annotated[Mapping[str, str], Depends(read_form)]


def ip_of(request: Request) -> str:
    """Give the address that connected; a proxy's word for it counts only where the settings trust the proxy."""
    host = request.client.host if request.client else ""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return ""


def evidence_of(request: Request, address_typed: str = "") -> Evidence:
    """Give what the settings let the proof of consent keep of a request."""
    kept = service_of(request).settings.client_evidence
    ip, agent = ip_of(request), " ".join(request.headers.get("user-agent", "").split())
    if kept is ClientEvidence.off:
        return Evidence(address_typed)
    if kept is ClientEvidence.full:
        return Evidence(address_typed, ip=ip, user_agent=agent[:300])
    return Evidence(address_typed, ip=kept.ip(ip), user_agent=agent[:60])
