"""Consent texts: the words a sign-up form shows, kept verbatim with a version. Before ``opt_in``.

A form shows words and their hash; the answer names the hash. Only what the service itself showed, then or before, can
be agreed to, so that no form of anybody else's makes up a proof.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, func, select

from subscribers.bulk import insert_missing
from subscribers.consent_models import ConsentText


@dataclass(frozen=True)
class ShownText:
    """What a form shows: the words in one language, and the privacy policy they refer to."""

    locale: str
    text: str
    privacy_url: str = ""
    privacy_version: str = ""

    @property
    def sha256(self) -> str:
        """The hash of all of it: another policy is another consent."""
        whole = "\0".join(vars(self).values())
        return hashlib.sha256(whole.encode()).hexdigest()


def keep_text(session: Session, publication_id: int, shown: ShownText, *, now: datetime) -> int:
    """Store what a form shows as the next version in its language, unless it is stored; give its id."""
    for _ in range(10):
        if known := find_text(session, publication_id, shown.sha256):
            return known.id
        of_language = (ConsentText.publication_id == publication_id, ConsentText.locale == shown.locale)
        newest = session.exec(select(func.max(ConsentText.version)).where(*of_language)).one() or 0
        row = {
            "publication_id": publication_id,
            "version": newest + 1,
            "sha256": shown.sha256,
            "created_at": now,
            **vars(shown),
        }
        # Another process may take the same version at the same moment: then look again.
        insert_missing(session, ConsentText, [row])
    raise RuntimeError("the consent text could not be stored beside others that are stored at the same time")


def find_text(session: Session, publication_id: int, sha256: str) -> ConsentText | None:
    """Find the words that a publication's forms show, or once showed, by their hash."""
    found = select(ConsentText).where(ConsentText.publication_id == publication_id, ConsentText.sha256 == sha256)
    return session.exec(found).first()


def texts_of(session: Session, publication_id: int) -> list[ConsentText]:
    """List every version that a publication's forms ever showed."""
    found = select(ConsentText).where(ConsentText.publication_id == publication_id)
    return list(session.exec(found.order_by(col(ConsentText.locale), col(ConsentText.version))))
