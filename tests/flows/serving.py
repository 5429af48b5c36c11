"""Starting `newsletter serve` as a process of its own, for stories that kill, stop or watch it."""

import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from newsletter.cli import main
from newsletter.composition import Service
from newsletter.database import Database, make_private
from newsletter.delivery.lifecycle import MailingState
from newsletter.migrations import migrate
from newsletter.providers.memory import MemoryProvider
from newsletter.settings import Settings
from tests.local_sendgrid import LocalSendGrid
from tests.world import World, make_world


def stored_world(folder: Path) -> World:
    """A store as `init` makes it, with the pepper that the process will find, a minute ago: what is due then is due."""
    file = folder / "newsletter.db"
    make_private(file)
    file.write_bytes(_blank_store())
    database = Database(f"sqlite:///{folder}/newsletter.db")
    world = make_world(database, MemoryProvider())
    world.hasher = Service(Settings(_env_file=None, data_dir=folder)).hasher
    world.clock.now = a_minute_ago()
    return world


@cache
def _blank_store() -> bytes:
    """Give the file of a store without rows; making one takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/newsletter.db")
        migrate(database)
        database.close()
        return (Path(folder) / "newsletter.db").read_bytes()


def a_minute_ago() -> datetime:
    """The time at which a test prepares what a real process is to find due; a whole second, as in events."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)


def free_port() -> int:
    """Give a port that is free now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def environment_for(folder: Path, emulator: LocalSendGrid, **settings: str) -> dict[str, str]:
    """Give the settings of a service in a folder that mails to a local SendGrid."""
    return {
        "NEWSLETTER_DATA_DIR": str(folder),
        "NEWSLETTER_EMULATOR_URL": emulator.url,
        "NEWSLETTER_EMULATOR_KEY": "SG.test",
        "NEWSLETTER_BATCH_SIZE": "100",
        "NEWSLETTER_TICK_SECONDS": "0.1",
        "NEWSLETTER_PORT": "0",
        **settings,
    }


@contextmanager
def serving(
    command: list[str], folder: Path, emulator: LocalSendGrid, **settings: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `serve` in a folder until the block ends, then kill it if it still runs."""
    environment = os.environ | environment_for(folder, emulator, **settings)
    with (folder / "serve.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "serve", "--json"], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log
        )
    assert process.stdout is not None
    try:
        assert json.loads(process.stdout.readline())["service_url"]
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


_READY_SECONDS = 60.0
#: Starts processes that have the program loaded already: a tenth of the time of a start from nothing.
_LOADED = multiprocessing.get_context("forkserver")
_LOADED.set_forkserver_preload(["newsletter.cli.serving"])


@contextmanager
def serving_at_once(
    folder: Path, emulator: LocalSendGrid, **settings: str
) -> Iterator["multiprocessing.process.BaseProcess"]:
    """Run `serve` as ``serving`` does, in a process that begins as a copy of one that has only loaded the program."""
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    environment = environment_for(folder, emulator, **settings)
    process = _LOADED.Process(target=_serve, args=(folder, environment), daemon=True)
    process.start()
    try:
        deadline = time.monotonic() + _READY_SECONDS
        while not (ready.exists() and ready.read_text().endswith("\n")):
            assert process.is_alive(), (folder / "serve.log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.join()


def _serve(folder: Path, environment: dict[str, str]) -> None:
    """Be the command, from its words on: with files in the place of the terminal."""
    os.environ.update(environment)
    os.chdir(folder)
    for name, stream in (("ready.json", 1), ("serve.log", 2)):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    sys.argv = ["newsletter", "serve", "--json"]
    main()


def wait_for_the_end(world: World, mailing_id: int) -> None:
    """Wait until a mailing is finished or held."""
    for _ in range(900):
        if world.mailing(mailing_id).state in {MailingState.finished, MailingState.held}:
            return
        time.sleep(0.1)
    pytest.fail(f"the mailing did not end: {world.account(mailing_id).standing.line()}")
