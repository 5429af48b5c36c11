"""Opens and clicks are counted where the publication says so, and never on a reader's own pages."""

import re

import pytest

from newsletter.providers.memory import MemoryProvider
from newsletter.providers.sendgrid import request_body
from newsletter.publications import PublicationForm, set_publication
from tests.world import ISSUE, addresses, make_world


#: The author leads to the reader's own pages as well.
SOURCE = (
    f"{ISSUE}\n\n[退订]({{{{ unsubscribe_url }}}})，[偏好]({{{{ preferences_url }}}})，[甲事](https://example.com/a)\n"
)


@pytest.fixture
def mailed(sqlite_store):
    """Mail an issue of a publication that counts so, and give its request."""
    provider = MemoryProvider()
    world = make_world(sqlite_store, provider)

    def _mailed(**counted):
        with world.database.writing() as session:
            set_publication(session, "weekly", PublicationForm(**counted))
        world.readers(addresses(1))
        world.schedule(world.issue(SOURCE))
        world.begin()
        world.dispatch()
        return request_body(provider.accepted[-1])

    return _mailed


@pytest.mark.parametrize(("opens", "clicks"), [(True, True), (False, False), (True, False), (False, True)])
def test_a_request_asks_for_what_the_publication_counts_and_for_nothing_else(mailed, opens, clicks):
    tracking = mailed(track_opens=opens, track_clicks=clicks)["tracking_settings"]
    assert tracking["open_tracking"] == {"enable": opens}
    assert tracking["click_tracking"] == {"enable": clicks, "enable_text": False}


def test_a_publication_that_says_nothing_counts_nothing(mailed):
    tracking = mailed()["tracking_settings"]
    assert not tracking["open_tracking"]["enable"]
    assert not tracking["click_tracking"]["enable"]


def test_no_link_to_a_readers_own_pages_is_counted(mailed):
    request = mailed(track_opens=True, track_clicks=True)
    (html,) = (one["value"] for one in request["content"] if one["type"] == "text/html")
    (reader,) = request["personalizations"]
    own = {tag for tag, value in reader["substitutions"].items() if re.match(r"https?://", value)}
    anchors = [(before, href) for before, href in re.findall(r'<a ([^>]*?)href="([^"]*)"', html) if href in own]
    assert {href for _, href in anchors} == own
    assert len(anchors) >= len(own) + 2
    # Before `href`: elsewhere SendGrid does not heed it.
    assert all('clicktracking="off"' in before for before, _ in anchors)
