"""An office for every test: a store with one reader from which notices are sent."""

import pytest

from tests.office import Office, make_office


@pytest.fixture
def office(store) -> Office:
    """An office on each of the databases."""
    return make_office(store)


@pytest.fixture
def small_office(sqlite_store) -> Office:
    """An office where the database makes no difference."""
    return make_office(sqlite_store)
