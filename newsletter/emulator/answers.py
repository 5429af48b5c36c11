"""How the emulator answers: SendGrid's own bodies, and endings that no HTTP answer is.

A hang, a reset and a cut answer need the connection itself; ``serving`` keeps the open ones by their peer.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from newsletter.emulator.faults import Fault, Kind
from newsletter.emulator.validation import Problem


#: How many seconds a connection stays so after it was cut, until the loop has seen it.
A_MOMENT = 0.05

_MESSAGES = {
    401: "The provided authorization grant is invalid, expired, or revoked",
    403: "access forbidden",
    404: "not found",
    429: "too many requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
_AS_HTML = frozenset({Kind.status_413, Kind.status_502, Kind.html_503, Kind.status_408, Kind.status_421})


def accepted(message_id: str) -> Response:
    """202: empty, with the id of the request."""
    return Response(b"", 202, {"X-Message-Id": message_id, "Content-Type": "text/plain; charset=utf-8"})


def refused(problems: Sequence[Problem], status: int = 400) -> Response:
    """Refuse with SendGrid's body of errors."""
    body = orjson.dumps({"errors": [problem.as_json() for problem in problems]})
    return Response(body, status, media_type="application/json")


def nginx(status: int, words: str) -> Response:
    """Answer as the gateway does: HTML, not JSON."""
    said = f"{status} {words}"
    page = f"<html>\r\n<head><title>{said}</title></head>\r\n<body><h1>{said}</h1></body>\r\n</html>\r\n"
    return Response(page, status, media_type="text/html")


def faulty(fault: Fault, message_id: str | None) -> Response:
    """Answer as a fault says; the request was recorded under ``message_id``, or not at all."""
    match fault.kind:
        case Kind.accept_then_hang | Kind.hang_before_accept:
            return Hang(fault.seconds)
        case Kind.accept_then_reset | Kind.reset_before_accept:
            return Reset()
        case Kind.garbage_answer:
            return Raw(b"220 this is no HTTP\r\n\r\n")
        case Kind.truncated_202:
            head = f"HTTP/1.1 202 Accepted\r\nX-Message-Id: {message_id}\r\nContent-Length: 100\r\n\r\n"
            return Raw(head.encode() + b"cut ")
        case Kind.five_hundred_after_accept:
            return _with_status(500, fault)
        case _ if fault.kind in _AS_HTML:
            return nginx(int(fault.kind[:3]), "Error")
        case _:
            return _with_status(int(fault.kind[:3]), fault)


def _with_status(status: int, fault: Fault) -> Response:
    if status in {302, 307}:
        return Response(b"", status, {"Location": "/v3/elsewhere"})
    if status not in _MESSAGES:
        return Response(b"", status)
    answer = refused([Problem(_MESSAGES[status], None)], status)
    if fault.reset is not None:
        answer.headers["X-RateLimit-Reset"] = str(int(time.time() + fault.reset))
    return answer


class Hang(Response):
    """Keeps the connection open and says nothing."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait until the caller goes, or the time is over; then cut."""

        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        try:
            await asyncio.wait_for(gone(), self.seconds)
        except TimeoutError:
            await Reset()(scope, receive, send)


class Reset(Response):
    """Cuts the connection with a reset (RST), as a machine does that dies or a box in between that gives up."""

    async def __call__(self, scope: Scope, _: Receive, __: Send) -> None:
        """Cut, and wait until the loop has seen it."""
        transport = _transport(scope)
        if connection := transport.get_extra_info("socket"):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        await asyncio.sleep(A_MOMENT)


class Raw(Response):
    """Writes bytes as they are and closes."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content = content

    async def __call__(self, scope: Scope, _: Receive, __: Send) -> None:
        """Write, close, and wait until the loop has seen it."""
        transport = _transport(scope)
        transport.write(self.content)
        transport.close()
        await asyncio.sleep(A_MOMENT)


def _transport(scope: Scope) -> Any:
    request = Request(scope)
    return request.app.state.connections[tuple(scope["client"])]
