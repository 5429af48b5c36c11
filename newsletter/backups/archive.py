"""The file of a backup: a compressed tar whose first member is the manifest. Written whole or not at all."""

import hashlib
import os
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import ValidationError

from newsletter.backups.manifest import FORMAT, Manifest
from newsletter.database import make_private
from newsletter.errors import Refused
from newsletter.journal.segments import sync_folder


MANIFEST = "manifest.json"
_PIECE = 1_000_000


@contextmanager
def private_folder(beside: Path) -> Iterator[Path]:
    """Give a folder for the owner alone on the same disk, which is gone at the end."""
    with TemporaryDirectory(prefix=".backup-", dir=beside) as folder:
        yield Path(folder)


def sha256_of(file: Path) -> str:
    """Give the SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def write_archive(target: Path, manifest: Manifest, files: Sequence[Path], workshop: Path) -> None:
    """Write a backup: under another name in ``workshop``, on the disk, and only then under its own."""
    (workshop / MANIFEST).write_text(manifest.model_dump_json(indent=2))
    packed = workshop / "packed"
    make_private(packed)
    # The fastest level: pages of a database shrink to a third by it already.
    with tarfile.open(packed, "w:gz", compresslevel=1) as archive:
        for file in (workshop / MANIFEST, *files):
            archive.add(file, file.name, filter=_anonymous)
    with packed.open("rb+") as opened:
        os.fsync(opened.fileno())
    packed.replace(target)
    sync_folder(target.parent)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Take out of a member who packed it; whoever unpacks it alone shall read it."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def read_archive(file: Path, folder: Path) -> Manifest:
    """Unpack a backup into a folder, and believe it only where every byte is as it was written.

    Raises:
        Refused: It cannot be read, was changed, or is of a newer version.
    """
    try:
        with tarfile.open(file, "r:gz") as archive:
            archive.extractall(folder, filter="data")
        manifest = _manifest(file, (folder / MANIFEST).read_bytes())
    except (tarfile.TarError, EOFError, zlib.error, OSError, KeyError) as error:
        raise Refused(f"{file} cannot be read as a backup: {error}") from None
    altered = [
        name
        for name, written in manifest.files.items()
        if not (folder / name).is_file() or sha256_of(folder / name) != written
    ]
    if altered:
        raise Refused(f"{file} is not as it was written: {', '.join(altered)}. Take another backup, an older one")
    return manifest


def _manifest(file: Path, written: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(written)
    except ValidationError:
        newer = f"it is damaged, or of a newer version of the service (this one reads format {FORMAT})"
        raise Refused(f"the manifest of {file} cannot be read: {newer}") from None
