"""The demo's stage: its own folder, and the emulator and the service as processes of their own on free ports.

The rehearsal borrows folder and parts.
"""

import json
import os
import select
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from newsletter.composition import Service
from newsletter.database import Database
from newsletter.errors import Misconfigured, Refused
from newsletter.migrations import migrate
from newsletter.settings import Settings


#: A part that says nothing for so long will not start any more.
START_SECONDS = 60


@dataclass(frozen=True)
class Stage:
    """Everything the demo's story plays on."""

    service: Service
    service_url: str
    emulator_url: str
    folder: Path


@contextmanager
def stage(data_dir: Path | None) -> Iterator[Stage]:
    """Set the stage and clear it away; real keys and settings of the environment are not seen (DESIGN §4.11)."""
    _forget_environment()
    with ExitStack() as parts:
        folder = parts.enter_context(own_folder(data_dir, "demo"))
        settings = Settings(_env_file=None, data_dir=folder)
        database = Database(settings.resolved_database_url)
        migrate(database)
        database.close()
        service = Service(settings)
        _ = service.hasher
        emulator = parts.enter_context(part(folder, "emulator", words=("--batch-seconds", "0.3")))
        served = parts.enter_context(part(folder, "serve", NEWSLETTER_EMULATOR_URL=emulator["emulator_url"]))
        yield Stage(service, served["service_url"], emulator["emulator_url"], folder)
        service.database.close()


def call(url: str, *, data: bytes | None = None, kind: str = "application/x-www-form-urlencoded") -> bytes:
    """Fetch from, or POST to, a part of the stage; on loopback and past every proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, data=data, headers={"Content-Type": kind} if data else {})  # noqa: S310
    with opener.open(request, timeout=60) as answer:
        body: bytes = answer.read()
    return body


def _forget_environment() -> None:
    for name in filter(_is_ours, list(os.environ)):
        del os.environ[name]


def _is_ours(variable: str) -> bool:
    # Settings are read without regard to case.
    return variable.upper().startswith("NEWSLETTER_") or variable.upper() == "SENDGRID_API_KEY"


@contextmanager
def own_folder(folder: Path | None, what: str) -> Iterator[Path]:
    """Give a folder for its owner alone: a named one, which stays, else one that is gone with the block.

    Raises:
        Refused: The named one holds something.
    """
    if folder is None:
        with tempfile.TemporaryDirectory(prefix=f"newsletter-{what}-") as passing:
            yield Path(passing)
        return
    if folder.exists() and any(folder.iterdir()):
        raise Refused(f"{folder} is not empty: the {what} wants a folder of its own, so that nothing of yours is lost")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    yield folder.absolute()


@contextmanager
def part(folder: Path, command: str, *, words: Sequence[str] = (), **settings: str) -> Iterator[dict[str, Any]]:
    """Start one of our own commands and give what it says when it is ready; stop it in order at the end.

    It sees no key or setting of the machine but those named here.
    """
    log = folder / f"{command}.log"
    own = {"NEWSLETTER_LIVE": "false", "NEWSLETTER_DATA_DIR": str(folder), "NEWSLETTER_TICK_SECONDS": "0.2"}
    around = {name: value for name, value in os.environ.items() if not _is_ours(name)}
    environment = {**around, **own, **settings}
    with log.open("wb") as complaints:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "newsletter", command, "--port", "0", "--json", *words],
            # Away from any `.env`: a real key in it must not be seen.
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=complaints,
        )
    try:
        yield _first_word(process, log)
    finally:
        process.terminate()
        process.wait(timeout=30)
        if process.stdout:
            process.stdout.close()


def _first_word(process: "subprocess.Popen[bytes]", log: Path) -> dict[str, Any]:
    if process.stdout is None:
        raise Misconfigured("a part was started without a way to hear from it")
    said_something, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    line = process.stdout.readline() if said_something else b""
    if not line:
        raise Misconfigured(f"a part did not start: {log.read_text(errors='replace').strip()[-500:]}")
    said: dict[str, Any] = json.loads(line)
    return said
