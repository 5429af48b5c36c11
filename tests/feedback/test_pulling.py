"""SendGrid's own lists: read to the end whatever happens in between, only ever added to, and level after an undo."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from pydantic import SecretStr
from sqlmodel import select

from newsletter.alerts import Alert, AlertKind
from newsletter.feedback.level import keep_level
from newsletter.feedback.models import ListPull, ListRemoval
from newsletter.feedback.problems import waiting_removals
from newsletter.feedback.pulling import LISTS, pull, remove_next
from newsletter.feedback.undoing import Choice, undo
from newsletter.providers.sendgrid_account import AccountAPI, AccountRefused
from newsletter.providers.sendgrid_client import SendGridAccount
from subscribers.suppression import reasons_against
from tests.local_sendgrid import KEY, local_sendgrid
from tests.world import addresses


READERS = addresses(3)
HARD = ("hard_bounce",)
SCOPES = ["suppression.read", "suppression.delete"]


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


class Entries:
    """A list of bounces as SendGrid gives it, a page at a time, while others take entries off."""

    def __init__(self, *entries):
        self.entries = list(entries)

    def get(self, *path, start_time, end_time, limit, offset, **_):
        """Give a page of what came in between."""
        found = [one for one in self.entries if path[1] == "bounces" and start_time <= one["created"] <= end_time]
        return found[offset : offset + limit]


def bounced(number, at):
    said = {"reason": "550 5.1.1 no", "status": "5.1.1", "created": int(at.timestamp())}
    return {"email": f"gone{number}@example.org", **said}


def test_an_entry_that_is_deleted_between_two_pages_makes_the_pull_skip_no_other(world, feedback):
    listed = Entries(*(bounced(number, world.clock()) for number in range(503)))

    def delete_some(_: int) -> None:
        del listed.entries[:3]

    reading: Any = pull(world.database, cast("AccountAPI", listed), feedback.scene, on_page=delete_some)
    assert next(reading).list_name == "bounces"
    assert [reasons(world, f"gone{number}@example.org") for number in range(499, 503)] == [[*HARD]] * 4


def test_a_pull_that_goes_on_after_a_break_reads_also_what_came_since(world, feedback):
    listed = Entries(*(bounced(number, world.clock() - timedelta(days=2)) for number in range(3)))

    def break_off(_: int) -> None:
        raise AccountRefused("SendGrid was not reached")

    with pytest.raises(AccountRefused):
        list(pull(world.database, cast("AccountAPI", listed), feedback.scene, on_page=break_off))
    world.clock.forward(3 * 86400)
    listed.entries.append(bounced(3, world.clock() - timedelta(hours=1)))
    told = pulled(feedback, listed)
    assert [reasons(world, f"gone{number}@example.org") for number in range(4)] == [[*HARD]] * 4
    assert told["bounces"] == (4, 4)


def test_a_machine_that_stops_asks_for_no_other_page_and_goes_on_the_next_night(world, feedback, sendgrid, api):
    put_on(sendgrid, *(f"stranger{number}@example.org" for number in range(700)))
    stops = iter([False] * 5 + [True])
    keep_level(world.database, api, feedback.scene, lambda: next(stops))
    assert (reasons(world, "stranger0@example.org"), reasons(world, "stranger699@example.org")) == (
        ["unsubscribed"],
        [],
    )
    with world.database.reading() as session:
        assert session.get_one(ListPull, "unsubscribes").place == 500
        assert session.exec(select(Alert)).all() == []
    keep_level(world.database, api, feedback.scene)
    assert reasons(world, "stranger699@example.org") == ["unsubscribed"]


def test_an_operator_hears_every_night_which_scope_is_missing(world, feedback, sendgrid, api):
    put_on(sendgrid, READERS[0])
    keep_level(world.database, api, feedback.scene)
    assert reasons(world, READERS[0]) == ["unsubscribed"]
    sendgrid.fault("403", times=None)
    with world.database.writing() as session:
        undo(session, Choice(), feedback.scene)
    for _ in range(2):
        assert remove_next(world.database, api, now=world.clock())
        world.clock.forward(3600)
    for _ in range(2):
        world.clock.forward(86400)
        keep_level(world.database, api, feedback.scene)
    with world.database.reading() as session:
        (removal,) = waiting_removals(session, 50)
        alerts = [(one.kind, one.about, one.facts["reason"]) for one in session.exec(select(Alert))]
    assert (removal["list"], removal["tries"]) == ("unsubscribes", 2)
    assert "suppression.delete" in removal["result"]
    assert {kind for kind, *_ in alerts} == {AlertKind.lists_refused}
    assert [about for _, about, _ in alerts] == ["reading the lists", "taking addresses off the lists"] * 2
    assert all(scope in reason for scope, (*_, reason) in zip(SCOPES * 2, alerts, strict=True))


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
