"""Look-ups at the local SendGrid: what its record has proves, what it lacks proves nothing; six a minute."""

from functools import partial

import pytest
from pydantic import SecretStr
from sqlmodel import select

from newsletter.delivery.doubt_models import LookUp
from newsletter.delivery.evidence import evidence_in
from newsletter.delivery.lifecycle import BatchState, MailingState
from newsletter.delivery.looking_up import look_up_next
from newsletter.providers.sendgrid_account import AccountAPI
from newsletter.providers.sendgrid_activity import Finding, look_up
from newsletter.providers.sendgrid_client import SendGridAccount
from tests.local_sendgrid import KEY, local_sendgrid
from tests.world import addresses, make_world


@pytest.fixture
def emulator(tmp_path):
    with local_sendgrid(tmp_path / "emulator") as running:
        yield running


@pytest.fixture
def api(emulator):
    return AccountAPI(SendGridAccount(emulator.url, SecretStr(KEY), 10.0, direct=True))


@pytest.fixture
def world(store, emulator):
    """Two requests of which no answer came: the first was accepted, the second was not."""
    world = make_world(store, emulator.provider(timeout=5)).having(batch_size=10)
    world.readers(addresses(20))
    emulator.fault("accept-then-reset")
    emulator.fault("reset-before-accept")
    world.running()
    world.dispatch()
    assert world.states(1) == {BatchState.unknown: 2}
    return world


def asked(world, api) -> bool:
    return look_up_next(world.database, partial(look_up, api), live=False, clock=world.clock)


def test_what_the_record_has_is_proven_and_the_rest_is_evidence(world, api):
    assert not asked(world, api)
    world.clock.forward(150)
    assert asked(world, api)
    # Six a minute for the whole account.
    assert not asked(world, api)
    world.clock.forward(11)
    assert asked(world, api)
    assert world.states(1) == {BatchState.accepted: 1, BatchState.unknown: 1}
    assert world.account(1).standing.proven == 10
    assert "(10 of them proven by SendGrid's record)" in world.account(1).standing.line()
    with world.database.reading() as session:
        left = evidence_in(session, 1)
    assert [one.looked_up for one in left] == ["not found: which proves nothing"]
    assert world.mailing(1).state is MailingState.held
    world.clock.forward(600)
    assert not asked(world, api)
    world.clock.forward(1500)
    assert asked(world, api)


def test_an_account_without_the_record_is_not_asked_again_for_an_hour(world, api, emulator):
    emulator.call("/_emulator/account", {"activity": False})
    world.clock.forward(150)
    assert asked(world, api)
    for _ in range(10):
        world.clock.forward(300)
        assert not asked(world, api)
    with world.database.reading() as session:
        row = session.exec(select(LookUp)).one()
    assert (row.finding, "the key lacks the scope" in row.said) == (Finding.no_record, True)
    world.clock.forward(900)
    assert asked(world, api)
    assert world.states(1) == {BatchState.unknown: 2}


def test_the_local_sendgrid_answers_six_a_minute(api, emulator):
    found = [look_up(api, "an-attempt").finding for _ in range(7)]
    assert found == [Finding.not_found] * 6 + [Finding.cannot_know]
    assert emulator.status("GET", "/v3/messages?query=unique_args", key="SG.wrong") == 401


def test_a_query_that_cannot_be_read_is_refused(emulator):
    assert emulator.status("GET", "/v3/messages?query=bad_field%3D%22x%22") == 400
