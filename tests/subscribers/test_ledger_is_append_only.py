"""The ledger of consent is only ever added to: the database refuses anything else, and no source tries."""

import ast
from pathlib import Path

import pytest
from sqlalchemy import delete, text, update
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel, select

from newsletter.providers.memory import MemoryProvider
from subscribers.consent_models import ConsentEvent, ConsentText
from tests.conftest import ROOT
from tests.known_person import sign_up_known
from tests.world import make_world


LEDGER = (ConsentEvent, ConsentText)


@pytest.fixture
def ledger(store):
    sign_up_known(make_world(store, MemoryProvider()))
    return store


def rows(store):
    with store.reading() as session:
        tables = [SQLModel.metadata.tables[str(model.__tablename__)] for model in LEDGER]
        return [session.execute(table.select().order_by(table.c.id)).all() for table in tables]


def change_through_orm(session, model):
    row = session.exec(select(model)).first()
    setattr(row, "by" if model is ConsentEvent else "text", "somebody else")
    session.add(row)
    session.flush()


def delete_through_orm(session, model):
    session.delete(session.exec(select(model)).first())
    session.flush()


def change_in_core(session, model):
    session.execute(update(model).values(publication_id=model.publication_id))


def delete_in_core(session, model):
    session.execute(delete(model))


def change_of_no_row(session, model):
    session.execute(text(f"UPDATE {model.__tablename__} SET id = id WHERE id = 1"))  # noqa: S608 - a name of our own


@pytest.mark.parametrize("model", LEDGER)
@pytest.mark.parametrize(
    "attempt", [change_through_orm, delete_through_orm, change_in_core, delete_in_core, change_of_no_row]
)
def test_the_database_refuses_to_change_or_delete(ledger, model, attempt):
    before = rows(ledger)
    assert all(before)
    with pytest.raises(DBAPIError, match="append-only"), ledger.writing() as session:
        attempt(session, model)
    assert rows(ledger) == before


@pytest.mark.postgres
@pytest.mark.parametrize("model", LEDGER)
def test_postgresql_refuses_to_truncate(postgres_store, model):
    sign_up_known(make_world(postgres_store, MemoryProvider()))
    with pytest.raises(DBAPIError, match="append-only"), postgres_store.writing() as session:
        session.execute(text(f"TRUNCATE {model.__tablename__} CASCADE"))
    assert all(rows(postgres_store))


NAMES = {"ConsentEvent", "ConsentText"}
TABLES = ("consent_event", "consent_text")


def attempts_in(source: str) -> list[int]:
    """Give the lines of a source that would change or delete rows of the ledger."""
    return sorted({line for node in ast.walk(ast.parse(source)) for line in _attempts(node)})


def _attempts(node):
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        subjects = [*node.args[:1], *([node.func.value] if isinstance(node.func, ast.Attribute) else [])]
        if called in {"update", "delete"} and any(NAMES & _names(subject) for subject in subjects):
            yield node.lineno
    # A loop over models that deletes from each of them.
    if isinstance(node, ast.For) and NAMES & _names(node.iter):
        called = {getattr(one.func, "id", "") for one in ast.walk(node) if isinstance(one, ast.Call)}
        if called & {"update", "delete"}:
            yield node.lineno
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        words = node.value.lower().split()
        if words[:1] and words[0] in {"update", "delete", "truncate", "drop"} and set(TABLES) & set(words):
            yield node.lineno


def _names(node):
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


@pytest.mark.parametrize(
    "source",
    [
        "session.execute(update(ConsentEvent).values(by=''))",
        "session.execute(delete(ConsentText))",
        "session.execute(delete(ConsentEvent).where(ConsentEvent.id == 1))",
        "table_of(ConsentEvent).delete()",
        "table_of(ConsentEvent).update().values(by='')",
        "for model in (Plan, ConsentEvent):\n    session.execute(delete(model))",
        "session.execute(text('DELETE FROM consent_event'))",
        "session.execute(text('update consent_text set text = 1'))",
    ],
)
def test_an_attempt_would_be_seen(source):
    assert attempts_in(source)


def test_no_source_of_ours_tries():
    sources = [path for package in ("newsletter", "subscribers") for path in (ROOT / package).rglob("*.py")]
    sources = [path for path in sources if "migrations" not in path.parts]
    assert len(sources) > 150
    tries: dict[Path, list[int]] = {path: attempts_in(path.read_text(encoding="utf-8")) for path in sources}
    assert {path.name: lines for path, lines in tries.items() if lines} == {}
