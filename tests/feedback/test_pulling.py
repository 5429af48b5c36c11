"""SendGrid's own lists: read to the end whatever happens in between, only ever added to, and level after an undo."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlmodel import select

from newsletter.feedback.models import ListPull, ListRemoval
from newsletter.feedback.pulling import LISTS, pull, remove_next
from newsletter.feedback.undoing import Choice, undo
from newsletter.providers.sendgrid_account import AccountAPI, AccountRefused
from newsletter.providers.sendgrid_client import SendGridAccount
from subscribers.suppression import reasons_against
from tests.local_sendgrid import KEY, local_sendgrid
from tests.world import addresses


READERS = addresses(3)


@pytest.fixture
def sendgrid(tmp_path):
    with local_sendgrid(tmp_path) as running:
        yield running


@pytest.fixture
def api(sendgrid):
    return AccountAPI(SendGridAccount(sendgrid.url, SecretStr(KEY), 10.0, direct=True))


@pytest.fixture
def world(feedback):
    # The local SendGrid notes when an address came onto a list by the true time.
    feedback.world.clock.now = datetime.now(UTC) + timedelta(minutes=1)
    feedback.world.readers(READERS)
    return feedback.world


def pulled(feedback, api):
    database = feedback.world.database
    return {one.list_name: (one.entries, one.news) for one in pull(database, api, feedback.scene, on_page=int)}


def reasons(world, address):
    with world.database.reading() as session:
        return [str(one) for one in reasons_against(session, world.publication.id, address, hasher=world.hasher)]


def put_on(sendgrid, *emails):
    sendgrid.account("POST", "/v3/asm/suppressions/global", {"recipient_emails": list(emails)})


def test_every_list_is_read_in_pages_and_the_second_time_brings_no_news(world, feedback, sendgrid, api):
    put_on(sendgrid, READERS[0], *(f"stranger{number}@example.org" for number in range(1100)))
    assert pulled(feedback, api)["unsubscribes"] == (1101, 1101)
    assert reasons(world, READERS[0]) == ["unsubscribed"]
    # Who is no reader here stays out, too, when a list brings them one day.
    assert reasons(world, "stranger7@example.org") == ["unsubscribed"]
    assert pulled(feedback, api)["unsubscribes"][1] == 0


def test_what_is_gone_there_stays_suppressed_here(world, feedback, sendgrid, api):
    put_on(sendgrid, READERS[0])
    pulled(feedback, api)
    sendgrid.account("DELETE", f"/v3/asm/suppressions/global/{READERS[0]}")
    pulled(feedback, api)
    assert reasons(world, READERS[0]) == ["unsubscribed"]


def test_a_pull_that_was_cut_short_goes_on_where_it_was(world, feedback, sendgrid, api):
    put_on(sendgrid, *(f"stranger{number}@example.org" for number in range(700)))
    reading = pull(world.database, api, feedback.scene, on_page=lambda _: sendgrid.fault("503", times=None))
    with pytest.raises(AccountRefused, match="503"):
        list(reading)
    with world.database.reading() as session:
        assert session.get_one(ListPull, "unsubscribes").place in {0, 500}
    sendgrid.mend()
    assert pulled(feedback, api)["unsubscribes"][0] == 700
    assert reasons(world, "stranger699@example.org") == ["unsubscribed"]


def test_a_missing_scope_is_named(world, feedback, sendgrid, api):
    sendgrid.call("/_emulator/account", {"scopes": ["mail.send"]})
    with pytest.raises(AccountRefused, match=r"suppression\.read"):
        pulled(feedback, api)


def test_what_is_undone_is_taken_off_there_and_no_pull_brings_it_back(world, feedback, sendgrid, api):
    put_on(sendgrid, READERS[0])
    pulled(feedback, api)
    with world.database.writing() as session:
        assert undo(session, Choice(), feedback.scene) == 1
    assert reasons(world, READERS[0]) == []
    # Before it is taken off there, a pull would see it once more.
    pulled(feedback, api)
    assert reasons(world, READERS[0]) == []
    sendgrid.fault("503", times=None)
    assert remove_next(world.database, api, now=world.clock())
    sendgrid.mend()
    assert not remove_next(world.database, api, now=world.clock())
    world.clock.forward(3600)
    assert remove_next(world.database, api, now=world.clock())
    assert not remove_next(world.database, api, now=world.clock())
    assert sendgrid.account("GET", "/v3/suppression/unsubscribes") == []
    with world.database.reading() as session:
        (removal,) = session.exec(select(ListRemoval))
    assert (removal.tries, removal.result) == (2, "taken off")


def test_the_lists_are_those_that_sendgrid_has():
    assert set(LISTS) == {"bounces", "blocks", "invalid_emails", "spam_reports", "unsubscribes"}
