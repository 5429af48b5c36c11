"""The people's tables: words are stored as they are written, times are UTC, everything has a name of its own."""

from datetime import datetime
from enum import StrEnum

import pytest
from sqlalchemy.exc import StatementError
from sqlmodel import SQLModel, col, select

from subscribers import audience, importing, leaving, models, subscriptions
from subscribers.models import Subscriber, Suppression, SuppressionReason


TABLES = [value.__table__ for value in vars(models).values() if hasattr(value, "__table__")]
WORDS: set[type[StrEnum]] = {
    value
    for module in (audience, importing, leaving, models, subscriptions)
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, StrEnum) and value is not StrEnum
}


@pytest.mark.parametrize("words", sorted(WORDS, key=str))
def test_each_word_is_stored_as_it_is_named(words):
    assert [word.value for word in words] == [word.name for word in words]
    assert all(word.value.islower() and len(word.value) <= 20 for word in words)


def test_the_database_holds_the_word_and_refuses_others(session, now):
    session.add(
        Suppression(
            address_hash="0" * 64,
            hash_key_id="k",
            reason=SuppressionReason.hard_bounce,
            origin="",
            created_at=now,
            created_by="",
        )
    )
    session.flush()
    stored = session.connection().exec_driver_sql("SELECT reason FROM suppression").scalar_one()
    assert stored == "hard_bounce"


def test_every_constraint_and_index_has_a_name():
    assert len(TABLES) == 6
    for table in TABLES:
        unnamed = [
            constraint
            for constraint in table.constraints
            if constraint.name is None and constraint is not table.primary_key
        ]
        assert unnamed == []
        assert all(index.name for index in table.indexes)


def test_times_come_back_in_utc_and_naive_ones_are_refused(session, now):
    session.add(Subscriber(email="a@example.com", created_at=now))
    session.flush()
    stored = session.exec(select(Subscriber.created_at).order_by(col(Subscriber.id))).one()
    assert (stored, str(stored.tzinfo)) == (now, "UTC")
    session.add(Subscriber(email="b@example.com", created_at=datetime(2026, 11, 23)))  # noqa: DTZ001 - the naive one
    with pytest.raises(StatementError):
        session.flush()


def test_personal_data_stands_in_one_table_only():
    personal = {"address_typed", "email", "address_key", "name"}
    holders = {
        (table.name, column.name)
        for table in TABLES
        for column in table.columns
        if column.name in personal and table.name != "plan"
    }
    assert holders == {("subscriber", column) for column in personal}
    assert SQLModel.metadata.tables["plan"].c.name is not None
