"""Reach: whom calls may have reached that this store does not remember, since it was restored from a backup.

A request is journalled with the keyed hashes of its recipients before its first byte leaves, and once more where it
certainly reached nobody. What a restored store does not know of is read back into two tables (``backups.replaying``);
the freeze and the last look then leave those readers out as ``already_reached`` (DESIGN §4.2). An issue is told by the
texts of its revisions, since one that was added after the backup gets another number when it is added again.

What goes a second time goes in a round of its own: a mailing that the operator said `--again`, a correction. Whom such
a call reached has that round; an issue that went again counts as the issue, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Boolean, Column, ColumnElement, String, literal
from sqlmodel import Field, Session, SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from newsletter.delivery.models import Delivery, Mailing
from newsletter.issues.models import Revision
from newsletter.journal.segments import Journal
from newsletter.providers.base import CallEnd, Ending
from subscribers.bulk import insert_missing
from subscribers.models import AddressHash


log = structlog.get_logger(__name__)

#: Ends after which nobody knows for certain that the request was refused whole.
MAY_HAVE_REACHED = frozenset({Ending.accepted, Ending.ambiguous})


#: Why somebody who has, or may have, an issue already is not mailed it.
ALREADY_REACHED = "already_reached"


class JournalledIssue(SQLModel, table=True):
    """A text of an issue that was mailed after the backup that this store is from."""

    __tablename__ = "journalled_issue"

    publication_id: int = Field(primary_key=True)
    sha256: str = Field(sa_column=Column(String(64), primary_key=True))
    issue_key: str = Field(sa_column=Column(String(80), primary_key=True))


class JournalledDelivery(SQLModel, table=True):
    """An address, by its keyed hash, that an issue or a round of it reached, or may have, after that backup."""

    __tablename__ = "journalled_delivery"

    issue_key: str = Field(sa_column=Column(String(80), primary_key=True))
    live: bool = Field(sa_column=Column(Boolean, primary_key=True))
    hash: str = Field(sa_column=Column(String(64), primary_key=True))


@dataclass(frozen=True)
class Reach:
    """Whom one call may reach: of which issue, and the hashes of the addresses."""

    publication_id: int
    #: The texts of the issue's revisions by their SHA-256, the first of all first: that one names the issue.
    texts: Sequence[str]
    live: bool
    #: What sets the mailing apart among those of its issue; empty for the issue itself.
    round: str
    hashes: Sequence[str]

    def line(self, attempt: str, at: datetime) -> dict[str, Any]:
        """Write it as a line of the journal."""
        return {
            "what": "submitting",
            "at": at,
            "attempt": attempt,
            "publication": self.publication_id,
            "texts": list(self.texts),
            "live": self.live,
            "round": self.round,
            "hashes": list(self.hashes),
        }


def reach_of(session: Session, mailing_id: int, delivery_ids: Sequence[int]) -> Reach:
    """Tell whom a request to these deliveries may reach."""
    mailing = session.get_one(Mailing, mailing_id)
    hashes = (
        select(AddressHash.hash)
        .join(Delivery, col(Delivery.subscriber_id) == col(AddressHash.subscriber_id))
        .where(col(Delivery.id).in_(delivery_ids))
    )
    texts, round_ = _texts(session, mailing.issue_id), _round(session, mailing)
    return Reach(mailing.publication_id, texts, mailing.live, round_, session.exec(hashes).all())


#: A correction, by the mended text; and a mailing that the operator said `--again`, by itself.
_MENDED = "mended:"
_AGAIN = "again:"


def _round(session: Session, mailing: Mailing) -> str:
    if mailing.correction_id is not None:
        return _MENDED + session.get_one(Revision, mailing.revision_id).sha256
    return _again(mailing) if mailing.again else ""


def _again(mailing: Mailing) -> str:
    # The number alone may have been given to another mailing in a time that a restore lost.
    return f"{_AGAIN}{mailing.id}:{mailing.created_at.timestamp():.0f}"


def write_intent(journal: Journal | None, reach: Reach, attempt: str, *, now: datetime) -> CallEnd | None:
    """Put a call that is about to be made into the journal; where that fails give how the call ended: it is not made.

    Without a journal nothing is written.
    """
    if journal is None:
        return None
    try:
        journal.append([reach.line(attempt, now)])
    except OSError as error:
        return CallEnd(
            Ending.never_left, detail=f"the journal cannot be written: {error.strerror or error}", made=False
        )
    return None


def write_refusal(journal: Journal | None, attempt: str, end: CallEnd, *, now: datetime) -> None:
    """Put into the journal that a call reached nobody. Where that fails its readers count as reached, which is safe."""
    if journal is None or end.ending in MAY_HAVE_REACHED:
        return
    try:
        journal.append([{"what": "refused", "at": now, "attempt": attempt}])
    except OSError as error:
        log.warning("a refusal is not in the journal", error=error.strerror)


def journalled(mailing: Mailing, subscriber_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Tell in SQL whether the journal says that what is mailed reached, or may have reached, a subscriber's address."""
    found = select(JournalledDelivery.hash).join(AddressHash, col(AddressHash.hash) == col(JournalledDelivery.hash))
    mine = col(JournalledDelivery.issue_key).in_(_keys(mailing)) & col(JournalledDelivery.live).is_(mailing.live)
    return found.where(mine, col(AddressHash.subscriber_id) == subscriber_id).exists()


def _keys(mailing: Mailing) -> SelectOfScalar[str]:
    """Select under which keys lines of what is mailed were read back."""
    if mailing.correction_id is not None:
        mended = literal(f"{mailing.publication_id}:{_MENDED}").concat(col(Revision.sha256))
        return select(mended).where(Revision.id == mailing.revision_id)
    if mailing.again:
        return select(literal(f"{mailing.publication_id}:{_again(mailing)}"))
    return (
        select(JournalledIssue.issue_key)
        .join(Revision, col(Revision.sha256) == col(JournalledIssue.sha256))
        .where(Revision.issue_id == mailing.issue_id, JournalledIssue.publication_id == mailing.publication_id)
    )


def read_back(session: Session, facts: Mapping[str, Any]) -> None:
    """Keep what a line says of a call: the freeze and the last look meet it from now on."""
    # The same text in two publications is two issues.
    issue, round_ = f"{facts['publication']}:{facts['texts'][0]}", facts.get("round", "")
    keys = [f"{facts['publication']}:{round_}"] if round_ else []
    # A correction is another mail than the issue.
    if not round_.startswith(_MENDED):
        texts = [{"publication_id": facts["publication"], "sha256": one, "issue_key": issue} for one in facts["texts"]]
        insert_missing(session, JournalledIssue, texts)
        keys.append(issue)
    reached = [{"issue_key": key, "live": facts["live"], "hash": one} for key in keys for one in facts["hashes"]]
    insert_missing(session, JournalledDelivery, reached)


def _texts(session: Session, issue_id: int) -> Sequence[str]:
    found = select(Revision.sha256).where(Revision.issue_id == issue_id).order_by(col(Revision.number))
    return session.exec(found).all()
