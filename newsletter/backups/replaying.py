"""Replaying: what the journal knows and a backup does not.

Who left stays out, who was erased is erased again, and whom a call may have reached counts as having the issue. Only
what keeps mail back is replayed. Who came in since, gave a new address, paused or changed the plan, did so in rows that
are lost: no line of the journal could bring an address back. Who left or was erased under a new address is found by the
one before.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from newsletter.backups.manifest import Manifest
from newsletter.database import Database
from newsletter.delivery.doubts import is_open
from newsletter.delivery.models import Attempt
from newsletter.delivery.reach import read_back
from newsletter.feedback.bodies import forget_addresses
from newsletter.journal.segments import Journal, Reading
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
#: Whoever has an address that its owner gave up: a person whom the backup does not know.
_SOMEBODY_ELSE = "since then at "


@dataclass
class Story:
    """What has happened since a backup, by the journal; of a person's comings and goings the last counts.

    A person is told by the hash of the address that the backup knows, or may know.
    """

    #: Departures by publication and person; nothing where the reader came back.
    left: dict[tuple[int, str], dict[str, Any] | None] = field(default_factory=dict)
    #: Suppressions by publication, hash and reason; nothing where they were lifted.
    suppressed: dict[tuple[int | None, str, str], dict[str, Any] | None] = field(default_factory=dict)
    erased: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Who has an address now that is not the one in the backup; by its hash.
    person_at: dict[str, str] = field(default_factory=dict)
    #: Changes of address that were told: a line may stand twice.
    moves: set[tuple[str, str, str]] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    unreadable: list[str] = field(default_factory=list)
    has_mark: bool = False

    def tell(self, facts: Mapping[str, Any]) -> None:
        """Take in what a line says."""
        one = dict(facts)
        match facts["what"]:
            case "left":
                self.left[facts["publication"], self._person(facts)] = one | {"person": self._person(facts)}
            case "returned" | "confirmed":
                self.left[facts["publication"], self._person(facts)] = None
            case "moved":
                self._move(facts["hash"], facts["hash_after"], facts["at"])
            case "suppressed":
                self.suppressed[facts["publication"], facts["hash"], facts["reason"]] = one
                if facts["reason"] == SuppressionReason.erased:
                    # Who came back later came as somebody new: what was to be forgotten stays forgotten.
                    self.erased[self._person(facts)] = one | {"person": self._person(facts)}
            case "lifted":
                self.suppressed[facts["publication"], facts["hash"], facts["reason"]] = None
            case "refused":
                self.refused.add(facts["attempt"])

    def with_those_before(self, hashes: Collection[str]) -> Sequence[str]:
        """Give hashes with those that the backup has of the same people."""
        before = {self.person_at.get(one, one) for one in hashes}
        return sorted({*hashes, *(one for one in before if not one.startswith(_SOMEBODY_ELSE))})

    def _person(self, facts: Mapping[str, Any]) -> str:
        found = str(facts["hash"])
        return self.person_at.get(found, found)

    def _move(self, before: str, after: str, at: str) -> None:
        if (before, after, at) in self.moves:
            return
        self.moves.add((before, after, at))
        self.person_at[after] = self.person_at.get(before, before)
        self.person_at[before] = _SOMEBODY_ELSE + before


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
    has_mark, lines = _lines_since(journal, manifest)
    story = Story(has_mark=has_mark)
    for line in lines:
        if line.facts is None:
            story.unreadable.append(line.where)
        else:
            story.tell(line.facts)
    return story


def replay(database: Database, journal: Journal, manifest: Manifest, hasher: AddressHasher) -> Replayed:
    """Bring a restored store up to what the journal knows. Doing it twice is fine."""
    story = story_since(journal, manifest)
    erased = sum(_in_chunks(database, list(story.erased.values()), hasher, _erase))
    suppressed = sum(_in_chunks(database, [one for one in story.suppressed.values() if one], hasher, _suppress))
    # Erasing has ended what the erased had, and keeps them out for good.
    gone = [one for one in story.left.values() if one and one["person"] not in story.erased]
    left = sum(_in_chunks(database, gone, hasher, _leave))
    calls, reached = _reach(database, journal, manifest, story)
    return Replayed(left, suppressed, erased, calls, reached, tuple(story.unreadable), story.has_mark)


def _lines_since(journal: Journal, manifest: Manifest) -> tuple[bool, Iterable[Reading]]:
    """Give the lines behind the backup's mark, and whether there is one; without it, those of its time and later."""
    if (behind := journal.read_behind(manifest.id)) is not None:
        return True, behind
    from_then = manifest.taken_at - MARGIN
    return False, (one for one in journal.read() if one.facts is None or _at(one.facts) >= from_then)


def _in_chunks(database: Database, events: list[dict[str, Any]], hasher: AddressHasher, deal: Any) -> Iterator[int]:
    for start in range(0, len(events), CHUNK):
        with database.writing() as session:
            yield sum(deal(session, one, hasher) for one in events[start : start + CHUNK])


def _erase(session: Session, facts: Mapping[str, Any], hasher: AddressHasher) -> bool:
    mine = select(Subscriber).join(AddressHash, col(AddressHash.subscriber_id) == col(Subscriber.id))
    person = session.exec(mine.where(AddressHash.hash == facts["person"])).first()
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
        .where(AddressHash.hash == facts["person"], Subscription.publication_id == facts["publication"])
    )
    subscription_id = session.exec(mine).first()
    if subscription_id is None or facts["person"] != facts["hash"]:
        # Nobody of this address is in the backup: an old list must not bring it in.
        _add(session, facts, SuppressionReason.unsubscribed, hasher)
    if subscription_id is None:
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


def _reach(database: Database, journal: Journal, manifest: Manifest, story: Story) -> tuple[int, int]:
    calls = reached = 0
    _, lines = _lines_since(journal, manifest)
    for facts in (one.facts for one in lines if one.facts):
        if facts["what"] != "submitting" or facts["attempt"] in story.refused:
            continue
        with database.writing() as session:
            if not _is_settled(session, facts["attempt"]):
                read_back(session, {**facts, "hashes": story.with_those_before(facts["hashes"])})
                calls, reached = calls + 1, reached + len(facts["hashes"])
    return calls, reached


def _is_settled(session: Session, attempt: str) -> bool:
    """Tell whether the backup knows how a call ended: then its own ledger is the better witness."""
    known = select(Attempt.id).where(Attempt.id == attempt, ~is_open())
    return session.exec(known).first() is not None


def _at(facts: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(facts["at"])
