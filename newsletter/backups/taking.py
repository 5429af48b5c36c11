"""Taking a backup while the service runs: marked in the journal, copied, looked through, and packed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from sqlmodel import Session, col, select

from newsletter.backups.archive import private_folder, sha256_of, write_archive
from newsletter.backups.manifest import Manifest
from newsletter.backups.snapshots import Moved, copy_postgres, copy_sqlite, revision_of, size_of
from newsletter.database import Database
from newsletter.delivery.claims import sweep
from newsletter.delivery.lifecycle import BatchState
from newsletter.delivery.models import Batch
from newsletter.errors import Refused
from newsletter.hosts import HoldKind, hold_store
from newsletter.journal.segments import Journal
from newsletter.link_keys import required_link_keys
from newsletter.room import Room
from subscribers.models import HashKey


SUFFIX = ".backup"
#: The copy, and beside it what it is packed into: pages of a database shrink to a third at least.
ROOM_FOR_A_COPY = 1.5


@dataclass(frozen=True)
class Source:
    """What is backed up: the store, the journal beside it, the machine it is on, and on which side of NOT LIVE.

    ``room`` says what the disk must keep free.
    """

    database: Database
    journal: Journal
    machine: str
    live: bool
    room: Room


def take(source: Source, target: Path, moved: Moved, *, handover: bool = False, now: datetime) -> Manifest:
    """Take a backup into a file; give what it says of itself. Readers, mailings and commands go on meanwhile.

    Raises:
        Refused: The store is not sound, or its copy is not, or the disk has no room for it; no file is left.
        OSError: The disk is full, or the journal cannot be written.
    """
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if lack := source.room.lack_for(target.parent, size_of(source.database) * ROOM_FOR_A_COPY):
        raise Refused(f"{lack} for a backup: make room, or write it elsewhere with --to")
    backup_id = token_hex(8)
    # Before the snapshot: what happens between the two is in the backup and in the journal, and is replayed in vain.
    source.journal.append([{"what": "backup", "at": now, "id": backup_id}])
    with private_folder(target.parent) as folder:
        if source.database.is_sqlite:
            file, counts = copy_sqlite(source.database, folder, moved)
            files = [file]
        else:
            files, counts = copy_postgres(source.database, folder, moved)
        with source.database.reading() as session:
            peppers = tuple(sorted(session.exec(select(HashKey.id))))
            link_keys = tuple(sorted(required_link_keys(session, now=now)))
        manifest = Manifest(
            id=backup_id,
            taken_at=now,
            machine=source.machine,
            database="sqlite" if source.database.is_sqlite else "postgresql",
            revision=revision_of(source.database),
            live=source.live,
            handover=handover,
            counts=counts,
            peppers=peppers,
            link_keys=link_keys,
            files={one.name: sha256_of(one) for one in files},
        )
        write_archive(target, manifest, files, folder)
    return manifest


def retire(session: Session, *, live: bool, now: datetime) -> None:
    """Hold the store for good, since another host takes over. Calls under way end as they end; no other begins."""
    reason = "the store was handed over to another host; it may mail there"
    hold_store(session, HoldKind.retired, reason, live=live, now=now)


def calls_under_way(session: Session, *, now: datetime) -> int:
    """Count the requests that are being made now; what a dead worker left is unknown from here on, and not counted."""
    sweep(session, now=now)
    busy = col(Batch.state).in_((BatchState.claimed, BatchState.submitting))
    return len(session.exec(select(Batch.id).where(busy)).all())


def name_at(now: datetime) -> str:
    """Name a backup by its moment, so that names sort by age."""
    return f"newsletter-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}{SUFFIX}"


def let_go_of_old(folder: Path, keep: int) -> Sequence[Path]:
    """Delete all but the newest backups of a folder, by their names; give those that went.

    Raises:
        Refused: None would be kept.
    """
    if keep < 1:
        raise Refused("keep at least one backup")
    old = sorted(folder.glob(f"newsletter-*{SUFFIX}"))[:-keep]
    for file in old:
        file.unlink()
    return old
