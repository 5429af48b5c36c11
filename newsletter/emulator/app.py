"""The emulator's application: SendGrid's path, the paths for tests, and the inbox."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from newsletter.emulator import account, inbox, scripting
from newsletter.emulator.answers import accepted, faulty, nginx, refused
from newsletter.emulator.errors import EmulatorError
from newsletter.emulator.faults import ACCEPTING, Fault, Faults, Kind
from newsletter.emulator.feed import Feed
from newsletter.emulator.oddities import Oddities
from newsletter.emulator.posting import Clock, Poster, SigningKey
from newsletter.emulator.reactions import Reactions
from newsletter.emulator.record import Delivered, Record
from newsletter.emulator.validation import Problem, problems


#: SendGrid's limit for a whole request.
LARGEST_REQUEST = 30_000_000
#: Every step of an answer changes threads; a mail's bodies are large.
LINES_AT_A_TIME, LINES_WITH_BODIES = 1000, 100


@dataclass(frozen=True)
class EmulatorSettings:
    """What a local SendGrid is made with.

    Attributes:
        data_dir: Where the record is kept.
        templates_dir: The inbox's templates and words.
        api_key: The key that it asks for.
        null: Keep counts and ids only; for measuring.
        batch_seconds: How long events are collected before they are posted.
    """

    data_dir: Path
    templates_dir: Path
    api_key: str
    null: bool = False
    #: Where events are posted; the webhook's own settings say it too.
    webhook: str = ""
    batch_seconds: float = 30.0


@dataclass
class Traffic:
    """How much was taken since the start, in bytes of whole requests."""

    bytes: int = 0
    largest_request: int = 0

    def add(self, size: int) -> None:
        """Count a request that was accepted."""
        self.bytes += size
        self.largest_request = max(self.largest_request, size)


router = APIRouter()


def create_app(settings: EmulatorSettings) -> FastAPI:
    """Build the application over the record in the settings' folder.

    Raises:
        EmulatorError: The record cannot be opened.
    """
    app = FastAPI(title="Local SendGrid", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.settings = settings
    app.state.record = Record(settings.data_dir, null=settings.null)
    app.state.traffic = Traffic()
    app.state.faults = Faults()
    app.state.reactions = Reactions()
    clock = Clock()
    oddities = Oddities(batch_seconds=settings.batch_seconds)
    app.state.feed = Feed(app.state.record, app.state.reactions, clock, oddities)
    app.state.poster = Poster(app.state.feed, SigningKey(settings.data_dir), clock)
    if settings.webhook:
        app.state.feed.keep_setting("webhook", {"enabled": True, "url": settings.webhook})
    app.state.activity_pace = account.Pace()
    app.state.pages = inbox.load_pages(settings.templates_dir)
    #: Open connections by their peer; ``serving`` fills it.
    app.state.connections = {}
    app.include_router(router)
    for part in (account, scripting, inbox):
        app.include_router(part.router)
    app.add_exception_handler(EmulatorError, _cannot)
    app.add_exception_handler(account.REFUSAL, account.refusal)
    app.add_exception_handler(ClientDisconnect, _gone)
    return app


def _cannot(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


def _gone(_: Request, __: Exception) -> Response:
    """Answer nobody: whoever called has died, which services do here in tests and rehearsals."""
    return Response(status_code=400)


@router.post("/v3/mail/send")
async def mail_send(request: Request) -> Response:
    """Take a request as SendGrid does, unless a fault says otherwise."""
    data = await _read(request)
    if data is None:
        return nginx(413, "Request Entity Too Large")
    if request.headers.get("authorization") != f"Bearer {request.app.state.settings.api_key}":
        return refused([Problem("The provided authorization grant is invalid, expired, or revoked", None)], 401)
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        return refused([Problem("Content-Type should be application/json.", None)], 415)
    body, addresses = await run_in_threadpool(_parsed, data)
    fault: Fault | None = request.app.state.faults.next(addresses)
    if fault is not None and fault.kind not in ACCEPTING:
        return _refusal(fault, addresses)
    if fault is not None and fault.kind is Kind.slow:
        await asyncio.sleep(fault.seconds)
    answer, message_id = await run_in_threadpool(_take, request.app.state.record, request.app.state.feed, body)
    if message_id:
        request.app.state.traffic.add(len(data))
    return faulty(fault, message_id) if fault is not None and fault.kind is not Kind.slow and message_id else answer


async def _read(request: Request) -> bytes | None:
    """Read a body whole, also one that is too large; then nothing is kept of it."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= LARGEST_REQUEST:
            parts.append(part)
    return b"".join(parts) if size <= LARGEST_REQUEST else None


def _parsed(data: bytes) -> tuple[Any, list[str]]:
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None, []
    personalizations = body.get("personalizations") if isinstance(body, dict) else None
    people = (one.get("to") for one in personalizations or () if isinstance(one, dict))
    addresses = [to.get("email") for found in people for to in found or () if isinstance(to, dict)]
    return body, [str(address) for address in addresses]


def _take(record: Record, feed: Feed, body: Any) -> tuple[Response, str | None]:
    if found := problems(body):
        return refused(found), None
    if (body.get("mail_settings") or {}).get("sandbox_mode", {}).get("enable"):
        return Response(b"", 200), None
    message_id = record.accept(body, feed.enlist)
    return accepted(message_id), message_id


def _refusal(fault: Fault, addresses: list[str]) -> Response:
    if fault.kind is Kind.naming_400:
        message = "Does not contain a valid address."
        bad = [number for number, address in enumerate(addresses) if fault.refuses(address)]
        return refused([Problem(message, f"personalizations.{number}.to.0.email") for number in bad])
    if fault.kind is Kind.unnamed_400:
        return refused([Problem("Bad Request", None)])
    return faulty(fault, None)


@router.get("/_emulator/deliveries")
def deliveries(request: Request, fields: Annotated[str, Query()] = "") -> StreamingResponse:
    """Give the record, a line of JSON for each delivery, oldest first; ``fields`` chooses among its names."""
    wanted = [name for name in fields.split(",") if name]
    return StreamingResponse(_lines(request.app.state.record, wanted), media_type="application/x-ndjson")


def _lines(record: Record, wanted: list[str]) -> Iterator[bytes]:
    bodies = not wanted or bool({"html", "text"} & set(wanted))
    told = (_told(one, wanted) for one in record.everything(bodies=bodies))
    while lines := b"".join(islice(told, LINES_WITH_BODIES if bodies else LINES_AT_A_TIME)):
        yield lines


def _told(one: Delivered, wanted: list[str]) -> bytes:
    return orjson.dumps(vars(one) if not wanted else {name: getattr(one, name, None) for name in wanted}) + b"\n"


@router.delete("/_emulator/deliveries")
def forget(request: Request) -> Response:
    """Empty the record."""
    request.app.state.record.clear()
    return Response(status_code=204)


@router.get("/_emulator/counts")
def counts(request: Request) -> dict[str, Any]:
    """Count what is on record, how large the requests were since the start, and what became of the mails."""
    state = request.app.state
    return {
        **state.record.counts(),
        **vars(state.traffic),
        **state.feed.counts(),
        "posts_refused": state.poster.refused,
    }


@router.post("/_emulator/faults")
def add_fault(request: Request, told: dict[str, Any]) -> dict[str, Any]:
    """Let the next requests go wrong."""
    fault: Fault = request.app.state.faults.add(told)
    return fault.as_json()


@router.get("/_emulator/faults")
def list_faults(request: Request) -> list[dict[str, Any]]:
    """List the faults that wait."""
    listed: list[dict[str, Any]] = request.app.state.faults.listed()
    return listed


@router.delete("/_emulator/faults")
def clear_faults(request: Request) -> Response:
    """Take every fault away."""
    request.app.state.faults.clear()
    return Response(status_code=204)
