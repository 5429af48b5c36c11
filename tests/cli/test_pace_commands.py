"""`newsletter mailing show`, `release`, `resume` and `policy` where a mailing is paced, held or old."""

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from newsletter.delivery.dispatch import dispatch_next
from newsletter.delivery.lanes import hold_lane
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.mailings import conclude, move
from newsletter.delivery.models import Mailing
from newsletter.delivery.pacing import Excess
from newsletter.providers.base import CallEnd, Ending
from newsletter.providers.memory import MemoryProvider
from tests.world import make_world


@pytest.fixture
def world(sqlite_store):
    world = make_world(sqlite_store, MemoryProvider())
    world.readers([f"r{number}@qq.com" for number in range(10)] + [f"r{number}@gmail.com" for number in range(10)])
    return world


@pytest.fixture
def newsletter(run, sqlite_store):
    def _run(*words):
        return run(*words, NEWSLETTER_DATABASE_URL=sqlite_store.url.render_as_string(hide_password=False))

    return _run


def hold(world, mailing_id, lane):
    with world.database.writing() as session:
        found = Excess(1.8, "90 of 1,000 mails were blocked for our reasons (9.00%; the limit is 5.00%)")
        hold_lane(session, mailing_id, lane, found, now=world.clock())
    world.dispatch()
    with world.database.writing() as session:
        conclude(session, mailing_id, now=world.clock())


def test_while_others_may_go_nobody_is_said_to_wait_for_a_decision_alone(newsletter, world):
    world = world.having(batch_size=2)
    mailing_id = world.running()
    assert dispatch_next(world.desk)
    with world.database.writing() as session:
        hold_lane(session, mailing_id, "qq", Excess(1.8, "too many bounces"), now=world.clock())
    shown = newsletter("mailing", "show", "1").stdout
    assert "Mails are leaving: 2 of 20 done" in shown
    assert "qq is held: too many bounces." in shown
    assert "What may go has gone" not in shown


def test_a_held_provider_is_shown_and_let_go(newsletter, world):
    mailing_id = world.running()
    hold(world, mailing_id, "qq")
    shown = " ".join(newsletter("mailing", "show", "1").stdout.split())
    assert "What may go has gone; 10 recipients wait for your decision about qq." in shown
    assert "qq is held: 90 of 1,000 mails were blocked for our reasons (9.00%; the limit is 5.00%)." in shown
    assert "newsletter mailing release 1 --provider qq" in shown
    assert "newsletter mailing resume" not in shown
    lane = json.loads(newsletter("mailing", "show", "1", "--json").stdout)["lanes"][0]
    assert (lane["provider"], lane["waiting"], lane["held_at"]) == ("qq", 10, "2026-11-23 09:00:00+08:00")
    asked = newsletter("mailing", "release", "1")
    assert asked.returncode == 1
    assert "Mail the 10 recipients who wait" in asked.stderr
    assert "90 of 1,000" in asked.stderr
    assert newsletter("mailing", "release", "1", "--provider", "gmail", "--yes").returncode == 1
    done = newsletter("mailing", "release", "1", "--provider", "qq", "--yes", "--json")
    assert json.loads(done.stdout)[0]["waiting"] == 10
    world.dispatch()
    assert world.mailing(mailing_id).state is MailingState.finished
    assert newsletter("mailing", "release", "1", "--yes").returncode == 1


def test_a_mailing_that_waits_for_sendgrid_says_since_when(newsletter, world):
    world.having(batch_size=1).running()
    for _ in range(5):
        world.provider.ends_next(CallEnd(Ending.never_left))
    world.dispatch()
    shown = newsletter("mailing", "show", "1").stdout
    assert "SendGrid has not answered since 09:00:00 and is asked again at 09:00:1" in shown
    assert "20 recipients wait." in shown
    told = json.loads(newsletter("mailing", "show", "1", "--json").stdout)
    assert told["provider_away_since"] == "2026-11-23 09:00:00+08:00"


def test_what_became_old_needs_more_than_yes(newsletter, world):
    mailing_id = world.running()
    with world.database.writing() as session:
        move(session, mailing_id, MailingState.halted, now=world.clock())
        # The command goes by the real time.
        session.execute(update(Mailing).values(due_at=datetime(2020, 1, 1, tzinfo=UTC)))
    refused = newsletter("mailing", "resume", "1", "--yes")
    assert refused.returncode == 1
    assert "still true" in refused.stderr
    assert "--even-though-old" in refused.stderr
    assert newsletter("mailing", "resume", "1", "--yes", "--even-though-old").returncode == 0


def test_requests_to_a_mailbox_provider_are_limited_and_shown(newsletter, world):
    assert newsletter("mailing", "policy", "provider_requests_in_flight=qq:1,netease:2").returncode == 0
    told = json.loads(newsletter("mailing", "policy", "--json").stdout)
    assert told["provider_requests_in_flight"] == {"qq": 1, "netease": 2}
    assert "qq:1,netease:2" in newsletter("mailing", "policy").stdout
    assert newsletter("mailing", "policy", "provider_requests_in_flight=qq:0").returncode == 1
    assert newsletter("mailing", "policy", "provider_requests_in_flight=qq:").returncode == 1


def test_what_is_let_go_says_so_where_it_is_held_for_something_else(newsletter, world):
    mailing_id = world.running()
    hold(world, mailing_id, "qq")
    with world.database.writing() as session:
        move(session, mailing_id, MailingState.halted, now=world.clock(), reason="the key is wrong")
    said = newsletter("mailing", "release", "1", "--yes").stdout
    assert "nothing holds these 10 recipients any more; mailing 1 is halted: the key is wrong." in " ".join(
        said.split()
    )


def test_who_waits_for_the_warm_up_is_counted(newsletter, world):
    assert newsletter("mailing", "policy", "warm_up=5").returncode == 1
    assert newsletter("mailing", "policy", "warm_up=5,10", "warm_up_from=2026-11-23").returncode == 0
    world.running()
    world.dispatch()
    assert "15 readers are beyond this week's warm-up" in newsletter("mailing", "show", "1").stdout
    assert json.loads(newsletter("mailing", "show", "1", "--json").stdout)["for_later_weeks"] == 15
