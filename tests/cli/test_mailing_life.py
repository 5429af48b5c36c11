"""`newsletter mailing` on the way of a mailing: each state says what goes on and what to do, and the commands do it."""

import json

import pytest
from structlog.testing import capture_logs

from newsletter.composition import utc_now
from newsletter.database import Database
from newsletter.delivery.dispatch import dispatch_next
from newsletter.delivery.mailings import hold_the_other_side
from newsletter.delivery.settlement import prove
from newsletter.providers.base import CallEnd, Ending, RefusedRecipient
from newsletter.providers.memory import MemoryProvider
from tests.world import World, addresses, make_world


@pytest.fixture
def world(run, tmp_path):
    """A world in the store that commands find, with its clock at the time of the commands."""
    assert run("init", NEWSLETTER_ADDRESS_PEPPER="sixteen bytes or more").returncode == 0
    database = Database(f"sqlite:///{tmp_path / '.newsletter' / 'newsletter.db'}")
    world = make_world(database, MemoryProvider()).having(batch_size=10)
    world.clock.now = utc_now()
    world.readers([*addresses(20), *(f"q{number}@qq.com" for number in range(10))])
    yield world
    database.close()


def shown(run, mailing_id):
    return json.loads(run("mailing", "show", str(mailing_id), "--json").stdout)


def commands(seen):
    return [one["command"] for one in seen["next"]]


def test_a_mailing_with_time_to_undo_says_so_and_is_taken_back(run, world):
    issue_id = str(world.issue())
    answer = run("mailing", "schedule", issue_id, "--now", "--undo-minutes", "30", "--yes")
    assert "No mail leaves before" in answer.stdout
    assert "newsletter mailing unschedule 1" in answer.stdout
    assert "newsletter mailing go 1" in answer.stdout
    seen = shown(run, 1)
    assert seen["undo_until"]
    assert commands(seen) == ["newsletter mailing go 1", "newsletter mailing unschedule 1"]
    assert run("mailing", "unschedule", "1").returncode == 1
    assert "can be scheduled again" in run("mailing", "unschedule", "1", "--yes").stdout
    seen = shown(run, 1)
    assert seen["state"] == "cancelled"
    assert "before any mail left" in seen["sentence"]
    assert run("mailing", "schedule", issue_id, "--now", "--yes").returncode == 0


def test_the_time_to_undo_can_be_ended(run, world):
    run("mailing", "schedule", str(world.issue()), "--now", "--undo-minutes", "30", "--yes")
    assert run("mailing", "go", "1", "--yes").returncode == 0
    assert shown(run, 1)["undo_until"] is None
    assert "waits for no time" in run("mailing", "go", "1", "--yes").stderr


def running(world: World, *ends: CallEnd) -> int:
    mailing_id = world.running()
    assert isinstance(world.provider, MemoryProvider)
    world.provider.ends_next(*ends)
    return mailing_id


def dispatch(world: World, *, once: bool = False) -> None:
    """Dispatch beside the commands, whose logs went to a standard error that is gone."""
    with capture_logs():
        if once:
            dispatch_next(world.desk)
        else:
            world.dispatch()


def test_pause_resume_and_cancel(run, world):
    mailing_id = running(world)
    dispatch(world, once=True)
    assert "30 recipients = 10 accepted by SendGrid" in run("mailing", "pause", "1").stdout
    seen = shown(run, mailing_id)
    assert seen["sentence"] == "Paused by operator:command-line: 20 recipients wait."
    assert commands(seen) == ["newsletter mailing resume 1", "newsletter mailing cancel 1"]
    assert run("mailing", "resume", "1", "--yes").returncode == 0
    dispatch(world, once=True)
    asked = run("mailing", "cancel", "1")
    assert "The 10 who wait now" in asked.stderr
    assert "20 accepted by SendGrid + 0 skipped + 0 rejected + 0 unknown + 10 cancelled" in (
        run("mailing", "cancel", "1", "--yes").stdout
    )
    assert "newsletter mailing schedule 1 --now" in commands(shown(run, mailing_id))


def test_a_mailing_with_every_trouble_accounts_for_everybody(run, world):
    refused = tuple(RefusedRecipient(number, "not an address") for number in range(2))
    attempts = []
    world.provider.answering = lambda message: attempts.append(message.recipients[0].custom_args["attempt_id"])
    some_refused = CallEnd(Ending.recipients_refused, 400, refused=refused)
    mailing_id = running(world, CallEnd(Ending.ambiguous), some_refused, CallEnd(Ending.ambiguous))
    dispatch(world)
    with world.database.writing() as session:
        prove(session, attempts[:1], now=world.clock())
    seen = shown(run, mailing_id)
    assert seen["line"] == (
        "30 recipients = 18 accepted by SendGrid (10 of them proven by event) + 0 skipped + 2 rejected + 10 unknown"
    )
    assert seen["balances"]
    assert seen["state"] == "held"
    assert commands(seen) == ["newsletter mailing settle 1"]
    assert sum(one["recipients"] for one in seen["by_plan"].values()) == 30
    assert set(seen["by_provider"]) == {"other", "qq"}
    page = run("mailing", "show", "1").stdout
    assert seen["line"] in page
    assert "Mailbox provider" in page
    assert "Requests to look at" in page
    assert "newsletter mailing settle 1" in page


def test_each_state_says_what_goes_on(run, world):
    mailing_id = running(world, CallEnd(Ending.unauthorised, 401, detail="the key is wrong"))
    assert "Its first mails leave as soon as" in shown(run, mailing_id)["sentence"]
    dispatch(world, once=True)
    seen = shown(run, mailing_id)
    assert "stopped by an error" in seen["sentence"]
    assert "the key is wrong" in seen["sentence"]
    assert commands(seen)[0] == "newsletter doctor"
    run("mailing", "resume", "1", "--yes")
    with world.database.writing() as session:
        hold_the_other_side(session, live=True, now=world.clock())
    assert "waits for a decision: meant for NOT LIVE" in shown(run, mailing_id)["sentence"]
    run("mailing", "resume", "1", "--yes")
    dispatch(world)
    seen = shown(run, mailing_id)
    assert "every recipient is accounted for" in seen["sentence"]
    assert commands(seen) == ["newsletter report 1"]
    watched = run("mailing", "show", "1", "--watch", "--json").stdout.splitlines()
    assert len(watched) == 1


def test_what_cannot_be_done_says_what_can(run, world):
    run("mailing", "schedule", str(world.issue()), "--now", "--yes")
    assert "newsletter mailing unschedule 1" in run("mailing", "pause", "1").stderr
    assert run("mailing", "unschedule", "9", "--yes").returncode == 1
    world.clock.now = utc_now()
    world.begin()
    dispatch(world)
    for words in (["cancel", "1", "--yes"], ["unschedule", "1", "--yes"]):
        assert "finished already" in run("mailing", *words).stderr
    assert "only one that is under way" in run("mailing", "pause", "1").stderr
