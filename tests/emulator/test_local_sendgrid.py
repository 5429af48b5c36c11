"""The local SendGrid behaves like the real one where it matters, with the real client and over plain HTTP."""

import http.client
import json
import logging.handlers
import re
import socket
import urllib.error
import urllib.request
from contextlib import closing
from email import message_from_bytes
from email.policy import default

import pytest
from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient

from newsletter.emulator.app import EmulatorSettings
from newsletter.emulator.errors import EmulatorError
from newsletter.emulator.record import Record
from newsletter.emulator.serving import running
from tests.local_sendgrid import KEY, TEMPLATES, local_sendgrid


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    with local_sendgrid(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture
def emulator(started):
    """Give an emulator with an empty record and no faults: starting one takes longer than the test."""
    started.mend()
    started.call("/_emulator/deliveries", method="DELETE")
    return started


def client(emulator, key=KEY):
    made = SendGridAPIClient(key, host=emulator.url)
    made.client.timeout = 5
    return made


def request_body(**changes):
    body = {
        "from": {"email": "weekly@news.example.com", "name": "周刊"},
        "reply_to": {"email": "-who-@news.example.com"},
        "subject": "你好 -who-",
        "content": [{"type": "text/plain", "value": "-who-：text"}, {"type": "text/html", "value": "<p>-who-</p>"}],
        "personalizations": [person("a@example.com"), person("b@example.com")],
        "headers": {"X-Shared": "-who-", "X-Both": "shared"},
        "custom_args": {"shared": "-who-", "both": "shared"},
    }
    return {**body, **changes}


def person(address, **changes):
    return {
        "to": [{"email": address, "name": "甲"}],
        "headers": {"List-Unsubscribe": "<https://n.example.com/u/" + "x" * 60 + ">", "X-Both": "own"},
        "substitutions": {"-who-": "editor"},
        "custom_args": {"delivery": address[0], "both": "own"},
        **changes,
    }


def refusal(emulator, body):
    with pytest.raises(HTTPError) as refused:
        client(emulator).client.mail.send.post(request_body=body)
    return refused.value.status_code, refused.value.to_dict["errors"] if refused.value.body else []


def test_a_request_is_taken_with_an_empty_answer_and_an_id(emulator):
    answer = client(emulator).client.mail.send.post(request_body=request_body())
    assert (answer.status_code, answer.body) == (202, b"")
    assert len(answer.headers["X-Message-Id"]) == 22
    assert answer.headers["Server"] == "nginx"
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_substitutions_are_made_in_subject_reply_to_and_content_only(emulator):
    client(emulator).client.mail.send.post(request_body=request_body())
    one, other = emulator.deliveries()
    assert (one["to"], other["to"]) == ("a@example.com", "b@example.com")
    assert one["subject"] == "你好 editor"
    assert one["reply_to"] == "editor@news.example.com"
    assert (one["text"], one["html"]) == ("editor：text", "<p>editor</p>")
    assert one["headers"]["X-Shared"] == "-who-"
    assert one["custom_args"] == {"shared": "-who-", "delivery": "a", "both": "own"}
    assert one["headers"]["X-Both"] == "own"


def test_a_wrong_key_gets_401_and_nothing_is_taken(emulator):
    with pytest.raises(HTTPError) as refused:
        client(emulator, "SG.wrong").client.mail.send.post(request_body=request_body())
    assert refused.value.status_code == 401
    assert refused.value.to_dict["errors"][0]["field"] is None
    assert emulator.deliveries() == []


def many(count):
    return [person(f"r{number}@example.com") for number in range(count)]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"from": None}, "from.email"),
        ({"from": {"email": "no address"}}, "from.email"),
        ({"reply_to": {"name": "x"}}, "reply_to.email"),
        ({"reply_to_list": []}, "reply_to_list"),
        ({"subject": None}, "subject"),
        ({"subject": ""}, "subject"),
        ({"content": None}, "content"),
        ({"content": []}, "content"),
        ({"content": [{"type": "text/html", "value": ""}]}, "content.0.value"),
        ({"content": [{"type": "text/html", "value": "x"}, {"type": "text/plain", "value": "x"}]}, "content"),
        ({"personalizations": []}, "personalizations"),
        ({"personalizations": many(1001)}, "personalizations"),
        ({"personalizations": [{"to": []}]}, "personalizations.0.to"),
        ({"personalizations": [person("a@example.com"), person("nobody")]}, "personalizations.1.to.0.email"),
        ({"personalizations": [person("a@example.com"), person("A@Example.com")]}, "personalizations.1"),
        ({"personalizations": [person("é@example.com")]}, "personalizations.0.to.0.email"),
        ({"headers": {"Subject": "x"}}, "headers.Subject"),
        ({"headers": {"DKIM-Signature": "x"}}, "headers.DKIM-Signature"),
        ({"headers": {"X Y": "x"}}, "headers.X Y"),
        ({"headers": {"X-Number": 1}}, "headers.X-Number"),
        (
            {"personalizations": [person("a@example.com", headers={"Received": "x"})]},
            "personalizations.0.headers.Received",
        ),
        ({"custom_args": {"number": 1}}, None),
        ({"personalizations": [person("a@example.com", substitutions={"-a-": 1})]}, None),
        (
            {"personalizations": [person("a@example.com", substitutions={"-a-": "x" * 10_000})]},
            "personalizations.0.substitutions",
        ),
        (
            {"personalizations": [person("a@example.com", substitutions={f"-{n}-": "" for n in range(151)})]},
            "personalizations.0.substitutions",
        ),
        ({"custom_args": {"a": "x" * 10_000}}, "personalizations.0.custom_args"),
        ({"categories": [str(number) for number in range(11)]}, "categories"),
        ({"categories": ["周刊"]}, "categories.0"),
    ],
)
def test_what_sendgrid_refuses_is_refused_whole_with_its_field(emulator, changes, field):
    status, errors = refusal(emulator, request_body(**changes))
    assert status == 400
    assert field in [error["field"] for error in errors]
    assert all(set(error) == {"message", "field", "help"} for error in errors)
    assert emulator.deliveries("to") == []


def test_several_problems_are_told_at_once(emulator):
    broken = request_body(personalizations=[person("a"), person("b"), person("c@example.com")], subject="")
    _, errors = refusal(emulator, broken)
    fields = {error["field"] for error in errors}
    assert {"personalizations.0.to.0.email", "personalizations.1.to.0.email", "subject"} <= fields


def test_sandbox_mode_answers_200_and_delivers_nothing(emulator):
    body = request_body(mail_settings={"sandbox_mode": {"enable": True}})
    assert client(emulator).client.mail.send.post(request_body=body).status_code == 200
    assert emulator.deliveries() == []


def plain_post(emulator, data, **headers):
    with closing(http.client.HTTPConnection(emulator.url.removeprefix("http://"), timeout=10)) as connection:
        connection.request("POST", "/v3/mail/send", data, {"Authorization": f"Bearer {KEY}", **headers})
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_a_request_over_30_mb_gets_the_gateways_413(emulator):
    status, body = plain_post(emulator, b"x" * 30_000_001, **{"Content-Type": "application/json"})
    assert status == 413
    assert b"<html>" in body


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [(b"{", "application/json", 400), (b"[]", "application/json", 400), (b"{}", "text/plain", 415)],
)
def test_what_is_no_request_is_refused(emulator, data, kind, status):
    assert plain_post(emulator, data, **{"Content-Type": kind})[0] == status


def test_a_client_that_dies_in_the_middle_of_its_request_is_no_fault(emulator):
    told = logging.handlers.BufferingHandler(100)
    logging.getLogger("uvicorn.error").addHandler(told)
    host, _, port = emulator.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as dying:
        dying.sendall(b"POST /v3/mail/send HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n{")
    assert json.loads(emulator.call("/_emulator/counts"))
    logging.getLogger("uvicorn.error").removeHandler(told)
    assert [one.getMessage() for one in told.buffer] == []


def test_the_record_outlives_the_emulator(tmp_path):
    for expected in (2, 4):
        with local_sendgrid(tmp_path) as emulator:
            client(emulator).client.mail.send.post(request_body=request_body())
            assert len(emulator.deliveries("to")) == expected
            assert json.loads(emulator.call("/_emulator/counts"))["addresses_with_several"] == (
                2 if expected == 4 else 0
            )


def test_an_address_is_forgotten_to_the_last_byte_while_the_record_is_served(tmp_path):
    address = "Anna.Smith@example.com"
    people = [person("b@example.com"), person(address)]
    with local_sendgrid(tmp_path) as emulator, closing(Record(tmp_path)) as record:
        client(emulator).client.mail.send.post(request_body=request_body(personalizations=people))
        client(emulator).client.mail.send.post(request_body=request_body(personalizations=[person(address)]))
        assert address.encode() in bytes_of(tmp_path)
        assert record.forget(address.upper()) == 2
        assert address.lower().encode() not in bytes_of(tmp_path).lower()
        assert emulator.reached() == ["b@example.com"]
        assert json.loads(emulator.call("/_emulator/counts"))["requests"] == 1
        assert record.forget(address) == 0
        client(emulator).client.mail.send.post(request_body=request_body())
        assert len(emulator.reached()) == 3


def bytes_of(folder):
    return b"".join(path.read_bytes() for path in folder.glob("record.db*"))


def test_null_mode_keeps_ids_and_counts_only(tmp_path):
    settings = EmulatorSettings(tmp_path, TEMPLATES, KEY, null=True)
    with running(settings) as url, local_sendgrid(tmp_path / "other") as other:
        emulator = type(other)(url)
        client(emulator).client.mail.send.post(request_body=request_body())
        one = emulator.deliveries()[0]
        assert one["custom_args"]["delivery"] == "a"
        assert (one["to"], one["html"]) == ("", "")
        assert json.loads(emulator.call("/_emulator/counts"))["deliveries"] == 2


def test_a_port_in_use_is_named(emulator, tmp_path):
    port = int(emulator.url.rsplit(":", 1)[1])
    with pytest.raises(EmulatorError, match=str(port)), running(EmulatorSettings(tmp_path / "x", TEMPLATES, KEY), port):
        pass


def test_a_fault_hits_as_often_as_it_was_told_and_then_all_is_well(emulator):
    emulator.fault("503", times=2, after=1)
    codes = []
    for _ in range(4):
        try:
            codes.append(client(emulator).client.mail.send.post(request_body=request_body()).status_code)
        except HTTPError as error:
            codes.append(error.status_code)
    assert codes == [202, 503, 503, 202]
    assert json.loads(emulator.call("/_emulator/faults")) == []


def test_a_429_says_when_the_limit_is_reset_where_it_was_told_so(emulator):
    emulator.fault("429", reset=30)
    with pytest.raises(HTTPError) as refused:
        client(emulator).client.mail.send.post(request_body=request_body())
    assert int(refused.value.headers["X-RateLimit-Reset"]) > 0


def test_an_unknown_fault_is_refused_with_the_known_ones(emulator):
    with pytest.raises(urllib.error.HTTPError) as refused:
        emulator.fault("explode")
    assert refused.value.code == 400
    with refused.value:
        assert b"accept-then-hang" in refused.value.read()


def page(emulator, path, language="en"):
    request = urllib.request.Request(emulator.url + path, headers={"Accept-Language": language})  # noqa: S310 - loopback
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - the same
        return answer.headers, answer.read().decode()


def test_the_inbox_lists_finds_and_shows(emulator):
    assert "No mail yet" in page(emulator, "/")[1]
    client(emulator).client.mail.send.post(request_body=request_body())
    headers, inbox = page(emulator, "/")
    assert inbox.index("b@example.com") < inbox.index("a@example.com")
    assert "script" not in headers["Content-Security-Policy"]
    assert "a@example.com" not in page(emulator, "/?q=b%40example")[1].replace('value="b@example"', "")
    assert "No mail has this" in page(emulator, "/?q=100%25")[1]
    assert "本地 SendGrid" in page(emulator, "/", "zh-CN")[1]
    for view in ("phone", "desktop", "text", "headers", "raw"):
        assert "你好 editor" in page(emulator, f"/messages/1?view={view}")[1]
    assert "sandbox" in page(emulator, "/messages/1/html")[0]["Content-Security-Policy"]


def test_the_raw_mail_has_whole_headers_text_first(emulator):
    """A long List-Unsubscribe that Python encodes kills one-click."""
    client(emulator).client.mail.send.post(request_body=request_body())
    raw = emulator.call("/messages/1/raw")
    assert b"List-Unsubscribe: <https://n.example.com/u/" + b"x" * 60 + b">\r\n" in raw
    mail = message_from_bytes(raw, policy=default)
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert mail["Subject"] == "你好 editor"


def test_the_raw_mail_keeps_to_the_lengths_that_mail_programs_read(emulator):
    """RFC 2047 §2: an encoded word of 75 characters at most; RFC 2045 §6.7: lines of 76."""
    long = "硅谷关键动向周报：AI推理成本突破、能源基建加速、Web3支付合规化" * 3
    client(emulator).client.mail.send.post(request_body=request_body(subject=long))
    raw = emulator.call("/messages/1/raw")
    assert max(map(len, re.findall(rb"=\?utf-8\?\S+", raw))) <= 75
    lines = [line for line in raw.split(b"\r\n") if not line.startswith(b"List-")]
    assert max(map(len, lines)) <= 78
    assert message_from_bytes(raw, policy=default)["Subject"] == long


def test_a_hostile_mail_is_shown_as_text_in_our_pages(emulator):
    body = request_body(subject="<script>alert(1)</script>")
    client(emulator).client.mail.send.post(request_body=body)
    assert "<script>" not in page(emulator, "/")[1]
    assert "<script>" not in page(emulator, "/messages/1")[1]
