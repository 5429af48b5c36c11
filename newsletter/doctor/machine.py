"""This machine and what lies on it: SQLite, disk, who may read the data, the store's shape, the secrets."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from newsletter.database import sqlite_module, sqlite_warning
from newsletter.doctor.installation import Installation
from newsletter.doctor.results import Result, Skip, ok, problem, warning
from newsletter.link_keys import require_same_link_keys
from newsletter.migrations import require_current
from newsletter.settings import is_loopback
from subscribers.hashing import require_same_pepper


#: Bytes a recipient: the ledger's rows, and the bodies of some four events, which are kept for a week.
BYTES_A_RECIPIENT = 4_000
#: Below this SQLite's own journals and the logs may fail, whatever is mailed.
FLOOR = 200_000_000
#: Mailings that should fit before somebody must look.
ROOM_FOR = 5
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def sqlite(installation: Installation) -> Iterator[Result]:
    """Look at the SQLite that runs the store."""
    if installation.database is not None and not installation.database.is_sqlite:
        yield ok("the store is PostgreSQL")
    elif found := sqlite_warning():
        yield warning(found, "install pysqlite3, or a newer SQLite")
    else:
        yield ok(f"SQLite {sqlite_module().sqlite_version}")


def store(installation: Installation) -> Iterator[Result]:
    """Look whether the store has the shape of this version."""
    if installation.database is None:
        yield problem("there is no store yet", "make it with `newsletter init`")
        return
    require_current(installation.database)
    yield ok("the store has the shape of this version")


def secrets(installation: Installation) -> Iterator[Result]:
    """Look whether the peppers and the link keys are the store's."""
    folder, settings = installation.settings.data_dir, installation.settings
    said = {"pepper": settings.address_pepper, "link-key": settings.link_key}
    files = {name for name in said if (folder / name).exists()}
    if missing := [name for name, value in said.items() if not value.get_secret_value() and name not in files]:
        yield problem(
            f"{' and '.join(missing)}: neither set nor in {folder}",
            "restore them from the backup that the store is from; for a new store, `newsletter init` makes them",
        )
        return
    links = len(installation.signer().keys)
    with installation.store.reading() as session:
        require_same_pepper(session, installation.hasher())
        require_same_link_keys(session, installation.signer().key_ids, now=installation.clock())
    yield ok(f"the pepper and the link keys are the store's; link keys: {links}")


def disk(installation: Installation) -> Iterator[Result]:
    """Compare what is free with what a mailing to the largest audience writes."""
    folder = _there(installation.settings.data_dir)
    free = shutil.disk_usage(folder).free
    try:
        readers = installation.largest_audience()
    except Skip:
        readers = 0
    needed = FLOOR + readers * BYTES_A_RECIPIENT
    seen = f"{_size(free)} are free at {folder}; a mailing to {readers:,} readers needs about {_size(needed)}"
    todo = "make room, or move NEWSLETTER_DATA_DIR to a larger disk"
    if free < needed:
        yield problem(seen, todo)
    elif free < FLOOR + ROOM_FOR * readers * BYTES_A_RECIPIENT:
        yield warning(seen, todo)
    else:
        yield ok(seen)


def permissions(installation: Installation) -> Iterator[Result]:
    """Look whether the data can be written by us, and read by nobody else."""
    folder = installation.settings.data_dir
    if not folder.exists():
        raise Skip(f"there is no folder {folder} yet")
    if not os.access(folder, os.W_OK | os.X_OK):
        yield problem(f"{folder} cannot be written by this user", "run as its owner, or `chown` it")
    open_files = [file for file in _private(installation) if file.stat().st_mode & _OTHERS]
    if not folder.stat().st_mode & _OTHERS:
        yield ok(f"only its owner reads {folder}")
    elif open_files:
        names = ", ".join(file.name for file in open_files)
        yield problem(f"others on this machine may read {names} in {folder}", f"chmod 700 {folder}; chmod 600 {names}")
    else:
        yield warning(f"others on this machine may look into {folder}", f"chmod 700 {folder}")


def _private(installation: Installation) -> list[Path]:
    folder = installation.settings.data_dir
    store = installation.database.file if installation.database else None
    files = [folder / "pepper", folder / "link-key", *([store] if store else [])]
    return [file for file in files if file.exists()]


def public_url(installation: Installation) -> Iterator[Result]:
    """Look whether the links in mails lead to where readers can go."""
    url = installation.settings.public_url
    todo = "set NEWSLETTER_PUBLIC_URL to the https:// address at which readers reach this service"
    parts = urlsplit(url)
    if not url:
        yield warning("NEWSLETTER_PUBLIC_URL is not set: links lead to this machine", f"before going live, {todo}")
    elif parts.scheme != "https":
        # RFC 8058 §3.1: one-click needs an https address.
        yield warning(f"{url} is not https: no mail program offers its unsubscribe button", todo)
    elif is_loopback(parts.hostname or "") and installation.live:
        yield problem(f"{url} is this machine: no reader gets there", todo)
    else:
        yield ok(url)


def _there(folder: Path) -> Path:
    """Give a folder, or the nearest above it that exists."""
    folder = folder.absolute()
    return next(one for one in (folder, *folder.parents) if one.exists())


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"  # noqa: PLR2004 - a gigabyte
