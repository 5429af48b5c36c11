"""The preview of an issue on the author's own machine: the mail as readers will see it, beside what preflight finds.

Nothing here is served to readers: `newsletter issue preview` runs it on loopback, for one file.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from newsletter.errors import NewsletterError
from newsletter.preflight.edition import Edition, Finding
from newsletter.preflight.inspection import inspect
from newsletter.preflight.subject import as_phones_cut_it
from newsletter.rendering.mail import Rendering
from newsletter.rendering.personalisation import SAMPLE, fill, values_by_tag
from newsletter.web.pages import load_pages


#: The page frames the mail and looks for news; the mail shows its images and runs nothing.
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; connect-src 'self'; script-src 'self'"
_MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src http: https:; frame-ancestors 'self'; sandbox"
_DARK = re.compile(r"@media\s*\(prefers-color-scheme:\s*dark\)")
_STYLE = re.compile(r"<style.*?</style>", re.DOTALL)
_REFRESH = """
const shown = document.documentElement.dataset.version;
const ask = async () => {
  try { if ((await (await fetch("/version")).json()).version !== shown) location.reload(); } catch (gone) {}
  setTimeout(ask, 500);
};
ask();
"""


class View(StrEnum):
    """How the mail is shown."""

    phone = "phone"
    desktop = "desktop"
    dark = "dark"
    bare = "bare"
    text = "text"


#: The width of a view's screen in CSS pixels.
_WIDTHS = {View.phone: 375, View.desktop: 800, View.dark: 375, View.bare: 375, View.text: 800}


@dataclass(frozen=True)
class Look:
    """What is looked at: how it is read and rendered, its file, and whether the page follows the file."""

    read: Callable[[], Edition]
    file: Path
    watch: bool

    def edition(self) -> tuple[Edition | None, tuple[Finding, ...], str]:
        """Give the edition with its findings; or nothing, and why it cannot be shown."""
        try:
            edition = self.read()
        except NewsletterError as error:
            return None, (), str(error)
        return edition, inspect(edition), ""

    def version(self) -> str:
        """Give another word whenever the file has changed."""
        try:
            return hashlib.sha256(self.file.read_bytes()).hexdigest()
        except OSError:
            # An editor that saves by renaming leaves a moment without a file.
            return "gone"


def create_preview(look: Look, templates: Path) -> FastAPI:
    """Build the application that shows one file."""
    app = FastAPI(title="preview", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.look = look
    app.state.pages = load_pages(templates, live=True)
    app.include_router(_router)
    return app


_router = APIRouter()


def _look(request: Request) -> Look:
    look: Look = request.app.state.look
    return look


@_router.get("/")
def page(request: Request, look: Annotated[Look, Depends(_look)], plan: str = "", view: View = View.phone) -> Response:
    """Show the page: the mail in a frame, and the findings."""
    edition, findings, error = look.edition()
    shown = _rendering(edition, plan)
    subject = fill(shown.subject, values_by_tag(shown.substitutions, SAMPLE)) if shown else ""
    response: Response = request.app.state.pages.show(
        request,
        "preview",
        file=look.file.name,
        watch=look.watch,
        version=look.version(),
        error=error,
        findings=findings,
        subject=subject,
        on_phones=as_phones_cut_it(subject),
        preheader=shown.preheader if shown else "",
        size=len(shown.html.encode()) if shown else 0,
        plans=[rendering.plan for rendering in edition.renderings] if edition else [],
        plan=shown.plan if shown else "",
        views=list(View),
        view=view,
        width=_WIDTHS[view],
    )
    response.headers["Content-Security-Policy"] = _PAGE_POLICY
    return response


@_router.get("/mail")
def mail(look: Annotated[Look, Depends(_look)], plan: str = "", view: View = View.phone) -> Response:
    """Give the mail itself, for the frame."""
    shown = _rendering(look.edition()[0], plan)
    if shown is None:
        return PlainTextResponse("", 404)
    filled = values_by_tag(shown.substitutions, SAMPLE)
    headers = {"Content-Security-Policy": _MAIL_POLICY, "Cache-Control": "no-store"}
    if view is View.text:
        return PlainTextResponse(fill(shown.text, filled), headers=headers)
    return HTMLResponse(_as_seen(fill(shown.html, filled), view), headers=headers)


@_router.get("/version")
def version(look: Annotated[Look, Depends(_look)]) -> Response:
    """Tell whether the file has changed."""
    return JSONResponse({"version": look.version()}, headers={"Cache-Control": "no-store"})


@_router.get("/refresh.js")
def refresh() -> Response:
    """Give the script that loads the page anew after a change."""
    return Response(_REFRESH, media_type="text/javascript")


def _rendering(edition: Edition | None, plan: str) -> Rendering | None:
    renderings = edition.renderings if edition else ()
    return next((one for one in renderings if one.plan == plan), next(iter(renderings), None))


def _as_seen(html: str, view: View) -> str:
    """Show the mail as a program would: with its dark colours or without, or without any styles of its head."""
    if view is View.bare:
        return _STYLE.sub("", html)
    return _DARK.sub("@media all" if view is View.dark else "@media not all", html)
