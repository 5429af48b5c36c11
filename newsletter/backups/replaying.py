"""Replaying: what the journal knows and a backup does not.

Who left stays out, who was erased is erased again, and whom a call may have reached counts as having the issue. Only
what keeps mail back is replayed. Who came in since, gave a new address, paused or changed the plan, did so in rows that
are lost: no line of the journal could bring an address back.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from newsletter.backups.manifest import Manifest
from newsletter.database import Database
from newsletter.delivery.models import Attempt
from newsletter.delivery.reach import read_back
from newsletter.feedback.bodies import forget_addresses
from newsletter.journal.segments import Journal
from newsletter.outbox import cancel
from newsletter.publications import Publication
from subscribers.actors import Actor, ActorKind
from subscribers.erasure import erase
from subscribers.hashing import AddressHasher
from subscribers.leaving import LeavingChannel, leave_by_provider
from subscribers.models import AddressHash, Subscriber, Subscription, SuppressionReason
from subscribers.suppression import HashedOrder, add_hashed


#: Where the journal does not hold the backup's own mark, as with another machine's, lines from so long before count,
#: too: clocks disagree.
MARGIN = timedelta(hours=1)
#: People dealt with in one transaction.
CHUNK = 500
BY_THE_JOURNAL = Actor(ActorKind.clock, "journal")


@dataclass
class Story:
    """What has happened since a backup, by the journal; of a person's comings and goings the last counts."""

    #: Departures by publication and hash; false where the reader came back.
    left: dict[tuple[int, str], dict[str, Any] | None] = field(default_factory=dict)
    #: Suppressions by publication, hash and reason; nothing where they were lifted.
    suppressed: dict[tuple[int | None, str, str], dict[str, Any] | None] = field(default_factory=dict)
    erased: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    unreadable: list[str] = field(default_factory=list)
    has_mark: bool = False


@dataclass(frozen=True)
class Replayed:
    """What was read back.

    Attributes:
        left: Subscriptions that ended, again.
        suppressed: Suppressions that were missing, those of people who are not in the backup among them.
        erased: People who were erased again.
        calls: Requests since the backup that may have reached their readers.
        reached: Deliveries in them.
        unreadable: Lines that cannot be read, by file and line.
        has_mark: Whether the journal knows of this very backup.
    """

    left: int
    suppressed: int
    erased: int
    calls: int
    reached: int
    unreadable: tuple[str, ...]
    has_mark: bool


def story_since(journal: Journal, manifest: Manifest) -> Story:
    """Read what has happened since a backup, except calls, of which there may be many."""
    story = Story()
    for facts in _since(journal, manifest, story):
        _tell(story, facts)
    return story


def replay(database: Database, journal: Journal, manifest: Manifest, hasher: AddressHasher) -> Replayed:
    """Bring a restored store up to what the journal knows. Doing it twice is fine."""
    story = story_since(journal, manifest)
    erased = sum(_in_chunks(database, list(story.erased.values()), hasher, _erase))
    suppressed = sum(_in_chunks(database, [one for one in story.suppressed.values() if one], hasher, _suppress))
    # Erasing has ended what the erased had, and keeps them out for good.
    gone = [one for one in story.left.values() if one and one["hash"] not in story.erased]
    left = sum(_in_chunks(database, gone, hasher, _leave))
    calls, reached = _reach(database, journal, manifest, story.refused)
    return Replayed(left, suppressed, erased, calls, reached, tuple(story.unreadable), story.has_mark)


def _since(journal: Journal, manifest: Manifest, story: Story) -> Iterator[Mapping[str, Any]]:
    from_then = manifest.taken_at - MARGIN
    for line in journal.read():
        if line.facts is None:
            story.unreadable.append(line.where)
        elif line.facts.get("id") == manifest.id:
            story.has_mark = True
        elif story.has_mark or datetime.fromisoformat(line.facts["at"]) >= from_then:
            yield line.facts


def _tell(story: Story, facts: Mapping[str, Any]) -> None:
    one = dict(facts)
    match facts["what"]:
        case "left":
            story.left[facts["publication"], facts["hash"]] = one
        case "returned" | "confirmed":
            story.left[facts["publication"], facts["hash"]] = None
        case "suppressed":
            story.suppressed[facts["publication"], facts["hash"], facts["reason"]] = one
            if facts["reason"] == SuppressionReason.erased:
                # Who came back later came as somebody new: what was to be forgotten stays forgotten.
                story.erased[facts["hash"]] = one
        case "lifted":
            story.suppressed[facts["publication"], facts["hash"], facts["reason"]] = None
        case "refused":
            story.refused.add(facts["attempt"])


def _in_chunks(database: Database, events: list[dict[str, Any]], hasher: AddressHasher, deal: Any) -> Iterator[int]:
    for start in range(0, len(events), CHUNK):
        with database.writing() as session:
            yield sum(deal(session, one, hasher) for one in events[start : start + CHUNK])


def _erase(session: Session, facts: Mapping[str, Any], hasher: AddressHasher) -> bool:
    mine = select(Subscriber).join(AddressHash, col(AddressHash.subscriber_id) == col(Subscriber.id))
    person = session.exec(mine.where(AddressHash.hash == facts["hash"])).first()
    if person is None or not person.email:
        return False
    words = [word for word in (person.email, person.address_typed) if word]
    done = erase(session, person.email, hasher=hasher, by=BY_THE_JOURNAL, now=_at(facts))
    cancel(session, done.subscription_ids, reason="erased", now=_at(facts))
    forget_addresses(session, words)
    return True


def _suppress(session: Session, facts: Mapping[str, Any], hasher: AddressHasher) -> bool:
    if not _is_known(session, facts["publication"]):
        return False
    reason = SuppressionReason(facts["reason"])
    return _add(session, facts, reason, hasher)


def _leave(session: Session, facts: Mapping[str, Any], hasher: AddressHasher) -> bool:
    if not _is_known(session, facts["publication"]):
        return False
    mine = (
        select(Subscription.id)
        .join(AddressHash, col(AddressHash.subscriber_id) == col(Subscription.subscriber_id))
        .where(AddressHash.hash == facts["hash"], Subscription.publication_id == facts["publication"])
    )
    if (subscription_id := session.exec(mine).first()) is None:
        # Nobody of this address is in the backup: an old list must not bring it in.
        _add(session, facts, SuppressionReason.unsubscribed, hasher)
        return False
    channel = LeavingChannel(facts["reason"])
    cancel(session, [subscription_id], reason="the reader left", now=_at(facts))
    return leave_by_provider(session, subscription_id, channel, by=BY_THE_JOURNAL, now=_at(facts))


def _add(session: Session, facts: Mapping[str, Any], reason: SuppressionReason, hasher: AddressHasher) -> bool:
    order = HashedOrder(facts["hash"], reason, facts["publication"], "journal", facts["key_id"])
    return add_hashed(session, order, hasher=hasher, by=BY_THE_JOURNAL, now=_at(facts)) is not None


def _is_known(session: Session, publication_id: int | None) -> bool:
    """Tell whether a publication is in the backup; one that was made later went with all its readers."""
    return publication_id is None or session.get(Publication, publication_id) is not None


def _reach(database: Database, journal: Journal, manifest: Manifest, refused: Collection[str]) -> tuple[int, int]:
    calls = reached = 0
    for facts in _since(journal, manifest, Story()):
        if facts["what"] != "submitting" or facts["attempt"] in refused:
            continue
        with database.writing() as session:
            if not _is_settled(session, facts["attempt"]):
                read_back(session, facts)
                calls, reached = calls + 1, reached + len(facts["hashes"])
    return calls, reached


def _is_settled(session: Session, attempt: str) -> bool:
    """Tell whether the backup knows how a call ended: then its own ledger is the better witness."""
    ended = select(Attempt.id).where(Attempt.id == attempt, col(Attempt.ended_at).is_not(None))
    return session.exec(ended).first() is not None


def _at(facts: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(facts["at"])
