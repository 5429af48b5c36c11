"""The key, its scopes, the credits and the clock, as SendGrid's answers over real HTTP tell them."""

import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from newsletter.composition import Service
from newsletter.doctor.examination import CHECKS, examine
from newsletter.doctor.results import Status
from tests.doctor.conftest import KEY, SCOPES, admit


FORBIDDEN = {"errors": [{"message": "access forbidden", "field": None}]}


def test_nothing_is_wrong_with_a_healthy_installation(store, account, zone, tmp_path):
    ward = admit(store, account, zone, tmp_path / "data")
    results = examine(ward.patient)
    unwell = [one for one in results if one.status is not Status.ok]
    # Whether it is reached from outside is tested beside, over TLS.
    assert [one.check for one in unwell] == ["reachable"]
    assert {one.check for one in results} == set(CHECKS)
    assert all(method == "GET" for method, *_ in account.asked)


def test_offline_nobody_is_asked(ward):
    ward.patient = replace(ward.patient, inquiry=None, resolver=None)
    results = examine(ward.patient)
    assert ward.sendgrid.asked == []
    skipped = {one.check for one in results if one.status is Status.skipped}
    assert skipped >= {"key", "scopes", "credits", "clock", "webhook", "webhook-key", "reachable", "domain", "spf"}
    assert not [one for one in results if one.status is Status.problem]


def test_a_key_that_is_refused_is_said_once(ward):
    ward.sendgrid.on("/v3/scopes", {"errors": [{"message": "authorization grant is invalid"}]}, 401)
    results = examine(ward.patient)
    assert [one.check for one in results if one.status is Status.problem and one.check != "reachable"] == ["key"]
    assert "does not accept the key" in ward.says("key")
    assert KEY not in str(results)


def test_sendgrid_that_is_not_reached_is_said_once(ward):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nowhere = f"http://127.0.0.1:{taken.getsockname()[1]}"
    api = Service(ward.patient.settings.model_copy(update={"sendgrid_url": nowhere})).account_api()
    ward.patient = replace(ward.patient, inquiry=replace(ward.patient.inquiry, api=api))
    results = examine(ward.patient)
    assert [one.check for one in results if one.status is Status.problem and one.check != "reachable"] == ["key"]
    assert "was not reached" in ward.says("key")


def test_an_answer_that_is_none_is_told_as_it_is(ward):
    ward.sendgrid.on("/v3/scopes", b"<html>", 502)
    assert "502" in ward.says("key")


def test_live_without_a_key_is_named(ward):
    ward.set(sendgrid_api_key=type(ward.patient.settings.sendgrid_api_key)(""))
    assert "SENDGRID_API_KEY is not set" in ward.says("key")


@pytest.mark.parametrize(
    ("scope", "status", "loss"),
    [
        ("mail.send", "problem", "no mail is taken"),
        ("suppression.read", "problem", "suppressions pull"),
        ("suppression.delete", "warning", "goes on dropping"),
        ("user.credits.read", "warning", "credits"),
        ("whitelabel.read", "warning", "domains"),
    ],
)
def test_a_missing_scope_is_named_with_what_will_not_work(ward, scope, status, loss):
    ward.sendgrid.on("/v3/scopes", {"scopes": [one for one in SCOPES if one != scope]})
    assert ward.status("scopes") == status
    assert scope in ward.says("scopes")
    assert loss in ward.says("scopes")


@pytest.mark.parametrize("odd", [None, 7, "mail.send", {"mail": "send"}])
def test_odd_answers_bring_nothing_down(ward, odd):
    ward.sendgrid.on("/v3/scopes", {"scopes": odd})
    ward.sendgrid.on("/v3/user/credits", {"remain": odd, "next_reset": odd})
    ward.sendgrid.on("/v3/user/webhooks/event/settings", {"url": odd, "enabled": odd})
    ward.sendgrid.on("/v3/user/webhooks/event/settings/all", {"webhooks": odd})
    ward.sendgrid.on("/v3/user/webhooks/event/settings/signed", {"public_key": odd})
    ward.sendgrid.on("/v3/whitelabel/domains", [odd, {"domain": odd}, {"domain": "news.example.org", "dns": odd}])
    assert "problem" in {one.status for one in examine(ward.patient)}


def test_a_key_that_may_make_keys_is_too_much(ward):
    ward.sendgrid.on("/v3/scopes", {"scopes": [*SCOPES, "api_keys.create"]})
    assert "far more than it needs (api_keys.create)" in ward.says("scopes")


def test_what_a_scope_keeps_from_being_asked_is_told(ward):
    ward.sendgrid.on("/v3/user/credits", FORBIDDEN, 403)
    assert "user.credits.read" in ward.says("credits")


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ({"remain": 3, "total": 100, "overage": 0}, "ok", "3 credits are left, and the largest audience has 3"),
        ({"remain": 2, "total": 100, "overage": 0, "next_reset": "2026-12-01"}, "problem", "renewed on 2026-12-01"),
        ({"remain": 0, "total": 100, "overage": 40}, "warning", "bills what goes beyond"),
        ({"remain": None, "total": None}, "ok", "no fixed number"),
        ([], "problem", "not of the shape"),
    ],
)
def test_credits_are_compared_with_the_largest_audience(ward, answer, status, said):
    ward.sendgrid.on("/v3/user/credits", answer)
    assert ward.status("credits") == status
    assert said in ward.says("credits")


@pytest.mark.parametrize(("seconds", "status"), [(0, "ok"), (50, "ok"), (75, "warning"), (-4000, "warning")])
def test_the_clock_is_compared_with_sendgrids(ward, seconds, status):
    theirs = format_datetime(datetime.now(UTC) - timedelta(seconds=seconds), usegmt=True)
    ward.sendgrid.on("/v3/scopes", {"scopes": SCOPES}, Date=theirs)
    assert ward.status("clock") == status
    if status == "warning":
        assert ("ahead of" if seconds > 0 else "behind") in ward.says("clock")
