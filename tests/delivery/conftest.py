"""The world that tests of delivery play in, on both databases, with a provider in memory."""

import pytest

from newsletter.providers.memory import MemoryProvider
from tests.world import World, make_world


@pytest.fixture
def world(store) -> World:
    return make_world(store, MemoryProvider())
