"""Readers' pages: Jinja2 templates, in Chinese or English as the reader's browser asks, without JavaScript."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import yaml
from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context, select_autoescape
from jinja2.runtime import Context

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

    def show(
        self,
        request: Request,
        name: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] = PAGE_HEADERS,
        **values: Any,
    ) -> HTMLResponse:
        """Render a page in the language that the request asks for."""
        page = self.environment.get_template(f"pages/{name}.html.j2")
        language = language_of(request)
        frame = {"t": self.words[language], "language": language, "live": self.live}
        links = {"chosen_language": _chosen(request), "other_language": _in_other_language(request, language)}
        html = page.render(**frame, **links, **values)
        return HTMLResponse(html, status_code=status, headers=dict(headers))

    def words_for(self, request: Request) -> Mapping[str, str]:
        """Give what pages say in the language that the request asks for."""
        return self.words[language_of(request)]


def service_of(request: Request) -> Service:
    """Give the parts of the installation to a route."""
    service: Service = request.app.state.service
    return service


def pages_of(request: Request) -> Pages:
    """Give the pages to a route."""
    pages: Pages = request.app.state.pages
    return pages


@dataclass(frozen=True)
class Visit:
    """One request to a readers' page, with what answers it."""

    request: Request
    service: Service
    pages: Pages

    @property
    def words(self) -> Mapping[str, str]:
        """What pages say in the visitor's language."""
        return self.pages.words_for(self.request)

    @property
    def language(self) -> str:
        """The visitor's language, ``zh`` or ``en``."""
        return language_of(self.request)

    @property
    def now(self) -> datetime:
        """The time."""
        return self.service.clock()

    def show(self, name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Render a page."""
        return self.pages.show(self.request, name, status=status, **values)

    def say(
        self, name: str, *, status: int = 200, asked: str = "", links: Sequence[tuple[str, str]] = (), **values: str
    ) -> HTMLResponse:
        """Show a page that only says something: the words ``name`` and ``name_detail``, and links with their words.

        ``asked`` is a question that stands before the links.
        """
        said = {"heading": self.words[name].format(**values), "sentence": self.words[f"{name}_detail"].format(**values)}
        shown = [{"url": url, "text": self.words[text].format(**values)} for url, text in links]
        return self.show("message", status=status, asked=asked, links=shown, **said)


def visit_of(
    request: Request, service: Annotated[Service, Depends(service_of)], pages: Annotated[Pages, Depends(pages_of)]
) -> Visit:
    """Give a route its visit."""
    return Visit(request, service, pages)


Here = Annotated[Visit, Depends(visit_of)]


@cache
def load_pages(templates: Path, *, live: bool) -> Pages:
    """Load the pages' templates and words, once a process."""
    environment = Environment(
        loader=FileSystemLoader(templates), autoescape=select_autoescape(["html", "j2"]), undefined=StrictUndefined
    )
    environment.filters["keeping_language"] = _keeping_language
    words = yaml.safe_load((templates / "pages" / "words.yaml").read_text(encoding="utf-8"))
    return Pages(environment, words, live)


def language_for(locale: str) -> str:
    """Choose the language of pages, ``zh`` or ``en``, that is nearest to a locale."""
    return "zh" if locale.lower().startswith("zh") else "en"


@pass_context
def _keeping_language(context: Context, url: str) -> str:
    """Write an address of our own so that the language goes along which the visitor chose, if any."""
    chosen = context["chosen_language"]
    if not chosen or not url.startswith("/"):
        return url
    return f"{url}{'&' if '?' in url else '?'}lang={chosen}"


def _chosen(request: Request) -> str:
    """Give the language that the address names, if it does."""
    chosen = request.query_params.get("lang", "")
    return chosen if chosen in {"zh", "en"} else ""


def _in_other_language(request: Request, language: str) -> str:
    """Write the query of this very page in the other language."""
    place = {name: value for name, value in request.query_params.items() if name in {"q", "page"}}
    return f"?{urlencode(place | {'lang': 'en' if language == 'zh' else 'zh'})}"


def language_of(request: Request) -> str:
    """Choose Chinese or English: as the address says, else by the first that the browser names, else Chinese."""
    if chosen := _chosen(request):
        return chosen
    for part in request.headers.get("accept-language", "").lower().split(","):
        language = part.split(";")[0].strip().split("-")[0]
        if language in {"zh", "en"}:
            return language
    return "zh"
