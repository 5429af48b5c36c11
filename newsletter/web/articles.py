"""Articles for archive and feeds: an issue's newest mailed revision, cut for whoever reads. Between store and pages.

Nothing of them is stored: what a page shows and a search looks through is cut by today's rule, from today's plans. Made
once, they are kept in this process, since revisions never change (docs/decisions/0015).
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import structlog
from sqlmodel import Session

from newsletter.composition import Service
from newsletter.database import FairLock
from newsletter.delivery.corrections import lines_of
from newsletter.delivery.published import Published, sources_of
from newsletter.delivery.variants import face_of, reader_plans
from newsletter.errors import BadIssue
from newsletter.issues.access import ANONYMOUS, ReaderPlan, cut
from newsletter.issues.document import parse
from newsletter.publications import Publication
from newsletter.rendering.article import Article, article
from newsletter.rendering.mail import Face


log = structlog.get_logger(__name__)

#: Articles that a process keeps; some 50 kB each.
KEPT = 512
LONGEST_SLUG = 60


@dataclass(frozen=True)
class Entry:
    """An issue of the archive with its article, its page's path, and what was corrected, in lines of plain text."""

    published: Published
    article: Article
    path: str
    corrections: tuple[str, ...] = ()


@dataclass(frozen=True)
class Readership:
    """For whom articles are written, and in whose face."""

    publication: Publication
    face: Face
    plan: ReaderPlan
    sign_in_url: str


class Press:
    """Makes articles with this installation's theme, and keeps the last of them."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._made = lru_cache(maxsize=KEPT)(self._make)
        # Searches that come together after a start make each article once, and take turns with who only reads one.
        self._one_at_a_time = FairLock()

    def readership(self, session: Session, publication: Publication, plan_id: int | None = None) -> Readership:
        """Give the readers of a plan; without one, everybody."""
        plans = reader_plans(session, publication)
        face = face_of(publication, plans.values(), self._service.workshop)
        if plan := plans.get(plan_id or 0):
            return Readership(publication, face, plan, "")
        sign_in_url = f"{self._service.settings.public_url}/issues/{publication.code}/sign-in"
        return Readership(publication, face, ANONYMOUS, sign_in_url)

    def entries(self, session: Session, readers: Readership, issues: Iterable[Published]) -> Iterator[Entry]:
        """Give the entries of these issues, in order; one that can be read no more is left out."""
        wanted = list(issues)
        sources = sources_of(session, [one.revision_id for one in wanted])
        for one in wanted:
            with self._one_at_a_time:
                made = self._made(sources[one.revision_id], readers.face, readers.plan, readers.sign_in_url)
            if made is not None:
                path = path_of(readers.publication, one.issue_id, made.title)
                yield Entry(one, made, path, self._corrections(one, readers.publication, made.locale))

    def _corrections(self, one: Published, publication: Publication, locale: str) -> tuple[str, ...]:
        words = str(self._service.workshop.theme.words_for(locale)["correction"])
        return lines_of(one.corrections, publication, words)

    def _make(self, source: str, face: Face, plan: ReaderPlan, sign_in_url: str) -> Article | None:
        try:
            document = cut(parse(source), plan)
        except BadIssue:
            # It was mailed by an older version that knew less; what cannot be read cannot be cut either.
            log.warning("an issue of the archive cannot be read any more, and is left out of it")
            return None
        return article(document, face, plan, self._service.workshop.theme, sign_in_url=sign_in_url)


def path_of(publication: Publication, issue_id: int, title: str = "") -> str:
    """Write the path of an issue's page, with its title where that has letters that a path can show."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = "-".join(re.findall(r"[a-z0-9]+", plain))[:LONGEST_SLUG].strip("-")
    words = f"-{slug}" if re.search("[a-z]{2}", slug) else ""
    return f"/issues/{publication.code}/{issue_id}{words}"
