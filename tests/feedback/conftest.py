"""A world whose provider says what becomes of its mails."""

import pytest

from newsletter.providers.memory import MemoryProvider
from tests.feedback.said import Feedback
from tests.world import make_world


@pytest.fixture
def feedback(store) -> Feedback:
    return Feedback(make_world(store, MemoryProvider()))
