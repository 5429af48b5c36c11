"""The hook of a payment system: signed over the bytes, carried out once, and never a way to mail somebody."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from sqlmodel import select
from standardwebhooks import Webhook

from newsletter.composition import Service
from newsletter.plan_calls import KEPT_FOR, PlanCall, purge_calls
from newsletter.settings import Settings
from newsletter.web.app import create_app
from subscribers.actors import READER
from subscribers.consent import consent_of
from subscribers.leaving import leave_by_address
from tests.world import addresses


OLD, NEW, FOREIGN = (f"whsec_{base64.b64encode(word * 24).decode()}" for word in (b"o", b"n", b"f"))
READER_ADDRESS = addresses(1)[0]
PRO = {"email": READER_ADDRESS, "plan": "pro", "until": "2027-01-31", "reference": "order 7"}


class Payments:
    """A payment system that calls."""

    def __init__(self, browser: TestClient) -> None:
        self.browser = browser

    def call(self, body, call_id="msg_1", *, secret=NEW, off_by=timedelta(), sent=None):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        at = datetime.now(UTC) + off_by
        headers = {
            "webhook-id": call_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret).sign(call_id, at, raw.decode("utf-8", "replace")),
        }
        return self.browser.post("/webhooks/plans", content=sent if sent is not None else raw, headers=headers)


@pytest.fixture
def payments(site, tmp_path):
    said = site.service.settings.model_copy(update={"plan_hook_secret": SecretStr(f"{OLD},{NEW}")})
    service = Service(said, site.world.clock)
    with TestClient(create_app(service), raise_server_exceptions=False) as browser:
        yield Payments(browser)
    service.database.close()


def test_a_call_gives_a_plan_and_the_ledger_knows_the_order(site, payments):
    answer = payments.call(PRO)
    reader = site.reader()
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "changed",
        "subscription": reader.id,
        "state": "confirmed",
        "plan": "pro",
        "until": "2027-01-31",
    }
    assert (reader.plan, str(reader.plan_until)) == ("pro", "2027-01-31")
    with site.world.database.reading() as session:
        event = consent_of(session, reader.id)[-1]
    assert (event.kind, event.by, event.source) == ("plan_changed", "token:plan hook", "plan hook")
    assert event.detail["reason"] == "order 7"
    assert site.notices() == []


def test_a_repeated_call_gets_the_first_answer_and_changes_nothing(site, payments):
    first = payments.call(PRO)
    payments.call({"subscription": site.reader().id, "plan": "free"}, "msg_2")
    before = site.everything()
    again = payments.call(PRO | {"plan": "free"}, "msg_1", secret=OLD)
    assert (again.status_code, again.json()) == (200, first.json())
    assert site.everything() == before
    assert site.reader().plan == "free"


def test_calls_that_come_at_once_count_once(site, payments):
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: payments.call(PRO), range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len({answer.text for answer in answers}) == 1
    with site.world.database.reading() as session:
        kinds = [str(event.kind) for event in consent_of(session, site.reader().id)]
    assert kinds.count("plan_changed") == 1


def test_paying_is_no_consent_to_mail(site, payments):
    with site.world.database.writing() as session:
        leave_by_address(session, site.world.publication.id, READER_ADDRESS, by=READER, now=site.clock())
    answer = payments.call(PRO)
    assert (answer.status_code, answer.json()["state"], answer.json()["plan"]) == (200, "left", "pro")
    before = site.everything()
    unknown = payments.call(PRO | {"email": "stranger@example.com"}, "msg_2")
    assert (unknown.status_code, unknown.json()["error"]) == (404, "unknown_reader")
    assert "stranger" not in unknown.text
    assert site.everything() == before


def test_a_call_that_came_too_early_works_when_its_reader_is_there(site, payments):
    assert payments.call(PRO | {"email": "late@example.com"}).status_code == 404
    site.world.readers(["late@example.com"])
    assert payments.call(PRO | {"email": "late@example.com"}).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": FOREIGN},
        {"off_by": -timedelta(minutes=6)},
        {"off_by": timedelta(minutes=6)},
        {"sent": json.dumps(PRO | {"plan": "free"}).encode()},
        {"sent": json.dumps(PRO, indent=1).encode()},
        {"sent": b"\xff\xfe"},
        {"call_id": "m" * 201},
    ],
)
def test_what_is_not_signed_as_it_stands_is_answered_401_and_does_nothing(site, payments, wrong):
    before = site.everything()
    assert payments.call(PRO, **wrong).status_code == 401
    assert site.everything() == before


def test_headers_of_any_kind_are_answered_401(site, payments):
    for headers in (
        {},
        {"webhook-id": "m", "webhook-timestamp": "x", "webhook-signature": "v1,x"},
        {"webhook-id": "m", "webhook-timestamp": str(int(datetime.now(UTC).timestamp())), "webhook-signature": "v1"},
        {"webhook-id": "m", "webhook-timestamp": str(int(datetime.now(UTC).timestamp())), "webhook-signature": "v1,é"},
    ):
        sent = {name: value.encode() for name, value in headers.items()}
        assert payments.browser.post("/webhooks/plans", content=b"{}", headers=sent).status_code == 401


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ([], 422, "body"),
        (b"{", 422, "JSON"),
        (b"\xff", 401, "signature"),
        ({"email": READER_ADDRESS}, 422, "plan"),
        ({"plan": "pro"}, 422, "either email or subscription"),
        ({"plan": "pro", "email": READER_ADDRESS, "subscription": 1}, 422, "either email or subscription"),
        ({"plan": "pro", "email": "no address"}, 422, "no address"),
        ({"plan": "gold", "email": READER_ADDRESS}, 422, "there is no plan"),
        ({"plan": "pro", "email": READER_ADDRESS, "until": "31.1.2027"}, 422, "until"),
        ({"plan": "pro", "email": READER_ADDRESS, "reference": "anna@example.com"}, 422, "reference"),
        ({"plan": "pro", "subscription": "1"}, 422, "subscription"),
        ({"plan": "pro", "subscription": 999}, 404, "nobody"),
        ({"plan": "pro", "email": READER_ADDRESS, "publication": "daily"}, 422, "daily"),
        (b" " * 10_001, 413, "bytes"),
        (b"[" * 9_000, 422, "body"),
    ],
)
def test_what_cannot_be_carried_out_is_told_what_is_wrong(site, payments, body, status, words):
    before = site.everything()
    answer = payments.call(body)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert READER_ADDRESS not in answer.text
    assert site.everything() == before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300) | st.recursive(st.none() | st.text() | st.integers(), st.lists))
def test_no_body_makes_it_stumble(payments, body):
    assert payments.call(body).status_code in {401, 422}


def test_without_a_secret_there_is_no_hook(site):
    assert Payments(site.browser).call(PRO).status_code == 404


@pytest.mark.parametrize("length", [24, 25, 32, 64])
@pytest.mark.parametrize("padded", [True, False])
def test_a_secret_of_any_length_is_taken_with_or_without_its_padding(length, padded):
    secret = f"whsec_{base64.b64encode(bytes(range(length))).decode()}"
    said = Settings(_env_file=None, plan_hook_secret=secret if padded else secret.rstrip("="))
    (used,) = said.plan_hook_secrets
    at = datetime.now(UTC)
    headers = {"webhook-id": "m", "webhook-timestamp": str(int(at.timestamp()))}
    Webhook(used).verify("{}", headers | {"webhook-signature": Webhook(secret).sign("m", at, "{}")})


@pytest.mark.parametrize("secret", ["whsec_", "whsec_c2hvcnQ=", "not base64!", f"{NEW},whsec_x"])
def test_a_secret_that_is_none_is_refused_at_the_start(secret):
    with pytest.raises(ValidationError, match="whsec_"):
        Settings(_env_file=None, plan_hook_secret=SecretStr(secret))


def test_calls_are_forgotten_when_nobody_repeats_them_any_more(site, payments):
    payments.call(PRO)
    with site.world.database.writing() as session:
        assert purge_calls(session, now=site.clock() + KEPT_FOR) == 0
        assert purge_calls(session, now=site.clock() + KEPT_FOR + timedelta(days=1)) == 1
        assert session.exec(select(PlanCall)).all() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"until": 0},
        {"until": 20_000},
        {"until": "2026-11-22"},
        {"until": "2027-1-1"},
        {"until": "2027-02-30"},
        {"email": None, "subscription": 10**30},
        {"email": None, "subscription": 0},
        {"plan": "free"},
    ],
)
def test_what_cannot_be_meant_is_refused_and_changes_nothing(site, payments, wrong):
    before = site.everything()
    answer = payments.call(PRO | wrong)
    assert answer.status_code == 422
    assert site.everything() == before


def test_no_trace_of_a_calls_id_is_kept_in_the_clear(site, payments):
    payments.call(PRO, "order of anna@example.com")
    with site.world.database.reading() as session:
        (call,) = session.exec(select(PlanCall))
    assert "anna" not in call.id
