"""What the checks of an installation look at: settings, store, SendGrid and names. Each is asked for when it is needed.

What cannot be asked here and now raises ``Skip``, so that a check says what it wants and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from sqlalchemy import true
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from newsletter.database import Database
from newsletter.doctor.names import Names
from newsletter.doctor.results import Skip
from newsletter.errors import Misconfigured
from newsletter.migrations import require_current
from newsletter.providers.sendgrid_account import AccountAnswer, AccountAPI, AccountRefused, date_of
from newsletter.publications import Publication, list_publications, publication_named
from newsletter.settings import Settings
from newsletter.signing import LinkSigner
from subscribers.audience import audience_size
from subscribers.hashing import AddressHasher


NO_STORE = "it needs the store, which cannot be read"
OFFLINE = "it needs the network, and --offline was said"

#: What every key may ask.
DOOR = "scopes"
_KEY_REFUSED = 401

Shape = TypeVar("Shape", bound=dict | list)  # type: ignore[type-arg]


@dataclass(frozen=True)
class Inquiry:
    """Questions to SendGrid, each asked once however many checks want its answer."""

    api: AccountAPI
    clock: Callable[[], datetime]
    local: bool
    _heard: dict[str, tuple[AccountAnswer | AccountRefused, datetime]] = field(default_factory=dict)

    def knock(self) -> None:
        """Find out whether SendGrid answers at all, and takes the key.

        Raises:
            AccountRefused: It does not.
            Skip: NOT LIVE, and no local SendGrid runs.
        """
        answer, _ = self._hear(DOOR)
        if not isinstance(answer, AccountRefused):
            return
        if answer.status is None and self.local:
            raise Skip(f"NOT LIVE, and no local SendGrid runs at {self.api.account.url}")
        raise answer

    def ask(self, path: str, shape: type[Shape], scope: str = "") -> Shape:
        """Give the JSON at a path; ``scope`` is what the key needs for it.

        Raises:
            AccountRefused: There was no answer, or one of another shape.
            Skip: SendGrid does not answer at all, or not to this key; the check of the key says so.
        """
        door, _ = self._hear(DOOR)
        if isinstance(door, AccountRefused) and door.status in {None, _KEY_REFUSED}:
            raise Skip("SendGrid could not be asked: see the check `key`")
        answer, _ = self._hear(path, scope)
        if isinstance(answer, AccountRefused):
            raise answer
        if not isinstance(answer.value, shape):
            raise AccountRefused(f"SendGrid's answer to {path} is not of the shape that it documents")
        return answer.value

    def seconds_ahead(self) -> float | None:
        """Tell how far our clock is ahead of SendGrid's, by any answer, good or bad; nothing where none has a date."""
        answer, heard_at = self._hear(DOOR)
        date = date_of(answer.headers)
        return (heard_at - date).total_seconds() if date else None

    def _hear(self, path: str, scope: str = "") -> tuple[AccountAnswer | AccountRefused, datetime]:
        if path not in self._heard:
            answer: AccountAnswer | AccountRefused
            try:
                answer = self.api.ask(*path.split("/"), scope=scope)
            except AccountRefused as refusal:
                answer = refusal
            self._heard[path] = answer, self.clock()
        return self._heard[path]


@dataclass(frozen=True)
class Installation:
    """One installation, as its settings describe it.

    Attributes:
        settings: The settings.
        database: The store as it is found; ``None`` where the SQLite file is not there yet.
        hasher: Gives what hashes addresses, or raises what is wrong with the peppers.
        signer: Gives what signs links, or raises what is wrong with the keys.
        clock: The time.
        inquiry: Questions to SendGrid; ``None`` offline.
        resolver: Questions to name servers; ``None`` offline.
        webhook_keys: The public keys that signed events are believed by.
        only: Code of the one publication that is meant; ``None`` for all.
    """

    settings: Settings
    database: Database | None
    hasher: Callable[[], AddressHasher]
    signer: Callable[[], LinkSigner]
    clock: Callable[[], datetime]
    inquiry: Inquiry | None
    resolver: Names | None
    webhook_keys: tuple[str, ...] = ()
    only: str | None = None

    @property
    def live(self) -> bool:
        """Whether real readers are mailed."""
        return self.settings.mails_real_readers

    @property
    def sendgrid(self) -> Inquiry:
        """Questions to SendGrid."""
        if self.inquiry is None:
            raise Skip(OFFLINE)
        return self.inquiry

    @property
    def names(self) -> Names:
        """Questions to name servers."""
        if self.resolver is None:
            raise Skip(OFFLINE)
        return self.resolver

    @property
    def store(self) -> Database:
        """The store, of the shape that this version knows; the check of the store says what is wrong with it."""
        if self.database is None:
            raise Skip(NO_STORE)
        try:
            require_current(self.database)
        except (Misconfigured, SQLAlchemyError):
            raise Skip(NO_STORE) from None
        return self.database

    def publications(self) -> list[Publication]:
        """List the publications that are meant."""
        with self.store.reading() as session:
            found = [publication_named(session, self.only)] if self.only else list_publications(session)
        if not found:
            raise Skip("there is no publication yet: `newsletter publication add`")
        return found

    def largest_audience(self) -> int:
        """Count the readers of the publication that has the most who may be mailed; 0 without a publication."""
        with self.store.reading() as session:
            found = [publication_named(session, self.only)] if self.only else list_publications(session)
            return max((_readers(session, one, self.clock()) for one in found), default=0)


def _readers(session: Session, publication: Publication, now: datetime) -> int:
    return audience_size(session, publication.id, true(), now=now).may_be_mailed
