"""The local SendGrid's events: signed and shaped as the real ones, repeated until they are taken."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sendgrid.helpers.eventwebhook import EventWebhook

from newsletter.emulator.reactions import Reaction
from newsletter.providers.base import Message, Recipient
from newsletter.providers.feedback import FeedbackKind
from newsletter.providers.sendgrid_events import entries_in, is_genuine, load_key, read_event
from tests.local_sendgrid import KEY, LocalSendGrid, local_sendgrid


class Hook:
    """A web server that takes calls, and answers as it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.called = threading.Condition()
        self.answers: list[int] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = hook.answers.pop(0) if hook.answers else 200
                with hook.called:
                    hook.calls.append((dict(self.headers), body))
                    hook.called.notify()
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # Half a second between two looks at whether it is to end would be the length of every test.
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhooks/sendgrid"

    def events(self) -> list[dict[str, object]]:
        return [event for _, body in list(self.calls) for event in json.loads(body)]

    def until(self, count: int) -> list[dict[str, object]]:
        """Wait until so many events came."""
        with self.called:
            if not self.called.wait_for(lambda: len(self.events()) >= count, timeout=30):
                raise TimeoutError(f"{len(self.events())} of {count} events came")
        return self.events()


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def sendgrid(tmp_path, hook) -> Iterator[LocalSendGrid]:
    with local_sendgrid(tmp_path) as running:
        running.account("PATCH", "/v3/user/webhooks/event/settings", {"enabled": True, "url": hook.url})
        running.call("/_emulator/webhook", {"batch_seconds": 0})
        yield running


def mail(sendgrid, *addresses):
    people = tuple(
        Recipient(address, "", {}, {}, {"delivery": str(number), "attempt_id": "a" * 22})
        for number, address in enumerate(addresses, start=1)
    )
    message = Message("w@news.example.com", "W", "e@news.example.com", "s", "<p>h</p>", "t", people)
    assert sendgrid.provider().submit(message).status == 202


def public_key(sendgrid):
    return sendgrid.account("GET", "/v3/user/webhooks/event/settings/signed")["public_key"]


def test_calls_are_signed_as_the_real_client_wants_it_and_shaped_as_real_ones_are(sendgrid, hook):
    mail(sendgrid, "a@example.com")
    hook.until(2)
    headers, body = hook.calls[0]
    key, referee = public_key(sendgrid), EventWebhook()
    signed = (
        headers["X-Twilio-Email-Event-Webhook-Signature"],
        headers["X-Twilio-Email-Event-Webhook-Timestamp"],
    )
    assert referee.verify_signature(body.decode(), *signed, referee.convert_public_key_to_ecdsa(key))
    assert is_genuine([load_key(key)], headers, body)
    assert not is_genuine([load_key(key)], headers, body + b" ")
    assert body.endswith(b"]\r\n")
    for event in json.loads(body):
        assert list(event) == sorted(event)
        assert isinstance(event["timestamp"], int)
        assert (event["delivery"], event["attempt_id"]) == ("1", "a" * 22)
    assert [read_event(one).kind for one in entries_in(body)] == [FeedbackKind.processed, FeedbackKind.delivered]


@pytest.mark.parametrize(
    ("reaction", "expected"),
    [
        ("deliver", ["processed", "delivered"]),
        ("defer", ["processed", "deferred", "delivered"]),
        ("bounce", ["processed", "bounce"]),
        ("block", ["processed", "bounce"]),
        ("expire", ["processed", "deferred", "bounce"]),
        ("invalid", ["dropped"]),
        ("async_bounce", ["processed", "delivered", "bounce"]),
        ("complain", ["processed", "delivered", "spamreport"]),
        ("unsubscribe", ["processed", "delivered", "unsubscribe"]),
        ("group_unsubscribe", ["processed", "delivered", "group_unsubscribe"]),
        ("group_resubscribe", ["processed", "delivered", "group_resubscribe"]),
        ("machine_open", ["processed", "delivered", "open"]),
        ("click", ["processed", "delivered", "open", "click"]),
    ],
)
def test_each_reaction_has_its_events(sendgrid, hook, reaction, expected):
    sendgrid.call("/_emulator/react", {"reaction": reaction, "domain": "qq.com"})
    mail(sendgrid, "a@qq.com", "b@example.com")
    hook.until(len(expected) + 2)
    said = [event["event"] for event in hook.events() if event["email"] == "a@qq.com"]
    assert said == expected
    if reaction == "async_bounce":
        bounce = next(event for event in hook.events() if event["event"] == "bounce")
        assert (bounce["sg_message_id"], "delivery" in bounce) == ("", False)


def test_a_script_says_what_becomes_of_a_whole_audience_in_the_servers_words(sendgrid, hook):
    sendgrid.call("/_emulator/react", {"reaction": "open"})
    rules = json.loads(
        sendgrid.call("/_emulator/script", {"audience": {"qq": {"busy-mailbox": 1}, "*": {"complain": 1}}, "seed": 1})
    )
    assert json.loads(sendgrid.call("/_emulator/react")) == rules
    mail(sendgrid, "a@foxmail.com", "b@example.com")
    said = {event["email"]: event for event in hook.until(5) if event["event"] not in {"processed", "delivered"}}
    bounce = said["a@foxmail.com"]
    answer = json.loads(sendgrid.call("/_emulator/script"))["qq"]["answers"]["busy-mailbox"]
    assert (bounce["reason"], bounce["status"]) == (answer["reason"], "5.0.0")
    assert bounce["bounce_classification"] == "Invalid Address"
    assert said["b@example.com"]["event"] == "spamreport"
    assert sendgrid.status("POST", "/_emulator/script", {"audience": {"qqq": {}}}) == 400


def test_what_is_not_taken_comes_again_and_redirects_are_not_followed(sendgrid, hook):
    hook.answers = [500, 302, 403]
    sendgrid.call("/_emulator/clock", {"speed": 1000})
    mail(sendgrid, "a@example.com")
    hook.until(8)
    bodies = {body for _, body in hook.calls}
    assert len(bodies) == 1
    counts = json.loads(sendgrid.call("/_emulator/counts"))
    assert counts["events"] == {"delivered": 1, "processed": 1}


def test_after_a_day_an_event_is_given_up(sendgrid, hook):
    hook.answers = [500] * 1000
    sendgrid.call("/_emulator/clock", {"speed": 100_000})
    mail(sendgrid, "a@example.com")
    for _ in range(1000):
        posting = json.loads(sendgrid.call("/_emulator/counts"))["posting"]
        if posting["given_up"] == 2:
            break
        time.sleep(0.01)
    assert posting == {"waiting": 0, "posted": 0, "given_up": 2}


def test_repeats_come_with_the_same_and_with_fresh_ids(sendgrid, hook):
    sendgrid.call("/_emulator/webhook", {"duplicates": 1.0, "fresh_duplicates": 1.0, "shuffle": True})
    mail(sendgrid, "a@example.com")
    events = hook.until(6)
    assert len(events) == 6
    assert len({event["sg_event_id"] for event in events}) == 4
    lines = sendgrid.call("/_emulator/events").splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["processed", "delivered"]


def test_who_bounced_is_on_the_list_and_later_mails_are_dropped_until_taken_off(sendgrid, hook):
    sendgrid.call("/_emulator/react", {"reaction": "bounce", "address": "A@example.com", "times": 1})
    mail(sendgrid, "a@example.com")
    hook.until(2)
    (entry,) = sendgrid.account("GET", "/v3/suppression/bounces")
    assert (entry["email"], entry["status"]) == ("a@example.com", "5.1.1")
    mail(sendgrid, "a@Example.com")
    assert hook.until(3)[-1]["reason"] == "Bounced Address"
    sendgrid.account("DELETE", "/v3/suppression/bounces/a@example.com")
    mail(sendgrid, "a@example.com")
    assert hook.until(5)[-1]["event"] == "delivered"


def test_lists_come_in_pages_within_a_time(sendgrid):
    sendgrid.account(
        "POST", "/v3/asm/suppressions/global", {"recipient_emails": [f"r{n}@example.com" for n in range(7)]}
    )
    page = sendgrid.account("GET", "/v3/suppression/unsubscribes?limit=3&offset=6")
    assert len(page) == 1
    assert sendgrid.account("GET", "/v3/suppression/unsubscribes?end_time=1") == []


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("anna", ["Anna@example.com", "anna_b@qq.com"]),
        ("ANNA_", ["anna_b@qq.com"]),
        ("%25qq.com", ["anna_b@qq.com", "b@qq.com"]),
        ("example", []),
    ],
)
def test_lists_are_filtered_by_how_addresses_begin(sendgrid, asked, found):
    people = ["Anna@example.com", "anna_b@qq.com", "b@qq.com"]
    sendgrid.account("POST", "/v3/asm/suppressions/global", {"recipient_emails": people})
    page = sendgrid.account("GET", f"/v3/suppression/unsubscribes?email={asked}")
    assert [one["email"] for one in page] == found


@pytest.mark.parametrize(("reaction", "word"), [("bounce", "Bounced"), ("block", "Blocked"), ("expire", "Expired")])
def test_the_inbox_shows_what_became_of_each_mail_in_the_servers_words(sendgrid, reaction, word):
    sendgrid.call("/_emulator/react", {"reaction": reaction, "address": "a@qq.com", "reason": "550 <b>no</b>"})
    sendgrid.call("/_emulator/react", {"reaction": "complain", "address": "b@qq.com", "after": 3600})
    mail(sendgrid, "a@qq.com", "b@qq.com")
    inbox = sendgrid.call("/").decode()
    assert f"<b>{word}</b> 550 &lt;b&gt;no&lt;/b&gt;" in inbox
    assert "<b>Delivered</b>" in inbox
    assert "Complained" not in inbox
    one = sendgrid.call("/messages/1").decode()
    assert one.index("On its way") < one.index(f"<b>{word}</b> 550")
    sendgrid.call("/_emulator/react", {"reaction": "complain", "domain": "qq.com", "now": True})
    assert sendgrid.call("/").decode().count("Complained") == 1


def test_each_thing_that_happens_has_its_word_in_the_inbox(sendgrid):
    for number, reaction in enumerate(Reaction):
        sendgrid.call("/_emulator/react", {"reaction": reaction, "address": f"{number}@example.com"})
    mail(sendgrid, *(f"{number}@example.com" for number, _ in enumerate(Reaction)))
    inbox = sendgrid.call("/").decode()
    for word in ("Left the group", "Came back to the group", "Opened by a machine", "Dropped", "Put off", "Clicked"):
        assert f"<b>{word}</b>" in inbox


def test_a_key_without_a_scope_is_told_so_and_a_standing_fault_answers_everything(sendgrid):
    sendgrid.call("/_emulator/account", {"scopes": ["mail.send"]})
    assert sendgrid.status("GET", "/v3/suppression/bounces") == 403
    assert sendgrid.account("GET", "/v3/scopes") == {"scopes": ["mail.send"]}
    sendgrid.fault("401", times=None)
    assert sendgrid.status("GET", "/v3/scopes") == 401


def test_without_a_webhook_no_event_is_made(tmp_path):
    with local_sendgrid(tmp_path) as plain:
        mail(plain, "a@example.com")
        assert json.loads(plain.call("/_emulator/counts"))["events"] == {}


def test_an_oddity_that_cannot_be_read_is_refused(sendgrid):
    assert sendgrid.status("POST", "/_emulator/webhook", {"duplicates": "x"}) == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"reaction": "sing"},
        {"reaction": "bounce", "rate": 2},
        {"reaction": "bounce", "who": "a"},
        {"reaction": "bounce", "seed": "x"},
    ],
)
def test_a_reaction_that_cannot_be_read_is_refused(sendgrid, wrong):
    assert sendgrid.status("POST", "/_emulator/react", wrong) == 400


def test_the_key_is_asked_for(sendgrid):
    assert sendgrid.status("GET", "/v3/scopes", key="SG.wrong") == 401
    assert KEY != "SG.wrong"
