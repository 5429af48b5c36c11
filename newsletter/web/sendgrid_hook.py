"""``POST /webhooks/sendgrid``: SendGrid says what became of mails. Kept as it came, before it is answered.

The signature is checked over the raw bytes before anything of them is read. A call that cannot be kept is answered
with 503, so that SendGrid comes again, for 24 hours; what a genuine call holds is read later (``feedback.ingest``).
"""

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from newsletter.composition import Service
from newsletter.feedback.ingest import keep_call
from newsletter.providers.sendgrid_events import is_genuine
from newsletter.web.metrics import metrics_of
from newsletter.web.pages import service_of


log = structlog.get_logger(__name__)
router = APIRouter()

#: SendGrid posts 768 kB at most (sendgrid.com, event webhook overview); a little room for what changes there.
BODY_LIMIT = 2_000_000


@router.post("/webhooks/sendgrid")
async def take_events(request: Request) -> PlainTextResponse:
    """Keep a genuine call; refuse every other without a trace in the store."""
    service, metrics = service_of(request), metrics_of(request)
    try:
        body = await _bounded(request)
    except ClientDisconnect:
        # Nobody is there to be answered; it is no fault of ours, and a stranger may do so at will.
        metrics.refused.labels("cut short").inc()
        return PlainTextResponse("cut short\n", 400)
    if body is None:
        metrics.refused.labels("too large").inc()
        return PlainTextResponse(f"a call has {BODY_LIMIT:,} bytes at most\n", 413)
    if not is_genuine(service.event_keys, request.headers, body):
        metrics.refused.labels("not signed").inc()
        log.warning("a call of the event webhook was not signed with a key of ours", bytes=len(body))
        return PlainTextResponse("not signed with a key of ours\n", 403)
    await run_in_threadpool(_keep, service, body)
    metrics.kept.inc()
    return PlainTextResponse("kept\n")


def _keep(service: Service, body: bytes) -> None:
    with service.database.writing() as session:
        keep_call(session, body, now=service.clock())


async def _bounded(request: Request) -> bytes | None:
    """Read a body whole; of one that is too large nothing is kept, and the rest is not waited for."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_LIMIT:
            return None
        parts.append(part)
    return b"".join(parts)
