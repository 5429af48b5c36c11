"""Restoring: a backup takes the place of the store, which is kept aside. Held until a person releases it.

Everything happens on a copy: the backup is unpacked beside the store, verified, brought to this version's shape, and
the journal is replayed into it. Only then do the two change places.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import func
from sqlmodel import col, select

from newsletter.backups.archive import private_folder, read_archive
from newsletter.backups.loading import load, schema_of_its_own, take_its_place
from newsletter.backups.manifest import Manifest, require_keys
from newsletter.backups.replaying import BY_THE_JOURNAL, Replayed, replay
from newsletter.backups.snapshots import STORE, verify_sqlite
from newsletter.database import Database
from newsletter.delivery.lifecycle import BatchState
from newsletter.delivery.models import Batch
from newsletter.errors import Refused
from newsletter.hosts import HoldKind, hold_store, lose_time, release_store
from newsletter.journal.segments import Journal, sync_folder
from newsletter.link_keys import note_link_keys
from newsletter.migrations import migrate, require_known
from newsletter.outbox import drop_waiting
from subscribers.hashing import AddressHasher, adopt_peppers


#: Called with the words for a step before it is taken.
Step = Callable[[str], object]
#: Batches of which the backup does not know whether they were mailed.
IN_DOUBT = (BatchState.submitting, BatchState.unknown)


@dataclass(frozen=True)
class Keys:
    """The secrets at hand, and the journal they open; links' keys by their ids."""

    hasher: AddressHasher
    link_keys: Sequence[str]
    journal: Journal


@dataclass(frozen=True)
class Place:
    """Where a backup goes: the store, the machine, its side of NOT LIVE, and a folder on its disk to work in."""

    database: Database
    machine: str
    live: bool
    workshop: Path


@dataclass(frozen=True)
class Prepared:
    """What was made of a backup before it took the store's place.

    Attributes:
        replayed: What was read back from the journal.
        dropped: Notices that waited in it and may have been mailed since.
        unsettled: Requests in it of which nobody knew how they ended; a person settles them.
    """

    replayed: Replayed
    dropped: int
    unsettled: int


@dataclass(frozen=True)
class Restored:
    """What restoring came to: the backup, where the store of before is kept (nothing where there was none)."""

    manifest: Manifest
    prepared: Prepared
    kept_aside: str

    @property
    def replayed(self) -> Replayed:
        """What was read back from the journal."""
        return self.prepared.replayed


def look_into(file: Path, database: Database, keys: Keys, workshop: Path) -> Manifest:
    """Read what a backup says of itself, and refuse one that cannot be restored here.

    Raises:
        Refused: It cannot be read, was changed, is newer, of another database, or its keys are missing.
        Misconfigured: It was written by a newer version of the service.
    """
    with private_folder(workshop) as folder:
        return _unpacked(file, folder, database, keys)


def restore(file: Path, place: Place, keys: Keys, *, now: datetime, step: Step) -> Restored:
    """Put a backup in the place of a store on which nothing runs; say each step before it is taken.

    Raises:
        Refused: It cannot be restored here; the store is as it was.
        Misconfigured: The same, of its version or keys.
    """
    stamp = f"{now:%Y%m%dT%H%M%SZ}".lower()
    put = _in_sqlite if place.database.is_sqlite else _in_postgres
    with private_folder(place.workshop) as folder:
        step("unpacking and verifying")
        manifest = _unpacked(file, folder, place.database, keys)
        return put(manifest, folder, place, keys, stamp, now, step)


def _in_sqlite(  # noqa: PLR0913, PLR0917 - what, whereto, with which keys, and when
    manifest: Manifest, folder: Path, place: Place, keys: Keys, stamp: str, now: datetime, step: Step
) -> Restored:
    if place.database.file is None:
        raise Refused("a store in memory cannot be restored")
    verify_sqlite(folder / STORE, manifest.counts)
    copy = Database(f"sqlite:///{folder / STORE}")
    try:
        prepared = _prepare(copy, manifest, place, keys, now, step)
        _as_one_file(copy, rewrites=bool(prepared.replayed.erased))
    finally:
        copy.close()
    step("putting it in place")
    return Restored(manifest, prepared, _change_places(folder / STORE, place.database.file, stamp))


def _in_postgres(  # noqa: PLR0913, PLR0917 - the same
    manifest: Manifest, folder: Path, place: Place, keys: Keys, stamp: str, now: datetime, step: Step
) -> Restored:
    with schema_of_its_own(place.database, f"restoring_{stamp}") as copy:
        step("loading the tables")
        load(copy, manifest, folder)
        prepared = _prepare(copy, manifest, place, keys, now, step)
        copy.close()
        step("putting it in place")
        take_its_place(place.database, f"restoring_{stamp}", f"before_{stamp}")
    return Restored(manifest, prepared, f"schema before_{stamp}")


def _unpacked(file: Path, folder: Path, database: Database, keys: Keys) -> Manifest:
    manifest = read_archive(file, folder)
    kind = "sqlite" if database.is_sqlite else "postgresql"
    if manifest.database != kind:
        raise Refused(f"the backup is of a {manifest.database} store, and NEWSLETTER_DATABASE_URL names {kind}")
    require_known(manifest.revision)
    require_keys(manifest, peppers=list(keys.hasher.pepper_of), link_keys=keys.link_keys)
    return manifest


def _prepare(  # noqa: PLR0913, PLR0917 - what, where, with which keys, and when
    copy: Database, manifest: Manifest, place: Place, keys: Keys, now: datetime, step: Step
) -> Prepared:
    """Bring an unpacked backup to this version's shape and to what the journal knows, and hold it."""
    step("bringing it to the shape of this version")
    migrate(copy)
    more = 1
    while more:
        with copy.writing() as session:
            more = adopt_peppers(session, keys.hasher, now=now)
    step("replaying the journal")
    replayed = replay(copy, keys.journal, manifest, keys.hasher)
    with copy.writing() as session:
        dropped = drop_waiting(session, reason="the store was restored, and it may have been mailed since", now=now)
        unsettled = session.exec(select(func.count()).select_from(Batch).where(col(Batch.state).in_(IN_DOUBT))).one()
        lose_time(session, manifest.taken_at, now)
        note_link_keys(session, keys.link_keys, now=now)
        # What held the store when the backup was taken held it there and then.
        release_store(session, place.machine, by=BY_THE_JOURNAL, now=now)
        reason = f"the store was restored from a backup of {manifest.taken_at:%Y-%m-%d %H:%M} UTC"
        hold_store(session, HoldKind.restored, reason, live=place.live, now=now)
    return Prepared(replayed, dropped, unsettled)


def _as_one_file(copy: Database, *, rewrites: bool) -> None:
    """Leave no log beside the file; and no byte of who was erased in it."""
    with copy.writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver = connection.connection.driver_connection
        if driver is None:
            raise RuntimeError("the database's connection has no driver")
        if rewrites:
            driver.execute("VACUUM")
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        driver.execute("PRAGMA journal_mode = DELETE")


def _change_places(copy: Path, store: Path, stamp: str) -> str:
    """Rename the store aside, with the log that belongs to it, and the copy to its name."""
    aside = store.with_name(f"{store.name}.before-{stamp}")
    kept = ""
    for end in ("", "-wal", "-shm"):
        file = store.with_name(store.name + end)
        if file.exists() and file.stat().st_size:
            file.replace(aside.with_name(aside.name + end))
            kept = str(aside)
    copy.replace(store)
    sync_folder(store.parent)
    return kept
