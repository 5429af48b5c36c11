"""`newsletter issue test` and the panel: looked at before it goes out, counted nowhere, ticked for each program."""

import json

import pytest

from newsletter.database import Database
from newsletter.feedback.applying import PROVIDER, Scene
from newsletter.feedback.ingest import apply_events
from newsletter.providers.feedback import FeedbackEvent, FeedbackKind
from newsletter.providers.memory import MemoryProvider
from subscribers.hashing import AddressHasher
from tests.local_sendgrid import KEY, local_sendgrid
from tests.world import addresses, make_world


ISSUE = """---
title: 第一期
---

{name}，人人可读。

::: plan pro
专享：付费内容。
:::
"""


@pytest.fixture
def emulator(tmp_path):
    with local_sendgrid(tmp_path / "emulator") as running:
        yield running


@pytest.fixture
def world(run, tmp_path, emulator, monkeypatch):
    monkeypatch.setenv("NEWSLETTER_EMULATOR_URL", emulator.url)
    monkeypatch.setenv("NEWSLETTER_EMULATOR_KEY", KEY)
    monkeypatch.setenv("NEWSLETTER_ADDRESS_PEPPER", "sixteen bytes or more")
    assert run("init").returncode == 0
    database = Database(f"sqlite:///{tmp_path / '.newsletter' / 'newsletter.db'}")
    world = make_world(database, MemoryProvider())
    world.readers(addresses(2))
    world.issue(ISSUE)
    yield world
    database.close()


def test_a_test_mail_is_the_real_rendering_for_one_plan_and_no_delivery(run, world, emulator):
    answer = run("issue", "test", "1", "--to", "Editor@example.org", "--plan", "pro")
    assert answer.returncode == 0, answer.stderr
    assert "Editor@example.org" not in answer.stdout
    (mail,) = emulator.deliveries()
    assert mail["subject"] == "【测试】第一期"
    assert "付费内容" in mail["html"]
    assert "e***@e" in mail["html"].lower()
    assert set(mail["custom_args"]) == {"attempt_id"}
    run("issue", "test", "1", "--to", "editor@example.org")
    assert "付费内容" not in emulator.deliveries()[-1]["html"]
    assert json.loads(run("mailing", "list", "--json").stdout) == []


def test_the_panel_is_mailed_each_as_its_plan_and_ticks_what_looked_right(run, world, emulator):
    run("issue", "panel", "add", "a@example.org", "--client", "iPhone Mail", "--plan", "pro")
    run("issue", "panel", "add", "b@example.org", "--client", "Outlook 2019")
    assert "on the panel already" in run("issue", "panel", "add", "c@example.org", "--client", "outlook 2019").stderr
    listed = json.loads(run("issue", "panel", "list", "--json").stdout)
    assert {one["client"]: one["plan"] for one in listed} == {"iPhone Mail": "pro", "Outlook 2019": "free"}
    assert run("issue", "test", "1", "--panel").returncode == 0
    assert {one["to"]: "付费内容" in one["html"] for one in emulator.deliveries()} == {
        "a@example.org": True,
        "b@example.org": False,
    }
    run("issue", "looked-right", "1", "--client", "iphone mail")
    assert run("issue", "looked-right", "1", "--client", "Outlook 2019", "--no", "--note", "缺图").returncode == 0
    looks = {one["client"]: one for one in json.loads(run("issue", "show", "1", "--json").stdout)["panel"]}
    assert looks["iPhone Mail"]["word"] == "looked right"
    assert (looks["Outlook 2019"]["word"], looks["Outlook 2019"]["note"]) == ("did NOT look right", "缺图")
    scheduled = run("mailing", "schedule", "1", "--now", "--yes").stdout
    assert "looked right: iPhone Mail" in scheduled
    assert "did NOT look right: Outlook 2019" in scheduled
    world.issue(ISSUE + "\n又一句。\n", revises=1)
    assert "not sent" in run("issue", "show", "1").stdout
    run("issue", "panel", "remove", "--client", "Outlook 2019")
    assert "there is 'iPhone Mail'" in run("issue", "looked-right", "1", "--client", "Outlook 2019").stderr


def test_whom_nobody_may_mail_gets_no_test(run, world, emulator):
    run("suppressions", "add", "gone@example.org")
    assert "is suppressed" in run("issue", "test", "1", "--to", "gone@example.org").stderr
    closed = run("issue", "test", "1", "--to", "a@example.org", NEWSLETTER_ALLOW_LIST="@example.net")
    assert "allow-list" in closed.stderr
    assert run("issue", "test", "1", "--to", "nobody").returncode == 1
    assert "panel add" in run("issue", "test", "1", "--panel").stderr
    assert run("issue", "test", "1").returncode == 2
    assert emulator.deliveries() == []


def test_what_is_said_of_a_test_mail_changes_nothing(run, world):
    """A reader who also looks at test mails keeps their subscription, and their delivery its outcome."""
    mailing_id = world.schedule(1)
    world.begin()
    world.dispatch()
    event = FeedbackEvent(
        FeedbackKind.bounced,
        "bounce",
        addresses(1)[0],
        world.clock(),
        "e1",
        attempt="trial-x",
        status="5.1.1",
        bounce_type="bounce",
        text="550 no such user",
    )
    scene = Scene(AddressHasher(b"sixteen bytes or more"), PROVIDER, world.clock())
    with world.database.writing() as session:
        applied = apply_events(session, [event], scene, received_at=world.clock())
    assert (applied.news, applied.problems, applied.consequences) == (0, 0, 0)
    assert world.account(mailing_id).standing.accepted == 2


def test_a_seat_on_the_panel_is_exported_and_erased_with_its_person(run, world, tmp_path):
    run("issue", "panel", "add", addresses(1)[0], "--client", "Gmail")
    held = json.loads(run("subscribers", "export-person", addresses(1)[0]).stdout)
    assert held["test_panel"][0]["client"] == "Gmail"
    assert run("subscribers", "erase", addresses(1)[0], "--yes").returncode == 0
    assert json.loads(run("issue", "panel", "list", "--json").stdout) == []
    assert addresses(1)[0].encode() not in (tmp_path / ".newsletter" / "newsletter.db").read_bytes()
