"""The web application: routes, and what a reader sees when something fails. Built once by ``serve``."""

from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import SQLAlchemyError

from newsletter.composition import Service, shipped
from newsletter.database import is_reachable
from newsletter.hosts import open_holds
from newsletter.web import (
    archive,
    confirming,
    feeds,
    inbound,
    leaving,
    metrics,
    plan_hook,
    preferences,
    reading,
    sendgrid_hook,
    signing_in,
    signing_up,
    taking_back,
)
from newsletter.web.articles import Press
from newsletter.web.pages import load_pages, pages_of, service_of, visit_of
from newsletter.web.throttle import Throttle
from subscribers.errors import NewPepper, OtherPepper


log = structlog.get_logger(__name__)


def create_app(service: Service) -> FastAPI:
    """Build the application over the parts that the composition chose."""
    app = FastAPI(title="newsletter", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.service = service
    app.state.pages = load_pages(shipped("templates"), live=service.live)
    app.state.throttle = Throttle()
    app.state.press = Press(service)
    app.state.metrics = metrics.Metrics(service)
    # Signing in before the archive, whose issues' addresses are of the same form.
    pages = (signing_up, confirming, taking_back, leaving, preferences, reading, signing_in, archive, feeds)
    for part in (*pages, plan_hook, inbound, sendgrid_hook, metrics):
        app.include_router(part.router)
    app.add_api_route("/healthz", _healthz, methods=["GET", "HEAD"])
    app.add_api_route("/readyz", _readyz, methods=["GET", "HEAD"])
    for lost in (SQLAlchemyError, OtherPepper, NewPepper):
        app.add_exception_handler(lost, _try_again)
    app.add_exception_handler(404, _not_found)
    app.add_exception_handler(405, _bad_method)
    app.add_exception_handler(500, _failed)
    return app


def _healthz(request: Request) -> JSONResponse:
    """Say that the process lives, and whether it mails real readers."""
    return JSONResponse({"status": "ok", "live": request.app.state.service.live})


def _readyz(request: Request) -> JSONResponse:
    """Say that the database answers, and why nothing is mailed where that is so; without a database it is a 503."""
    service: Service = request.app.state.service
    ready = is_reachable(service.database)
    with service.database.reading() as session:
        reasons = [one.reason for one in open_holds(session)]
    # Readers can leave and read all the while: such a process stays in service.
    held = {"mails_nothing": reasons} if (reasons := [*reasons, *filter(None, [service.room.lack()])]) else {}
    return JSONResponse({"status": "ready" if ready else "not ready", **held})


async def _not_found(request: Request, _: Exception) -> Response:
    return _told(request, 404, "not_found", "Not Found")


async def _bad_method(request: Request, error: Exception) -> Response:
    answer = _told(request, 405, "bad_method", "Method Not Allowed")
    answer.headers.update(getattr(error, "headers", None) or {})
    return answer


async def _failed(request: Request, error: Exception) -> Response:
    # The path holds the reader's link, and the error's text may hold an address: neither belongs in a log.
    log.error("a request failed", method=request.method, error=type(error).__name__)
    return _told(request, 500, "failed", "Internal Server Error")


def _try_again(request: Request, error: Exception) -> Response:
    """Answer 503, so that a mail provider that unsubscribes somebody tries again, and a person knows to."""
    log.error("the store cannot be used", method=request.method, error=type(error).__name__)
    return _told(request, 503, "try_again", "The service cannot be reached just now")


def _told(request: Request, status: int, name: str, detail: str) -> Response:
    """Show people a page; programs get the plain answer."""
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"detail": detail}, status)
    links = [("/", "to_start")] if status < HTTPStatus.INTERNAL_SERVER_ERROR else []
    return visit_of(request, service_of(request), pages_of(request)).say(name, status=status, links=links)
