"""Restoring: a backup takes the place of the store, which is kept aside. Held until a person releases it.

Everything happens on a copy: the backup is unpacked beside the store, verified, brought to this version's shape, and
the journal is replayed into it. Only then do the two change places.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlmodel import Session

from newsletter.backups.archive import private_folder, read_archive
from newsletter.backups.manifest import Manifest, require_keys
from newsletter.backups.replaying import BY_THE_JOURNAL, Replayed, replay
from newsletter.backups.snapshots import STORE, verify_sqlite
from newsletter.database import Database
from newsletter.errors import Refused
from newsletter.hosts import HoldKind, hold_store, release_store
from newsletter.journal.segments import Journal, sync_folder
from newsletter.link_keys import note_link_keys
from newsletter.migrations import migrate, require_known
from subscribers.hashing import AddressHasher, adopt_peppers


#: Called with the words for a step before it is taken.
Step = Callable[[str], object]


@dataclass(frozen=True)
class Keys:
    """The secrets at hand, and the journal they open; links' keys by their ids."""

    hasher: AddressHasher
    link_keys: Sequence[str]
    journal: Journal


@dataclass(frozen=True)
class Restored:
    """What restoring came to: the backup, where the store of before is kept (nothing where there was none)."""

    manifest: Manifest
    replayed: Replayed
    kept_aside: str


def look_into(file: Path, database: Database, keys: Keys) -> Manifest:
    """Read what a backup says of itself, and refuse one that cannot be restored here.

    Raises:
        Refused: It cannot be read, was changed, is newer, of another database, or its keys are missing.
        Misconfigured: It was written by a newer version of the service.
    """
    folder = database.file.parent if database.file else Path()
    with private_folder(folder) as unpacked:
        manifest = read_archive(file, unpacked)
    _require_usable(manifest, database, keys)
    return manifest


def restore_sqlite(  # noqa: PLR0913 - what, whereto, with which keys, and when
    file: Path,
    database: Database,
    keys: Keys,
    *,
    machine: str,
    live: bool,
    now: datetime,
    step: Step,
) -> Restored:
    """Put a backup in the place of an SQLite store on which nothing runs; say each step before it is taken.

    Raises:
        Refused: It cannot be restored here; the store is as it was.
        Misconfigured: The same, of its version or keys.
    """
    if database.file is None:
        raise Refused("a store in memory cannot be restored")
    with private_folder(database.file.parent) as folder:
        step("unpacking and verifying")
        manifest = read_archive(file, folder)
        _require_usable(manifest, database, keys)
        verify_sqlite(folder / STORE, manifest.counts)
        copy = Database(f"sqlite:///{folder / STORE}")
        try:
            replayed = prepare(copy, manifest, keys, machine=machine, live=live, now=now, step=step)
            _as_one_file(copy, rewrites=bool(replayed.erased))
        finally:
            copy.close()
        step("putting it in place")
        kept = _change_places(folder / STORE, database.file, now)
    return Restored(manifest, replayed, kept)


def prepare(  # noqa: PLR0913 - what, with which keys, where and when
    copy: Database,
    manifest: Manifest,
    keys: Keys,
    *,
    machine: str,
    live: bool,
    now: datetime,
    step: Step,
) -> Replayed:
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
        note_link_keys(session, keys.link_keys, now=now)
        _hold(session, manifest, machine, live=live, now=now)
    return replayed


def _hold(session: Session, manifest: Manifest, machine: str, *, live: bool, now: datetime) -> None:
    # What held the store when the backup was taken held it there and then.
    release_store(session, machine, by=BY_THE_JOURNAL, now=now)
    reason = f"the store was restored from a backup of {manifest.taken_at:%Y-%m-%d %H:%M} UTC"
    hold_store(session, HoldKind.restored, reason, live=live, now=now)


def _require_usable(manifest: Manifest, database: Database, keys: Keys) -> None:
    kind = "sqlite" if database.is_sqlite else "postgresql"
    if manifest.database != kind:
        raise Refused(f"the backup is of a {manifest.database} store, and NEWSLETTER_DATABASE_URL names {kind}")
    require_known(manifest.revision)
    require_keys(manifest, peppers=list(keys.hasher.pepper_of), link_keys=keys.link_keys)


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


def _change_places(copy: Path, store: Path, now: datetime) -> str:
    """Rename the store aside, with the log that belongs to it, and the copy to its name."""
    stamp = f"{now:%Y%m%dT%H%M%SZ}"
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
