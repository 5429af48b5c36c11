"""What `issue render`, `check` and `preview` look at: a file or an issue of the shelf, with its publication.

A file can be looked at before there is a store: a stand-in takes the publication's place, and it is said so.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from newsletter.cli.console import err
from newsletter.composition import Service
from newsletter.delivery.variants import edition_of, face_of, mailed_before, reader_plans, stand_in_plans
from newsletter.errors import Misconfigured, NotFound, Refused
from newsletter.issues.access import ReaderPlan, cut, may_receive
from newsletter.issues.document import decode, parse
from newsletter.issues.shelf import latest_revision
from newsletter.preflight.edition import Edition, Moment
from newsletter.publications import Publication, PublicationForm, publication_by_id, publication_named, zone_of
from newsletter.rendering.mail import Rendering, render


#: A number of more digits is a file's name.
LONGEST_ID = 10


@dataclass(frozen=True)
class Manuscript:
    """A source, the publication whose face it gets, and that publication's plans; without one of the store, none.

    Attributes:
        mailed_at: When this very revision was last mailed, where it is one of the shelf.
    """

    source: str
    publication: Publication
    plans: tuple[ReaderPlan, ...]
    mailed_at: datetime | None = None

    @property
    def is_of_stand_in(self) -> bool:
        """Whether no publication of the store is behind it."""
        return not self.plans

    def edition(self, service: Service) -> Edition:
        """Render it for every plan that may have it.

        Raises:
            BadIssue: The source cannot be read.
        """
        moment = Moment(service.clock().astimezone(zone_of(self.publication)).date(), self.mailed_at)
        return edition_of(self.source, self.publication, self.plans, service.workshop, moment)

    def rendering(self, service: Service, code: str) -> Rendering:
        """Render it for one plan.

        Raises:
            BadIssue: The source cannot be read.
            NotFound: There is no such plan.
            Refused: The plan's readers may not have this issue.
        """
        document = parse(self.source)
        # A file without a publication can be rendered for any plan: there is nothing to look the name up in.
        plans = self.plans or (*stand_in_plans(document), ReaderPlan(code, frozenset({code})))
        plan = next((one for one in plans if one.code == code), None)
        if plan is None:
            raise NotFound(f"there is no plan {code!r}; there is: {', '.join(one.code for one in plans)}")
        if not may_receive(document, plan):
            raise Refused(f"readers of plan {code!r} do not get this issue: its front matter is for other plans")
        face = face_of(self.publication, plans, service.workshop)
        return render(cut(document, plan), face, plan, service.workshop.theme)


def read_manuscript(service: Service, what: str, code: str | None, site_url: str | None) -> Manuscript:
    """Read a file, or an issue of the shelf by its number.

    Raises:
        BadIssue: The file is empty, binary or not UTF-8.
        NotFound: There is no such issue or publication.
        Refused: The file cannot be read, or the site's address is none.
    """
    form = PublicationForm(site_url=site_url).cleaned()
    if what.isdecimal() and len(what) < LONGEST_ID and not Path(what).exists():
        with service.database.reading() as session:
            shelved = latest_revision(session, int(what))
            publication = publication_by_id(session, shelved.issue.publication_id)
            plans = tuple(reader_plans(session, publication).values())
            mailed_at = mailed_before(session, shelved.revision.id, live=service.live)
        return Manuscript(shelved.revision.source, publication.model_copy(update=form), plans, mailed_at)
    source = decode(read_bytes(Path(what)))
    publication, plans = _publication(service, code)
    return Manuscript(source, publication.model_copy(update=form), plans)


def say_stand_in(manuscript: Manuscript) -> None:
    """Say it where a mail is looked at before there is a publication."""
    if manuscript.is_of_stand_in:
        err.print("No publication yet: a stand-in shows how the mail looks.")


def read_bytes(file: Path) -> bytes:
    """Read a file whole.

    Raises:
        Refused: It cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}") from None


def _publication(service: Service, code: str | None) -> tuple[Publication, tuple[ReaderPlan, ...]]:
    try:
        with service.database.reading() as session:
            publication = publication_named(session, code)
            return publication, tuple(reader_plans(session, publication).values())
    except (Misconfigured, NotFound):
        if code is not None:
            raise
    return _stand_in(service), ()


def _stand_in(service: Service) -> Publication:
    return Publication(
        code="sample",
        name="示例刊物",
        sender="weekly@news.example.com",
        reply_to="editor@news.example.com",
        site_url="https://news.example.com",
        postal_address="示例市示例路 1 号",
        upgrade_url="https://news.example.com/plans",
        created_at=service.clock(),
    )
