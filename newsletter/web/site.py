"""The frame of the archive's pages: what each of them shows beside its own, whom it may be shown to, and for how long.

Everybody's pages may be kept and found; a page that was cut for a reader's plan is that reader's, and is kept nowhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi.responses import Response
from sqlmodel import Session

from newsletter.delivery.published import Published, published_issues
from newsletter.errors import NotFound
from newsletter.publications import Publication, publication_named
from newsletter.web.articles import Press
from newsletter.web.caching import cached
from newsletter.web.pages import PAGE_HEADERS, Visit
from newsletter.web.reading_session import PresentReader, signed_in


#: An issue's pictures come from wherever its author keeps them; the language and the cookie choose what is shown.
_HEADERS = {
    **PAGE_HEADERS,
    "Content-Security-Policy": PAGE_HEADERS["Content-Security-Policy"] + "; img-src https: http:",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Vary": "Accept-Language, Cookie",
}
_PRIVATE = "private, no-store"


@dataclass(frozen=True)
class ArchiveVisit:
    """One request to a publication's archive, and who asks, where a cookie says so."""

    visit: Visit
    session: Session
    publication: Publication
    reader: PresentReader | None

    @property
    def press(self) -> Press:
        """What makes the articles."""
        return press_of(self.visit)

    def issues(self) -> tuple[Published, ...]:
        """List what stands in the archive, newest first."""
        return published_issues(self.session, self.publication.id, live=self.visit.service.live, now=self.visit.now)

    def show(self, name: str, *, path: str, hidden: bool = False, **values: Any) -> Response:
        """Show a page of the archive.

        Args:
            name: The page's template.
            path: Where the page has its one address.
            hidden: Search engines are asked to leave it out, whatever the publication says.
            values: What the template shows.
        """
        noindex = hidden or self.publication.noindex or self.reader is not None
        frame = self._frame() | {"noindex": noindex, "canonical": absolute(self.visit, path), "reader": self.reader}
        pages, request = self.visit.pages, self.visit.request
        answer = pages.show(request, name, headers=_headers(noindex=noindex), **frame, **values)
        if self.reader:
            answer.headers["Cache-Control"] = _PRIVATE
            return answer
        return cached(request, answer)

    def _frame(self) -> dict[str, Any]:
        home, query = home_of(self.publication), f"?publication={self.publication.code}"
        return {
            "publication": self.publication,
            "look": self.visit.service.workshop.theme.look(self.publication.brand_color),
            "home": home,
            "sign_up": f"/sign-up/{self.publication.code}",
            "sign_in": f"{home}sign-in",
            "sign_out": f"{home}sign-out",
            # With its code, so that a feed stays the same one when another publication begins.
            "atom": absolute(self.visit, f"/feed.xml{query}"),
            "json_feed": absolute(self.visit, f"/feed.json{query}"),
        }


def enter(visit: Visit, session: Session, code: str) -> ArchiveVisit | None:
    """Begin to answer a request to an archive; nothing where there is no such publication."""
    if (publication := find_publication(session, code)) is None:
        return None
    return ArchiveVisit(visit, session, publication, signed_in(session, visit, publication))


def find_publication(session: Session, code: str) -> Publication | None:
    """Find a publication by the code in an address."""
    try:
        return publication_named(session, code)
    except NotFound:
        return None


def missing(visit: Visit, state: str = "no_issue", *, status: int = 404, archive: str = "") -> Response:
    """Say kindly that there is nothing here, or nothing any more."""
    return visit.say(state, status=status, links=[(archive, "all_issues")] if archive else ())


def press_of(visit: Visit) -> Press:
    """Give what makes this installation's articles."""
    press: Press = visit.request.app.state.press
    return press


def home_of(publication: Publication) -> str:
    """Write the path of a publication's archive."""
    return f"/issues/{publication.code}/"


def absolute(visit: Visit, path: str) -> str:
    """Write a path's whole address."""
    return f"{visit.service.settings.public_url}{path}"


def _headers(*, noindex: bool) -> Mapping[str, str]:
    others = {name: value for name, value in _HEADERS.items() if name != "X-Robots-Tag"}
    return others | {"X-Robots-Tag": "noindex"} if noindex else others
