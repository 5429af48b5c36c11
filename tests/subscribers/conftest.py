"""A store of people for every test, with two publications: 1 with the plans free and pro, 2 with the plan basic."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import event
from sqlalchemy.pool import StaticPool
from sqlmodel import Session, SQLModel, create_engine

from subscribers.hashing import AddressHasher
from subscribers.plans import NewPlan, add_plan
from tests.people import TABLES


NewStore = Callable[[], AbstractContextManager[Session]]


@contextmanager
def _store() -> Iterator[Session]:
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
    SQLModel.metadata.create_all(engine, tables=list(TABLES))
    try:
        with Session(engine, expire_on_commit=False) as session:
            add_plan(session, NewPlan(1, "free", "免费版"))
            add_plan(session, NewPlan(1, "pro", "专业版", includes=("free",)))
            add_plan(session, NewPlan(2, "basic"))
            yield session
    finally:
        engine.dispose()


@pytest.fixture(scope="session")
def new_store() -> NewStore:
    """Give stores to property tests: each example begins with an empty one."""
    return _store


@pytest.fixture
def session() -> Iterator[Session]:
    with _store() as session:
        yield session


@pytest.fixture(scope="session")
def hasher() -> AddressHasher:
    return AddressHasher(b"a pepper of the tests")


@pytest.fixture(scope="session")
def now() -> datetime:
    return datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
