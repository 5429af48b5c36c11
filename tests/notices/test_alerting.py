"""Alerts: each told by every way, once an hour at most, also while SendGrid refuses everything."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from sqlmodel import col, select
from standardwebhooks import Webhook

from newsletter.alerts import QUIET, Alert, AlertKind, AlertPost, NewAlert, raise_alert
from newsletter.notices.alerting import GIVE_UP_AFTER, AlertDesk, tell_next, text_of
from newsletter.notices.dispatch import tidy
from newsletter.notices.hooks import read_hook
from newsletter.providers.base import CallEnd, Ending
from newsletter.providers.memory import MemoryProvider
from newsletter.publications import publication_named
from tests.web_hooks import web_hook
from tests.world import TEMPLATES, make_world


SECRET = f"whsec_{base64.b64encode(b's' * 24).decode()}"
WORDS = yaml.safe_load((TEMPLATES / "alerts" / "words.yaml").read_text("utf-8"))
FACTS = {
    "mailing": "7",
    "issue": "3",
    "reason": "the provider answered 401",
    "line": "3 recipients = 3 accepted",
    "provider": "qq",
    "bounced": "30",
    "blocked": "30",
    "causes": "frequency 30",
    "accepted": "100",
    "complained": "4",
    "share": "4.00%",
    "limit": "0.1%",
    "since": "2026-11-23 09:00 CST",
    "hours": "12.1",
    "calls": "44",
    "last": "no answer",
    "said": "status 401",
    "hard": "3",
    "readers": "5,000",
    "later": "8",
    "when": "Monday 09:00",
    "do": "newsletter issue ready 3",
    "change": "compliance_suspend",
    "call": "12",
    "number": "3",
    "error": "ValueError",
    "doing": "reading the lists",
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


def alert(world, kind=AlertKind.mailing_halted, about="mailing 7"):
    with world.database.writing() as session:
        new = NewAlert(kind, about, world.publication.id, world.live, FACTS)
        return raise_alert(session, new, now=world.clock())


def tell(desk):
    count = 0
    while tell_next(desk):
        count += 1
    return count


def posts(world):
    with world.database.reading() as session:
        return {
            one.way: (str(one.state), one.result) for one in session.exec(select(AlertPost).order_by(col(AlertPost.id)))
        }


def test_an_alert_is_told_by_each_way_once(world, hook):
    alert(world)
    desk = desk_of(world, f"{hook.url}/a#{SECRET}", f"wecom+{hook.url}/b")
    hook.answers = [(200, b""), (200, b'{"errcode":0}')]
    assert tell(desk) == 3
    assert tell(desk) == 0
    assert set(posts(world)) == {"mail", "hook 1 (generic)", "hook 2 (wecom)"}
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
    assert posts(world)["hook 1 (generic)"][0] == "told"
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
    for facts, live in ((FACTS, False), (FACTS | {"reason": "the disk is full"}, False), (FACTS, True), (FACTS, False)):
        with world.database.writing() as session:
            new = NewAlert(AlertKind.mailing_halted, "mailing 7", world.publication.id, live, facts)
            raise_alert(session, new, now=world.clock())
    assert tell(desk) == 2
    with world.database.reading() as session:
        found = session.exec(select(Alert).order_by(col(Alert.id)))
        assert [(one.live, one.repeats) for one in found] == [(False, 1), (False, 0), (True, 0)]


def test_an_answer_that_cannot_be_unpacked_is_a_failure_that_is_tried_again(world, hook):
    hook.headers["Content-Encoding"] = "gzip"
    alert(world)
    desk = desk_of(world, f"feishu+{hook.url}/f", addresses=())
    assert tell(desk) == 1
    assert posts(world)["hook 1 (feishu)"] == ("waiting", "not reached: DecodeError")
    hook.headers.clear()
    world.clock.forward(11)
    assert tell(desk) == 1
    assert posts(world)["hook 1 (feishu)"] == ("told", "told")


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


@pytest.mark.parametrize("kind", AlertKind)
@pytest.mark.parametrize("locale", ["zh-CN", "en"])
def test_every_kind_says_what_happened_and_what_to_do(world, kind, locale):
    alert(world, kind)
    with world.database.reading() as session:
        (found,) = session.exec(select(Alert))
        publication = publication_named(session, None)
    publication.locale = locale
    told = text_of(found, publication, WORDS)
    assert "{" not in told.plain
    assert "newsletter " in told.plain
    assert ("NOT LIVE" in told.plain) is (locale == "en")


@pytest.mark.parametrize("wrong", ["", "ftp://x", "https://", "https://x.example.com", "https://x.example.com#short"])
def test_a_hook_that_cannot_be_read_is_refused_without_repeating_it(wrong):
    with pytest.raises(ValueError) as refused:
        read_hook(wrong)
    assert "x.example.com" not in str(refused.value)
