"""A vault: a world whose store is backed up and restored, with a journal beside it."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlmodel import col, select

from newsletter.backups.manifest import Manifest
from newsletter.backups.restoring import Keys, Place, Restored, restore
from newsletter.backups.taking import Source, take
from newsletter.delivery.dispatch import dispatch_next
from newsletter.hosts import release_store
from newsletter.journal.entries import Scribe
from newsletter.journal.segments import Journal
from newsletter.link_keys import note_link_keys
from newsletter.room import Room
from subscribers.actors import COMMAND_LINE, READER
from subscribers.leaving import LeavingChannel, leave
from subscribers.models import Subscriber, Subscription, SuppressionReason
from subscribers.roster import find_everywhere
from subscribers.suppression import reasons_against
from tests.world import World, addresses


LINK_KEYS = ("11111111", "22222222")
#: Nothing must be kept free.
AMPLE = Room((), percent=0, megabytes=0)


@dataclass
class Vault:
    """A world whose store is backed up and restored."""

    world: World
    folder: Path
    link_keys: tuple[str, ...] = LINK_KEYS
    room: Room = AMPLE

    @property
    def journal(self) -> Journal:
        """The journal beside the store."""
        return Journal(self.folder / "journal", self.world.hasher)

    @property
    def keys(self) -> Keys:
        """What a restore needs beside the file."""
        return Keys(self.world.hasher, self.link_keys, self.journal)

    @property
    def now(self) -> datetime:
        """The world's time."""
        return self.world.clock()

    def take(self, name: str = "one.backup") -> tuple[Path, Manifest]:
        """Take a backup."""
        source = Source(self.world.database, self.journal, "here", live=False, room=self.room)
        file = self.folder / name
        return file, take(source, file, lambda *_: None, now=self.now)

    def restore(self, file: Path) -> Restored:
        """Put a backup in the store's place, a second later."""
        database = self.world.database
        if database.is_sqlite:
            database.close()
        place = Place(database, "here", live=False, workshop=self.folder)
        self.world.clock.forward(1)
        restored = restore(file, place, self.keys, now=self.now, step=lambda _: None)
        # Connections of before belong to the store that was put aside.
        database.writer.dispose()
        database.reader.dispose()
        return restored

    def release(self) -> None:
        """Let the store mail."""
        with self.world.database.writing() as session:
            release_store(session, "here", by=COMMAND_LINE, now=self.now)

    def dispatch(self, most: int | None = None) -> None:
        """Dispatch what may be claimed now, or so many batches of it, with each call in the journal."""
        desk = replace(self.world.desk, journal=self.journal)
        for _ in range(most or 1000):
            if not dispatch_next(desk):
                return

    def leave(self, email: str) -> None:
        """Let a reader leave by the page."""
        with self.world.database.writing() as session:
            (view,) = find_everywhere(session, email)
            leave(session, view.unsubscribe_id, channel=LeavingChannel.page, by=READER, now=self.now)

    def state(self, email: str) -> str | None:
        """Tell how a reader's subscription stands; nothing where there is none."""
        with self.world.database.reading() as session:
            found = select(Subscription.state).join(Subscriber, col(Subscriber.id) == Subscription.subscriber_id)
            return session.exec(found.where(Subscriber.email == email)).first()

    def against(self, email: str) -> tuple[SuppressionReason, ...]:
        """Tell for what reasons an address must not be mailed."""
        with self.world.database.reading() as session:
            return reasons_against(session, self.world.publication.id, email, hasher=self.world.hasher)


def open_vault(world: World, folder: Path) -> Vault:
    """Give twenty readers to a world, and a journal beside its store."""
    world.readers(addresses(20))
    with world.database.writing() as session:
        note_link_keys(session, LINK_KEYS, now=world.clock())
    vault = Vault(world, folder)
    world.database.after_commit = Scribe(world.database, lambda: vault.journal).catch_up
    return vault
