"""``/feed.xml`` and ``/feed.json``: the newest issues for feed readers, with what anybody may read of them.

Both are written by one library from one description (Atom: RFC 4287; JSON Feed 1.1).
"""

from datetime import UTC, datetime
from html import escape

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from feedgenerator import Atom1Feed, SyndicationFeed
from jsonfeed import JSONFeed
from sqlmodel import Session

from newsletter.delivery.published import published_issues
from newsletter.errors import Refused
from newsletter.publications import Publication, publication_named
from newsletter.web.articles import Entry, path_of
from newsletter.web.caching import cached
from newsletter.web.pages import Here, Visit
from newsletter.web.site import absolute, home_of, press_of


router = APIRouter()

NEWEST = 20


@router.api_route("/feed.xml", methods=["GET", "HEAD"])
def atom(visit: Here, publication: str | None = None) -> Response:
    """Give the Atom feed."""
    return _feed(visit, publication, _Atom, "application/atom+xml")


@router.api_route("/feed.json", methods=["GET", "HEAD"])
def json(visit: Here, publication: str | None = None) -> Response:
    """Give the JSON Feed."""
    return _feed(visit, publication, _JSONFeed, "application/feed+json")


class _Atom(Atom1Feed):  # type: ignore[misc]  # the library ships no types
    """The library's; one without entries is as old as its publication, not as the request."""

    def latest_post_date(self) -> datetime:
        latest: datetime = super().latest_post_date() if self.items else self.feed["begun_at"]
        return latest


class _JSONFeed(JSONFeed):  # type: ignore[misc]  # the same
    """The library's, with the summary and the whole text each in its own place."""

    def add_item_elements(self, item: dict[str, str], handler: None = None) -> dict[str, str]:
        element: dict[str, str] = super().add_item_elements(item | {"description": item["content"]}, handler)
        return element | {"summary": item["summary"]}


def _feed(visit: Visit, code: str | None, kind: type[SyndicationFeed], media_type: str) -> Response:
    with visit.service.database.reading() as session:
        try:
            publication = publication_named(session, code)
        except Refused:
            # Unknown, or not said which of several.
            return PlainTextResponse("There is no such feed: /issues/ names each publication's own.\n", 404)
        feed = _described(visit, session, publication, kind)
    headers = {"X-Content-Type-Options": "nosniff", **({"X-Robots-Tag": "noindex"} if publication.noindex else {})}
    answer = Response(feed.writeString("utf-8"), media_type=f"{media_type}; charset=utf-8", headers=headers)
    return cached(visit.request, answer)


def _described(
    visit: Visit, session: Session, publication: Publication, kind: type[SyndicationFeed]
) -> SyndicationFeed:
    home = absolute(visit, home_of(publication))
    feed = kind(
        title=publication.name,
        link=home,
        description="",
        language=publication.locale,
        author_name=publication.name,
        feed_url=absolute(visit, f"{visit.request.url.path}?publication={publication.code}"),
        feed_guid=home,
        begun_at=publication.created_at,
    )
    issues = published_issues(session, publication.id, live=visit.service.live, now=visit.now)[:NEWEST]
    press = press_of(visit)
    for entry in press.entries(session, press.readership(session, publication), issues):
        _add(feed, entry, visit, publication)
    return feed


def _add(feed: SyndicationFeed, entry: Entry, visit: Visit, publication: Publication) -> None:
    feed.add_item(
        title=entry.article.title,
        link=absolute(visit, entry.path),
        # Without the words of the title, so that a mended title makes no new entry.
        unique_id=absolute(visit, path_of(publication, entry.published.issue_id)),
        # Atom's is HTML, JSON Feed's is plain text.
        description=escape(entry.article.summary),
        summary=entry.article.summary,
        content=_corrected(entry) + entry.article.body + entry.article.footer,
        author_name=entry.article.byline or None,
        pubdate=entry.published.published_at.astimezone(UTC),
        updateddate=entry.published.revised_at.astimezone(UTC),
    )


def _corrected(entry: Entry) -> str:
    return "".join(f"<p><strong>{escape(line)}</strong></p>" for line in entry.corrections)
