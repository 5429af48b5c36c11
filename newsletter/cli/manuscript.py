"""What `issue render` and `issue check` look at: a file or an issue of the shelf, with the publication it is for.

A file can be looked at before there is a store: a stand-in takes the publication's place, and it is said so.
"""

from dataclasses import dataclass
from pathlib import Path

from newsletter.cli.console import err
from newsletter.composition import Service
from newsletter.delivery.variants import reader_plans
from newsletter.errors import Misconfigured, NotFound, Refused
from newsletter.issues.access import ReaderPlan
from newsletter.issues.document import decode
from newsletter.issues.shelf import latest_revision
from newsletter.publications import Publication, PublicationForm, publication_by_id, publication_named


#: A number of more digits is a file's name.
LONGEST_ID = 10


@dataclass(frozen=True)
class Manuscript:
    """A source, the publication whose face it gets, and that publication's plans; without one of the store, none."""

    source: str
    publication: Publication
    plans: tuple[ReaderPlan, ...]


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
        source = shelved.revision.source
    else:
        source = decode(read_bytes(Path(what)))
        publication, plans = _publication(service, code)
    return Manuscript(source, publication.model_copy(update=form), plans)


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
    err.print("No publication yet: a stand-in shows how the mail looks.")
    return _stand_in(service), ()


def _stand_in(service: Service) -> Publication:
    return Publication(
        code="sample",
        name="示例刊物",
        sender="weekly@news.example.com",
        reply_to="editor@news.example.com",
        site_url="https://news.example.com",
        postal_address="示例市示例路 1 号",
        created_at=service.clock(),
    )
