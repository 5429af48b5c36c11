"""The place of a command that stays up: alone on its store, listening on a port, and stopped in order."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from filelock import FileLock, Timeout
from sqlalchemy import text

from newsletter.database import Database
from newsletter.errors import Misconfigured
from newsletter.settings import Settings


@contextmanager
def stopped_in_order() -> Iterator[None]:
    """Let SIGTERM and Ctrl-C end a command by way of its clean-up, so that no call under way is cut.

    uvicorn takes the signals while it runs and raises them again afterwards; the default for SIGTERM would then end the
    process at once, and leave every call under way as an unknown outcome.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    with suppress(KeyboardInterrupt):
        yield
    signal.signal(signal.SIGTERM, before)


#: Any number that nothing else of ours locks by: every `serve` on a PostgreSQL shares it, a restore has it alone.
SERVING_LOCK = 7_166_272


@contextmanager
def alone_on(settings: Settings, *, restoring: bool = False) -> Iterator[None]:
    """Hold the one place of a dispatcher on an SQLite file; PostgreSQL has room for many, unless it is restored.

    Raises:
        Misconfigured: The place is taken, or there is no file that could be served.
    """
    database = Database(settings.resolved_database_url)
    if (file := database.file) is None:
        with _among_others(database, restoring=restoring):
            yield
        return
    if not file.exists() and not restoring:
        raise Misconfigured(f"the database {file} does not exist: create it with `newsletter init`")
    lock = FileLock(f"{file}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Misconfigured(f"another `newsletter serve` already runs on {file}: stop it first") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _among_others(database: Database, *, restoring: bool) -> Iterator[None]:
    lock = "pg_try_advisory_lock" if restoring else "pg_try_advisory_lock_shared"
    with database.writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # With the connection the lock ends, however the process does.
        if not connection.execute(text(f"SELECT {lock}(:key)"), {"key": SERVING_LOCK}).scalar():
            raise Misconfigured(
                "a `newsletter serve` runs on this database: stop every one of them first"
                if restoring
                else "this database is being restored: start again when that is done"
            )
        yield
    database.close()


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Listen on a port; 0 takes a free one.

    Raises:
        Misconfigured: The port is taken, or the address is not this machine's.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        # Two servers may bind one port until one of them listens.
        bound.listen(2048)
    except OSError as error:
        bound.close()
        raise Misconfigured(
            f"cannot listen on {host} port {port} ({error.strerror}): choose another with --port or NEWSLETTER_PORT"
        ) from None
    with bound:
        yield bound
