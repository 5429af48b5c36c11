"""Alerts: each told by every way, once an hour at most, also while SendGrid refuses everything."""

import base64
import hashlib
import hmac
import json
import socket
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from pydantic import SecretStr
from sqlmodel import col, select
from standardwebhooks import Webhook

from newsletter.alerts import GIVE_UP_AFTER, QUIET, Alert, AlertKind, AlertPost, NewAlert, raise_alert
from newsletter.cli.at_work import tellers
from newsletter.notices.alerting import NEWS_FOR, AlertDesk, tell_next
from newsletter.notices.dispatch import tidy
from newsletter.notices.hooks import read_hook
from newsletter.providers.base import CallEnd, Ending
from newsletter.providers.memory import MemoryProvider
from newsletter.providers.sendgrid import SendGridProvider
from newsletter.providers.sendgrid_client import SendGridAccount
from tests.web_hooks import web_hook
from tests.world import TEMPLATES, make_world


SECRET = f"whsec_{base64.b64encode(b's' * 24).decode()}"
WORDS = yaml.safe_load((TEMPLATES / "alerts" / "words.yaml").read_text("utf-8"))
FACTS = {
    "mailing": "7",
    "issue": "3",
    "reason": "the provider answered 401",
    "line": "3 recipients = 3 accepted",
}


@pytest.fixture
def world(store):
    return make_world(store, MemoryProvider())


@pytest.fixture
def hook():
    with web_hook() as running:
        yield running


def desk_of(world, *hooks, addresses=("ops@example.com",)):
    return AlertDesk(
        world.database, world.provider, addresses, [read_hook(one) for one in hooks], WORDS, world.live, world.clock
    )


def alert(world, kind=AlertKind.mailing_halted, about="mailing 7", *, live=None, **facts):
    with world.database.writing() as session:
        side = world.live if live is None else live
        new = NewAlert(kind, about, world.publication.id, side, FACTS | facts)
        return raise_alert(session, new, now=world.clock())


def tell(desk):
    count = 0
    for way in desk.ways:
        while tell_next(desk, way):
            count += 1
    return count


def name_of(said):
    return read_hook(said).name


def posts(world):
    with world.database.reading() as session:
        return {
            one.way: (str(one.state), one.result) for one in session.exec(select(AlertPost).order_by(col(AlertPost.id)))
        }


def test_an_alert_is_told_by_each_way_once(world, hook):
    alert(world)
    said = (f"{hook.url}/a#{SECRET}", f"wecom+{hook.url}/b")
    desk = desk_of(world, *said)
    hook.answers = [(200, b""), (200, b'{"errcode":0}')]
    assert tell(desk) == 3
    assert tell(desk) == 0
    assert set(posts(world)) == {"mail", *map(name_of, said)}
    assert {state for state, _ in posts(world).values()} == {"told"}
    (message,) = world.provider.accepted
    assert [one.address for one in message.recipients] == ["ops@example.com"]
    assert "mailing 7" in message.subject
    assert "newsletter mailing resume 7" in message.text


def test_the_generic_hook_is_signed_and_says_it_to_programs_too(world, hook):
    number = alert(world)
    tell(desk_of(world, f"{hook.url}/a?x=1#{SECRET}", addresses=()))
    (call,) = hook.calls
    assert call.path == "/a?x=1"
    assert call.headers["webhook-id"] == f"alert_{number}"
    body = json.loads(call.body)
    # Verified by the library that receivers use; its own time is the true one.
    signed = call.headers["webhook-signature"]
    assert signed == Webhook(SECRET).sign(f"alert_{number}", world.clock(), call.body.decode())
    assert (body["kind"], body["mailing"], body["live"]) == ("mailing_halted", "7", False)
    assert "mailing resume 7" in body["text"]


def test_feishu_and_dingtalk_are_signed_as_their_robots_want_it(world, hook):
    alert(world)
    hook.answers = [(200, b'{"code":0,"msg":"ok"}'), (200, b'{"errcode":0}')]
    tell(desk_of(world, f"feishu+{hook.url}/f#sec", f"dingtalk+{hook.url}/d?access_token=t#sec", addresses=()))
    feishu, dingtalk = hook.calls
    said = json.loads(feishu.body)
    key = f"{said['timestamp']}\nsec".encode()
    assert said["sign"] == base64.b64encode(hmac.digest(key, b"", hashlib.sha256)).decode()
    assert said["msg_type"] == "text"
    query = parse_qs(urlsplit(dingtalk.path).query)
    stamp = query["timestamp"][0]
    wanted = base64.b64encode(hmac.digest(b"sec", f"{stamp}\nsec".encode(), hashlib.sha256)).decode()
    assert (query["sign"], query["access_token"]) == ([wanted], ["t"])


@pytest.mark.parametrize(
    ("kind", "answer", "why"),
    [
        ("feishu", (200, b'{"code":19021,"msg":"sign match fail"}'), "19021"),
        ("wecom", (200, b'{"errcode":93000,"errmsg":"invalid webhook url"}'), "93000"),
        ("dingtalk", (200, b"<html>"), "no JSON"),
        ("wecom", (200, b'{"error":"no route"}'), "without a code"),
        ("generic", (302, b""), "302"),
        ("generic", (500, b""), "500"),
    ],
)
def test_a_refusal_is_known_also_where_the_status_is_200_and_tried_again(world, hook, kind, answer, why):
    alert(world)
    hook.answers = [answer, (200, b'{"code":0}')]
    desk = desk_of(world, f"{kind}+{hook.url}/x#{SECRET}", addresses=())
    assert tell(desk) == 1
    ((state, result),) = posts(world).values()
    assert (state, why in result) == ("waiting", True)
    assert SECRET not in result
    assert hook.url not in result
    assert tell(desk) == 0
    world.clock.forward(60)
    tell(desk)
    assert [state for state, _ in posts(world).values()] == ["told"]


def test_sendgrid_that_refuses_everything_keeps_no_hook_from_telling(world, hook):
    alert(world)
    world.provider.ends_next(*[CallEnd(Ending.unauthorised, 401)] * 50)
    desk = desk_of(world, f"{hook.url}/a#{SECRET}")
    tell(desk)
    assert posts(world)[name_of(f"{hook.url}/a#{SECRET}")][0] == "told"
    assert posts(world)["mail"][0] == "waiting"
    for _ in range(40):
        world.clock.forward(3600)
        tell(desk)
    assert posts(world)["mail"][0] == "given_up"
    assert len(hook.calls) == 1


def test_the_same_is_not_told_twice_an_hour_but_counted(world, hook):
    desk = desk_of(world, f"{hook.url}/a#{SECRET}", addresses=())
    for _ in range(5):
        alert(world)
        tell(desk)
    alert(world, about="mailing 8")
    tell(desk)
    assert len(hook.calls) == 2
    world.clock.forward(QUIET.total_seconds() + 1)
    alert(world)
    tell(desk)
    assert len(hook.calls) == 3
    with world.database.reading() as session:
        assert [one.repeats for one in session.exec(select(Alert).order_by(col(Alert.id)))] == [4, 0, 0]


def test_what_is_a_day_old_is_news_to_nobody(world, hook):
    alert(world)
    world.clock.now += GIVE_UP_AFTER + timedelta(seconds=1)
    assert tell(desk_of(world, f"{hook.url}/a#{SECRET}")) == 0


def test_another_reason_and_the_other_side_are_other_news_within_the_hour(world, hook):
    desk = desk_of(world, f"{hook.url}/a#{SECRET}", addresses=())
    for reason, live in ((FACTS["reason"], False), ("the disk is full", False), (FACTS["reason"], True)):
        alert(world, reason=reason, live=live)
    alert(world)
    assert tell(desk) == 2
    with world.database.reading() as session:
        found = session.exec(select(Alert).order_by(col(Alert.id)))
        assert [(one.live, one.repeats) for one in found] == [(False, 1), (False, 0), (True, 0)]


def test_an_answer_that_cannot_be_unpacked_is_a_failure_that_is_tried_again(world, hook):
    hook.headers["Content-Encoding"] = "gzip"
    alert(world)
    desk = desk_of(world, f"feishu+{hook.url}/f", addresses=())
    assert tell(desk) == 1
    assert posts(world)[name_of(f"feishu+{hook.url}/f")] == ("waiting", "not reached: DecodeError")
    hook.headers.clear()
    world.clock.forward(11)
    assert tell(desk) == 1
    assert posts(world)[name_of(f"feishu+{hook.url}/f")] == ("told", "told")


def test_an_alert_without_one_of_its_facts_is_told_all_the_same(world, hook):
    with world.database.writing() as session:
        new = NewAlert(AlertKind.surge, "mailing 7, qq", world.publication.id, world.live, {"mailing": "7"})
        raise_alert(session, new, now=world.clock())
    assert tell(desk_of(world, f"{hook.url}/a#{SECRET}", addresses=())) == 1
    assert "? 封里有 ? 封被退回" in json.loads(hook.calls[0].body)["text"]


def test_alerts_are_kept_for_400_days_with_how_they_were_told(world, hook):
    desk = desk_of(world, f"{hook.url}/a#{SECRET}", addresses=())
    alert(world)
    tell(desk)
    world.clock.now += timedelta(days=399)
    alert(world, about="mailing 8")
    tell(desk)
    for days, left in ((0, 2), (2, 1)):
        world.clock.now += timedelta(days=days)
        tidy(world.database, live=world.live, now=world.clock())
        with world.database.reading() as session:
            assert len(session.exec(select(Alert)).all()) == len(session.exec(select(AlertPost)).all()) == left


def test_a_sendgrid_that_hangs_keeps_no_hook_waiting(world, hook):
    for number in range(2):
        alert(world, about=f"mailing {number}")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # It takes connections and says nothing; when it is closed the mail that waits for it ends.
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        provider = SendGridProvider(SendGridAccount(url, SecretStr("SG.test"), 60.0, direct=True))
        workers = tellers(desk_of(world.having(provider=provider), f"{hook.url}/a#{SECRET}"))
        for worker in workers:
            worker.start()
        hook.wait_for(2)
        assert [call.headers["webhook-id"] for call in hook.calls] == ["alert_1", "alert_2"]
        assert posts(world)["mail"] == ("waiting", "")
        for worker in workers:
            worker.begin_no_more()
    assert [worker.stop(until=monotonic() + 30) for worker in workers] == [0, 0]


def test_what_was_never_tried_is_told_before_what_failed(world, hook):
    desk = desk_of(world, f"{hook.url}/a#{SECRET}", addresses=())
    hook.answers = [(500, b""), (500, b"")]
    for number in range(2):
        alert(world, about=f"mailing {number}")
    tell(desk)
    alert(world, about="mailing 3")
    world.clock.forward(60)
    tell(desk)
    assert hook.calls[2].headers["webhook-id"] == "alert_3"


def test_a_cause_with_a_code_is_the_same_whatever_numbers_its_sentence_tells(world, hook):
    desk = desk_of(world, f"{hook.url}/a#{SECRET}", addresses=())
    for cause, reason in (("disk", "9 MB are free"), ("disk", "8 MB are free"), ("clock", "8 MB are free")):
        alert(world, AlertKind.store_held, cause=cause, reason=reason)
    tell(desk)
    assert [json.loads(call.body)["cause"] for call in hook.calls] == ["disk", "clock"]


def test_what_came_again_after_it_was_told_is_said_the_next_time(world, hook):
    desk = desk_of(world, f"{hook.url}/a#{SECRET}", addresses=())
    alert(world)
    tell(desk)
    for _ in range(3):
        alert(world)
    for _ in range(2):
        world.clock.forward(QUIET.total_seconds() + 1)
        alert(world)
        tell(desk)
    first, second, third = (json.loads(call.body) for call in hook.calls)
    assert "before" not in first
    assert second["before"] == "3"
    assert "那之后的一小时内又发生了 3 次" in second["text"]
    assert "before" not in third


def test_an_alert_stays_on_its_side_of_not_live_also_once_it_was_tried(world, hook):
    live, said = world.having(live=True), f"{hook.url}/a#{SECRET}"
    alert(live)
    hook.answers = [(500, b"")]
    tell(desk_of(live, said, addresses=()))
    world.clock.forward(60)
    assert tell(desk_of(world, said, addresses=())) == 0
    assert tell(desk_of(live, said, addresses=())) == 1


def test_a_way_keeps_its_name_wherever_it_stands_and_a_new_one_hears_the_last_hour(world, hook):
    old, new = f"{hook.url}/a#{SECRET}", f"feishu+{hook.url}/b"
    alert(world, about="mailing 1")
    tell(desk_of(world, old, addresses=()))
    world.clock.now += NEWS_FOR
    alert(world, about="mailing 2")
    tell(desk_of(world, old, addresses=()))
    assert tell(desk_of(world, new, old, addresses=())) == 1
    assert hook.calls[-1].path == "/b"
    assert "mailing 2" in json.loads(hook.calls[-1].body)["content"]["text"]


def test_what_nobody_was_told_is_told_also_hours_later(world, hook):
    """The machine died right after a mailing had halted."""
    alert(world)
    world.clock.now += NEWS_FOR * 2
    assert tell(desk_of(world, f"{hook.url}/a#{SECRET}")) == 2


def test_what_waits_for_a_way_that_is_gone_is_given_up_after_a_day(world, hook):
    hook.answers = [(500, b"")]
    alert(world)
    tell(desk_of(world, f"{hook.url}/a#{SECRET}"))
    for seconds, state in ((-1, "waiting"), (2, "given_up")):
        world.clock.now += GIVE_UP_AFTER * (state == "waiting") + timedelta(seconds=seconds)
        tidy(world.database, live=world.live, now=world.clock())
        assert posts(world)[name_of(f"{hook.url}/a#{SECRET}")] == (state, "answered 500")
    assert posts(world)["mail"] == ("told", "told")


def test_an_alert_that_cannot_be_written_is_a_try_that_failed(world, hook):
    alert(world)
    desk = replace(desk_of(world, f"{hook.url}/a#{SECRET}", addresses=()), words={"zh": {}, "en": {}})
    # It is waited for as after any other failure, longer each time.
    for wait in (0, 10, 20):
        world.clock.forward(wait)
        assert tell(desk) == 1
        assert tell(desk) == 0
    assert list(posts(world).values()) == [("waiting", "it could not be told: KeyError")]


@pytest.mark.parametrize("said", ["https://ops.example.com/s3cret?key=s3cret#" + SECRET, "feishu+https://x/s3cret"])
def test_the_name_of_a_hook_shows_its_kind_and_host_and_no_secret(said):
    hook = read_hook(said)
    kind, host, tail = hook.name.split(" ")
    assert (kind, host, len(tail)) == (hook.kind, urlsplit(hook.url).hostname, 8)
    assert read_hook(said.replace("s3cret", "other")).name != hook.name
    assert len(read_hook(f"dingtalk+https://{'a.' * 100}example.com/x").name) <= 60


@pytest.mark.parametrize("wrong", ["", "ftp://x", "https://", "https://x.example.com", "https://x.example.com#short"])
def test_a_hook_that_cannot_be_read_is_refused_without_repeating_it(wrong):
    with pytest.raises(ValueError) as refused:
        read_hook(wrong)
    assert "x.example.com" not in str(refused.value)
