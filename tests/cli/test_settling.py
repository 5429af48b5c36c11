"""`newsletter mailing settle`: the evidence of each request, and an operator's decision."""

import json

import pytest
from sqlmodel import select

from newsletter.delivery.doubt_models import Settlement
from newsletter.delivery.lifecycle import BatchState, MailingState
from newsletter.providers.base import CallEnd, Ending
from newsletter.providers.memory import MemoryProvider
from tests.feedback.said import Feedback
from tests.world import addresses, make_world


LOST = CallEnd(Ending.ambiguous, detail="no certain answer: TimeoutError")


@pytest.fixture
def world(sqlite_store):
    """A mailing of three requests, two of which nobody knows about; an hour later an event about the third."""
    provider = MemoryProvider()
    world = make_world(sqlite_store, provider).having(batch_size=10)
    world.readers(addresses(30))
    provider.ends_next(LOST, LOST)
    feedback = Feedback(world)
    mails = feedback.of(feedback.mail())
    world.clock.forward(1800)
    feedback.say(feedback.event(mails["r00025@example.com"], "open", world.clock()))
    return world


@pytest.fixture
def newsletter(run, world):
    def _run(*words):
        url = world.database.url.render_as_string(hide_password=False)
        return run(*words, NEWSLETTER_DATABASE_URL=url, NEWSLETTER_ADDRESS_PEPPER="sixteen bytes or more")

    return _run


def test_each_request_is_listed_with_its_evidence(newsletter):
    listed = newsletter("mailing", "settle", "1").stdout
    assert "2 requests with 20 recipients" in listed
    assert "no certain answer: TimeoutError" in listed
    assert "0 h 30 min of 6 h 0 min, then hold" in listed
    assert "1 about other requests" in listed
    assert "not asked yet" in listed
    told = json.loads(newsletter("mailing", "settle", "1", "--json").stdout)
    assert [(one["batch_id"], one["recipients"], one["quiet"], one["events"]) for one in told] == [
        (1, 10, 1800.0, 1),
        (2, 10, 1800.0, 1),
    ]


def test_deciding_asks_states_the_numbers_and_is_on_record(newsletter, world):
    asked = newsletter("mailing", "settle", "1", "--as", "resend")
    assert asked.returncode == 1
    assert "Mail 2 requests with 20 recipients once more? Who did get it gets it twice." in asked.stderr
    done = newsletter("mailing", "settle", "1", "--as", "accepted", "--batch", "2", "--yes")
    assert "1 request with 10 recipients settled as accepted" in done.stdout
    assert (
        "20 accepted by SendGrid (10 of them taken for accepted) + 0 skipped + 0 rejected + 10 unknown" in done.stdout
    )
    told = json.loads(newsletter("mailing", "settle", "1", "--as", "resend", "--yes", "--json").stdout)
    assert (told["settled"], "10 pending" in told["line"]) == ([1], True)
    assert world.states(1) == {BatchState.accepted: 2, BatchState.ready: 1}
    assert world.mailing(1).state is MailingState.running
    world.dispatch()
    assert world.mailing(1).state is MailingState.finished
    with world.database.reading() as session:
        noted = [(one.batch_id, one.decision, one.by) for one in session.exec(select(Settlement))]
    assert noted == [(2, "accepted", "operator:command-line"), (1, "resend", "operator:command-line")]
    shown = json.loads(newsletter("mailing", "show", "1", "--json").stdout)
    assert (shown["resent"], shown["presumed"]) == ({"again": 10, "twice": 0}, 10)
    assert "Mailed once more after an unknown outcome: 10" in newsletter("mailing", "show", "1").stdout


def test_what_is_not_unknown_is_not_settled(newsletter):
    refused = newsletter("mailing", "settle", "1", "--as", "give-up", "--batch", "3", "--yes")
    assert (refused.returncode, "batch 3: not one of mailing 1" in refused.stderr) == (1, True)
    assert newsletter("mailing", "settle", "1", "--as", "give-up", "--yes").returncode == 0
    refused = newsletter("mailing", "settle", "1", "--as", "give-up", "--yes")
    assert (refused.returncode, "nothing is to be settled" in refused.stderr) == (1, True)
    assert "every request is known" in newsletter("mailing", "settle", "1").stdout
