"""Vaults on both databases."""

import pytest

from newsletter.providers.memory import MemoryProvider
from tests.vault import open_vault
from tests.world import make_world


@pytest.fixture
def vault(store, tmp_path):
    return open_vault(make_world(store, MemoryProvider()), tmp_path)


@pytest.fixture
def sqlite_vault(sqlite_store, tmp_path):
    return open_vault(make_world(sqlite_store, MemoryProvider()), tmp_path)
