"""The people's tables: words are stored as they are written, times are UTC, everything has a name of its own."""

from datetime import datetime
from enum import StrEnum

import pytest
from sqlalchemy import JSON, Enum, Float, String
from sqlalchemy.exc import StatementError
from sqlmodel import col, select

from subscribers import audience, consent_models, importing, leaving, models, subscriptions
from subscribers.forgetting import PERSONAL_COLUMNS
from subscribers.models import Subscriber, Suppression, SuppressionReason
from tests.people import TABLES


WORDS: set[type[StrEnum]] = {
    value
    for module in (audience, consent_models, importing, leaving, models, subscriptions)
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
    assert len(TABLES) == 14
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


def test_every_personal_column_is_known_to_forgetting():
    """Whoever adds a column of free text must say whether it may hold something personal."""
    written_by_us = {
        ("plan", "code"),
        ("plan", "name"),
        ("plan", "upgrade_url"),
        ("plan", "fallback"),
        ("subscriber", "locale"),
        ("hash_key", "id"),
        ("address_hash", "key_id"),
        ("attribute", "code"),
        ("subscription", "unsubscribe_id"),
        ("consent_text", "locale"),
        ("consent_text", "text"),
        ("consent_text", "sha256"),
        ("consent_text", "privacy_url"),
        ("consent_text", "privacy_version"),
        ("consent_event", "by"),
        ("consent_event", "source"),
        ("consent_event", "frequency"),
        ("consent_event", "locale"),
        ("consent_event", "detail"),
        ("opt_in", "locale"),
        # Suppressions keep nothing of the person but the keyed hash, which is what they are for.
        ("suppression", "address_hash"),
        ("suppression", "hash_key_id"),
        ("suppression", "origin"),
        ("suppression", "created_by"),
        ("suppression", "lifted_by"),
    }
    texts = {
        (table.name, column.name)
        for table in TABLES
        for column in table.columns
        if isinstance(getattr(column.type, "impl", column.type), String | JSON | Float)
        and not isinstance(column.type, Enum)
    }
    personal = {(table, column) for table, columns in PERSONAL_COLUMNS.items() for column in columns}
    assert texts == written_by_us | personal
