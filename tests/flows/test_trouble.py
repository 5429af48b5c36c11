"""Trouble on the way, with the real client and a local SendGrid over HTTP, by a clock that is set by hand.

Each ends as the table of DESIGN §5 says: nobody twice, nobody lost, and the operator is told what to do.
"""

import math
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from sqlmodel import col, func, select

from newsletter.alerts import Alert, AlertKind
from newsletter.delivery.lifecycle import BatchState, Difference, MailingState
from newsletter.delivery.mailings import resume
from newsletter.delivery.models import Attempt
from newsletter.delivery.policies import set_policy
from newsletter.emulator.app import EmulatorSettings
from newsletter.emulator.serving import running
from newsletter.notices.alerting import text_of
from subscribers.actors import COMMAND_LINE
from tests.local_sendgrid import KEY, LocalSendGrid
from tests.local_sendgrid import TEMPLATES as EMULATOR_TEMPLATES
from tests.world import TEMPLATES, World, addresses, make_world


WORDS = yaml.safe_load((TEMPLATES / "alerts" / "words.yaml").read_text("utf-8"))
HOUR = 3600.0


class SendGridOnAPort:
    """A local SendGrid that can go away and come back at the same address, with its record."""

    def __init__(self, folder: Path) -> None:
        self._settings = EmulatorSettings(data_dir=folder, templates_dir=EMULATOR_TEMPLATES, api_key=KEY)
        self._running = ExitStack()
        self.now = LocalSendGrid(self._running.enter_context(running(self._settings, port=0)))

    def go_away(self) -> None:
        self._running.close()

    def come_back(self) -> None:
        port = int(self.now.url.rsplit(":", 1)[1])
        self._running.enter_context(running(self._settings, port=port))


@pytest.fixture
def sendgrid(tmp_path):
    one = SendGridOnAPort(tmp_path / "emulator")
    yield one
    one.go_away()


@pytest.fixture
def world(store, sendgrid) -> World:
    return make_world(store, sendgrid.now.provider())


def pass_time(world: World, seconds: float, *, step: float = 30.0, until: Callable[[], bool] = lambda: False) -> None:
    """Let time pass while workers look for work."""
    for _ in range(int(seconds / step)):
        world.dispatch()
        world.clock.forward(step)
        if until():
            return


def calls(world: World) -> int:
    with world.database.reading() as session:
        return session.exec(select(func.count()).select_from(Attempt)).one()


def told(world: World, kind: AlertKind, locale: str) -> str:
    """Give what an operator reads."""
    with world.database.reading() as session:
        alert = session.exec(select(Alert).where(Alert.kind == kind).order_by(col(Alert.id).desc())).first()
    assert alert is not None
    world.publication.locale = locale
    return text_of(alert, world.publication, WORDS).plain


def everybody_once(world: World, sendgrid: SendGridOnAPort, mailing_id: int, count: int) -> None:
    assert sendgrid.now.reached() == addresses(count)
    assert world.account(mailing_id).standing.accepted == count
    assert world.mailing(mailing_id).state is MailingState.finished


def test_connections_are_refused_for_six_hours(world, sendgrid):
    world.readers(addresses(100))
    mailing_id = world.having(batch_size=10).running()
    sendgrid.go_away()
    pass_time(world, 6 * HOUR)
    mailing = world.mailing(mailing_id)
    assert mailing.state is MailingState.running
    assert mailing.away_since
    assert world.account(mailing_id).standing.pending == 100
    assert calls(world) < 60
    sendgrid.come_back()
    pass_time(world, HOUR, until=lambda: world.mailing(mailing_id).state is MailingState.finished)
    everybody_once(world, sendgrid, mailing_id, 100)


def test_sendgrid_is_away_for_longer_than_the_policy_waits(world, sendgrid):
    world.readers(addresses(100))
    with world.database.writing() as session:
        set_policy(session, world.publication.id, {"away_minutes": 180}, by=COMMAND_LINE, now=world.clock())
    mailing_id = world.having(batch_size=10).running()
    sendgrid.now.fault("503", times=None)
    pass_time(world, 6 * HOUR)
    mailing = world.mailing(mailing_id)
    assert mailing.state is MailingState.held
    assert mailing.state_reason.startswith("SendGrid has been away since 2026-11-23 09:00 CST: 3.")
    assert f"newsletter mailing resume {mailing_id}" in mailing.state_reason
    for locale, word in (("zh-CN", "SendGrid 连不上"), ("en", "SendGrid does not answer")):
        assert word in told(world, AlertKind.provider_away, locale)
    sendgrid.now.mend()
    pass_time(world, HOUR)
    assert sendgrid.now.reached() == []
    with world.database.writing() as session:
        resume(session, mailing_id, live=False, now=world.clock())
    pass_time(world, HOUR, until=lambda: world.mailing(mailing_id).state is MailingState.finished)
    everybody_once(world, sendgrid, mailing_id, 100)


def test_a_gateway_answers_for_sendgrid_for_six_hours_and_few_outcomes_are_unknown(world, sendgrid):
    """A 503 without SendGrid's own words may hide that it was accepted: nobody is mailed on a guess."""
    world.readers(addresses(2000))
    mailing_id = world.having(batch_size=100).running()
    sendgrid.now.fault("503-html", times=None)
    pass_time(world, 6 * HOUR)
    unknown = world.account(mailing_id).standing.unknown
    assert 500 < unknown < 500 + 50 * 10
    sendgrid.now.mend()
    pass_time(world, HOUR, until=lambda: world.mailing(mailing_id).state is MailingState.held)
    reached = sendgrid.now.reached()
    assert len(reached) == len(set(reached)) == 2000 - unknown
    assert world.account(mailing_id).standing.accepted == 2000 - unknown


def test_the_key_is_refused_in_the_middle(world, sendgrid):
    world.readers(addresses(100))
    mailing_id = world.having(batch_size=10).running()
    sendgrid.now.fault("401", times=None, after=4)
    world.dispatch()
    assert world.states(mailing_id) == {BatchState.accepted: 4, BatchState.ready: 6}
    mailing = world.mailing(mailing_id)
    assert mailing.state is MailingState.halted
    assert "refuses the key" in mailing.state_reason
    assert "newsletter doctor" in mailing.state_reason
    for locale, word in (("zh-CN", "不接受密钥"), ("en", "refuses the key")):
        assert word in told(world, AlertKind.key_refused, locale)
    pass_time(world, HOUR)
    assert calls(world) == 5
    sendgrid.now.mend()
    with world.database.writing() as session:
        resume(session, mailing_id, live=False, now=world.clock())
    world.dispatch()
    everybody_once(world, sendgrid, mailing_id, 100)


@pytest.mark.parametrize(("kind", "most"), [("400-naming", 2), ("400-unnamed", 2 * math.ceil(math.log2(1000)) + 1)])
def test_one_bad_address_among_a_thousand(world, sendgrid, kind, most):
    world.readers(addresses(1000))
    mailing_id = world.running()
    sendgrid.now.fault(kind, times=None, match="^r00637@")
    world.dispatch()
    assert calls(world) <= most
    standing = world.account(mailing_id).standing
    assert (standing.accepted, standing.rejected) == (999, 1)
    assert world.mailing(mailing_id).state is MailingState.finished
    reached = sendgrid.now.reached()
    assert reached == [one for one in addresses(1000) if one != "r00637@example.com"]
    assert "1 rejected" in told(world, AlertKind.mailing_finished, "en")
    if kind == "400-naming":
        (rejected,) = [one for one in world.deliveries(mailing_id) if one.difference is Difference.rejected]
        assert rejected.reason


def test_a_request_is_too_large(world, sendgrid):
    world.readers(addresses(100))
    mailing_id = world.running()
    sendgrid.now.fault("413", times=3)
    world.dispatch()
    assert world.states(mailing_id) == {BatchState.split: 3, BatchState.accepted: 4}
    everybody_once(world, sendgrid, mailing_id, 100)


def test_too_many_requests_wait_as_long_as_sendgrid_asks(world, sendgrid):
    world.readers(addresses(30))
    mailing_id = world.having(batch_size=10).running()
    sendgrid.now.fault("429", times=3, reset=60)
    world.dispatch()
    assert world.states(mailing_id) == {BatchState.retry_wait: 3}
    assert world.mailing(mailing_id).retry_at is None
    pass_time(world, 120)
    everybody_once(world, sendgrid, mailing_id, 30)
