"""Readers' pages: Jinja2 templates, in Chinese or English as the reader's browser asks, without JavaScript."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from newsletter.composition import Service


#: No script, nothing from elsewhere, no referrer to take the link along, nothing kept, nothing indexed.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Language",
}


@dataclass(frozen=True)
class Pages:
    """Renders pages from the templates folder.

    Attributes:
        live: Whether real readers are mailed; every page says so where they are not.
    """

    environment: Environment
    words: Mapping[str, Mapping[str, str]]
    live: bool

    def show(self, request: Request, name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Render a page in the language that the request asks for."""
        language = language_of(request.headers.get("accept-language", ""))
        page = self.environment.get_template(f"pages/{name}.html.j2")
        html = page.render(t=self.words[language], language=language, live=self.live, **values)
        return HTMLResponse(html, status_code=status, headers=PAGE_HEADERS)


def service_of(request: Request) -> Service:
    """Give the parts of the installation to a route."""
    service: Service = request.app.state.service
    return service


def pages_of(request: Request) -> Pages:
    """Give the pages to a route."""
    pages: Pages = request.app.state.pages
    return pages


def load_pages(templates: Path, *, live: bool) -> Pages:
    """Load the pages' templates and words; called once, by the composition of the web."""
    environment = Environment(
        loader=FileSystemLoader(templates), autoescape=select_autoescape(["html", "j2"]), undefined=StrictUndefined
    )
    words = yaml.safe_load((templates / "pages" / "words.yaml").read_text(encoding="utf-8"))
    return Pages(environment, words, live)


def language_of(accept_language: str) -> str:
    """Choose Chinese or English by the first of the two that a browser names; Chinese where it names neither."""
    for part in accept_language.lower().split(","):
        language = part.split(";")[0].strip().split("-")[0]
        if language in {"zh", "en"}:
            return language
    return "zh"
