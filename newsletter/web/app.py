"""The web application: routes, and what a reader sees when something fails. Built once by ``serve``."""

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from sqlalchemy.exc import SQLAlchemyError

from newsletter.composition import Service, shipped
from newsletter.database import is_reachable
from newsletter.web import (
    archive,
    confirming,
    feeds,
    inbound,
    leaving,
    plan_hook,
    preferences,
    reading,
    signing_in,
    signing_up,
)
from newsletter.web.articles import Press
from newsletter.web.pages import load_pages, pages_of, service_of, visit_of
from newsletter.web.throttle import Throttle


log = structlog.get_logger(__name__)


def create_app(service: Service) -> FastAPI:
    """Build the application over the parts that the composition chose."""
    app = FastAPI(title="newsletter", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.service = service
    app.state.pages = load_pages(shipped("templates"), live=service.live)
    app.state.throttle = Throttle()
    app.state.press = Press(service)
    # Signing in before the archive, whose issues' addresses are of the same form.
    for part in (signing_up, confirming, leaving, preferences, reading, signing_in, archive, feeds, plan_hook, inbound):
        app.include_router(part.router)
    app.add_api_route("/healthz", _healthz, methods=["GET", "HEAD"])
    app.add_api_route("/readyz", _readyz, methods=["GET", "HEAD"])
    app.add_exception_handler(SQLAlchemyError, _try_again)
    app.add_exception_handler(404, _not_found)
    return app


def _healthz(request: Request) -> JSONResponse:
    """Say that the process lives, and whether it mails real readers."""
    return JSONResponse({"status": "ok", "live": request.app.state.service.live})


def _readyz(request: Request) -> JSONResponse:
    """Say that the database answers; the failing case is answered with 503 like everywhere."""
    return JSONResponse({"status": "ready" if is_reachable(request.app.state.service.database) else "not ready"})


async def _not_found(request: Request, _: Exception) -> Response:
    """Show people a page; programs get the plain answer."""
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"detail": "Not Found"}, 404)
    return visit_of(request, service_of(request), pages_of(request)).say(
        "not_found", status=404, links=[("/", "to_start")]
    )


def _try_again(request: Request, error: Exception) -> Response:
    """Answer 503, so that a mail provider that unsubscribes somebody tries again, and a person knows to."""
    # The path holds the reader's link: it does not belong in a log.
    log.error("the database did not answer", method=request.method, error=type(error).__name__)
    return PlainTextResponse("The service cannot be reached just now. Please try again in a few minutes.\n", 503)
