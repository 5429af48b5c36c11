"""`POST /webhooks/sendgrid`: genuine calls are kept as they came and answered at once; all others leave no trace."""

import json
import threading

import anyio
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlmodel import select

from newsletter.composition import Service
from newsletter.errors import Misconfigured
from newsletter.feedback.models import EventCall, FeedbackEventRow
from newsletter.providers.sendgrid_events import is_genuine, load_key
from newsletter.settings import Settings
from newsletter.web.sendgrid_hook import BODY_LIMIT
from tests.web.sendgrid_calls import BODY, FOREIGN, OLD, apply_all, post, shown, signed


#: The test vector that the SDK publishes (sendgrid-python, test/unit/test_eventwebhook.py).
SDK_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfS"
    "mpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
)
SDK_SIGNATURE = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
SDK_TIMESTAMP = "1600112502"
SDK_EVENT = {
    "email": "hello@world.com",
    "event": "dropped",
    "reason": "Bounced Address",
    "sg_event_id": "ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",
    "sg_message_id": "LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",
    "smtp-id": "<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>",
    "timestamp": 1600112492,
}


def kept(site):
    with site.world.database.reading() as session:
        return [call.body for call in session.exec(select(EventCall))]


def test_a_genuine_call_is_kept_byte_for_byte_with_either_key_and_however_old(site, hook):
    assert post(hook).status_code == 200
    assert post(hook, headers=signed(BODY, OLD, "1600000000")).status_code == 200
    assert kept(site) == [BODY, BODY]


def test_the_published_test_vector_is_genuine():
    body = json.dumps([SDK_EVENT], sort_keys=True, separators=(",", ":")).encode() + b"\r\n"
    headers = {
        "X-Twilio-Email-Event-Webhook-Signature": SDK_SIGNATURE,
        "X-Twilio-Email-Event-Webhook-Timestamp": SDK_TIMESTAMP,
    }
    assert is_genuine([load_key(SDK_KEY)], headers, body)
    assert not is_genuine([load_key(SDK_KEY)], headers, body.strip())


FORGERIES = {
    "nothing": {},
    "another key": signed(BODY, FOREIGN),
    "another body": signed(BODY + b" "),
    "another time": {**signed(BODY), "X-Twilio-Email-Event-Webhook-Timestamp": "1763860001"},
    "no base64": {**signed(BODY), "X-Twilio-Email-Event-Webhook-Signature": "***"},
    "no signature": {**signed(BODY), "X-Twilio-Email-Event-Webhook-Signature": ""},
    "a time that is none": signed(BODY, timestamp="17e8"),
    "a time of other digits": signed(BODY, timestamp="1763860000 "),
}


@pytest.mark.parametrize("headers", FORGERIES.values(), ids=FORGERIES)
def test_what_is_not_signed_is_refused_counted_and_leaves_no_trace(site, hook, headers):
    answer = post(hook, headers=headers)
    assert answer.status_code == 403
    assert kept(site) == []
    assert 'newsletter_event_calls_refused_total{why="not signed"} 1.0' in hook.get("/metrics").text


def test_the_border_between_time_and_body_cannot_be_moved(site, hook):
    headers = signed(BODY)
    headers["X-Twilio-Email-Event-Webhook-Timestamp"] = "176386000"
    answer = hook.post("/webhooks/sendgrid", content=b"0" + BODY, headers=headers)
    apply_all(site)
    # The signature fits, since nothing stands between the two; but that is no array, and nothing comes of it.
    assert answer.status_code == 200
    with site.world.database.reading() as session:
        (call,) = session.exec(select(EventCall))
        assert call.problem
        assert session.exec(select(FeedbackEventRow)).all() == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 5000, json.dumps([[[]]] * 50).encode()],
)
def test_a_genuine_call_is_answered_well_whatever_it_holds(site, hook, body):
    assert post(hook, body).status_code == 200
    apply_all(site)
    assert kept(site) == [body]


def test_re_serialised_truncated_and_too_large_calls_are_refused(site, hook):
    headers = signed(BODY)
    assert post(hook, json.dumps(json.loads(BODY)).encode(), headers).status_code == 403
    assert post(hook, BODY[:-10], headers).status_code == 403
    large = b"[" + b" " * BODY_LIMIT + b"]"
    assert post(hook, large).status_code == 413
    assert post(hook, b" " * 10_000_000).status_code == 413
    assert kept(site) == []


def test_a_call_that_is_cut_short_by_its_sender_is_no_fault_of_ours(site, hook):
    parts = iter([{"type": "http.request", "body": BODY[:9], "more_body": True}, {"type": "http.disconnect"}])
    answered = []

    async def receive():
        return next(parts)

    async def send(message):
        answered.append(message)

    scope = {"type": "http", "method": "POST", "path": "/webhooks/sendgrid", "query_string": b"", "headers": []}
    with anyio.from_thread.start_blocking_portal() as portal:
        portal.call(hook.app, {**scope, "app": hook.app}, receive, send)
    assert [one["status"] for one in answered if "status" in one] == [400]
    assert kept(site) == []


def test_a_call_that_cannot_be_kept_is_asked_for_again(site, hook):
    with site.world.database.writing() as session:
        session.connection().exec_driver_sql("DROP TABLE event_call")
    assert post(hook).status_code == 503


def test_calls_that_come_at_once_are_all_kept(site, hook):
    threads = [threading.Thread(target=post, args=(hook,)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept(site)) == 12


def test_without_a_key_nothing_is_believed(site):
    assert site.browser.post("/webhooks/sendgrid", content=BODY, headers=signed(BODY)).status_code == 403


@pytest.mark.parametrize("key", ["x", "AAAA", shown(ec.generate_private_key(ec.SECP384R1()))])
def test_a_key_that_is_none_is_told_at_once(tmp_path, key):
    service = Service(Settings(_env_file=None, data_dir=tmp_path, sendgrid_webhook_key=key))
    with pytest.raises(Misconfigured, match="WEBHOOK_KEY"):
        _ = service.event_keys
