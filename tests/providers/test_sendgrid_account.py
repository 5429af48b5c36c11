"""Questions about the SendGrid account over real HTTP: what comes back, and what each failure says."""

import socket

import pytest
from pydantic import SecretStr

from newsletter.providers.sendgrid_account import (
    AccountClient,
    KeyRefused,
    NotReached,
    NotThere,
    ScopeMissing,
    Throttled,
    UnexpectedAnswer,
    date_of,
)
from newsletter.providers.sendgrid_transport import SendGridAccount
from tests.scripted_server import scripted_server


KEY = "SG.the-key-of-the-test"


@pytest.fixture
def sendgrid():
    with scripted_server() as server:
        yield server


def client(url: str) -> AccountClient:
    return AccountClient(SendGridAccount(url, SecretStr(KEY), 5.0, direct=True))


def test_a_page_comes_back_whole_with_its_headers(sendgrid):
    rows = [{"email": f"r{n}@example.com", "reason": "x" * 400, "created": n} for n in range(500)]
    sendgrid.on("/v3/suppression/bounces", rows, Link="next")
    answer = client(sendgrid.url).get("suppression/bounces", {"limit": 500, "offset": 0})
    assert answer.value == rows
    assert answer.headers["link"] == "next"
    assert date_of(answer.headers) is not None
    method, path, headers, _ = sendgrid.asked[0]
    assert (method, path) == ("GET", "/v3/suppression/bounces?limit=500&offset=0")
    assert headers["Authorization"] == f"Bearer {KEY}"


def test_addresses_are_deleted_by_the_body_and_an_empty_answer_is_fine(sendgrid):
    sendgrid.on("/v3/suppression/bounces", status=204, method="DELETE")
    ours = client(sendgrid.url)
    assert ours.delete("suppression/bounces", {"emails": ["a@example.com"]}).value is None
    assert sendgrid.asked[0][3] == b'{"emails": ["a@example.com"]}'
    sendgrid.on("/v3/asm/suppressions/global/a%2Bb%40example.com", status=204, method="DELETE")
    ours.delete("asm/suppressions/global/a+b@example.com")


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("suppression/bounces", "suppression.bounces.read"),
        ("user/webhooks/event/settings/signed", "user.webhooks.event.settings.read"),
        ("whitelabel/domains", "whitelabel.read"),
        ("stats", ""),
    ],
)
def test_a_403_names_the_scope_that_the_key_lacks(sendgrid, path, scope):
    sendgrid.otherwise = type(sendgrid.otherwise)({"errors": [{"message": "access forbidden"}]}, 403)
    with pytest.raises(ScopeMissing, match=scope or "access forbidden") as caught:
        client(sendgrid.url).get(path)
    assert caught.value.scope == scope


def test_a_delete_needs_a_scope_of_its_own_and_its_error_holds_no_address(sendgrid):
    sendgrid.otherwise = type(sendgrid.otherwise)({"errors": [{"message": "access forbidden"}]}, 403)
    with pytest.raises(ScopeMissing) as caught:
        client(sendgrid.url).delete("asm/suppressions/global/a@example.com")
    assert caught.value.scope == "suppression.unsubscribes.delete"
    assert "a@" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"errors": [{"message": "The provided authorization grant is invalid"}]}, KeyRefused),
        (404, {"errors": [{"message": "not found"}]}, NotThere),
        (429, {"errors": [{"message": "too many requests"}]}, Throttled),
        (500, {}, UnexpectedAnswer),
        (302, None, UnexpectedAnswer),
        (413, b"<html>413</html>", UnexpectedAnswer),
        (200, b"<html>a proxy's page</html>", UnexpectedAnswer),
        (200, b"[" * 100_000, UnexpectedAnswer),
    ],
)
def test_each_failure_has_its_kind_and_never_shows_the_key(sendgrid, status, body, kind):
    sendgrid.on("/v3/scopes", body, status, Location="/elsewhere")
    with pytest.raises(kind) as caught:
        client(sendgrid.url).get("scopes")
    assert KEY not in str(caught.value)
    # A redirect is not followed.
    assert len(sendgrid.asked) == 1


def test_a_throttled_call_says_how_long_to_wait(sendgrid):
    sendgrid.on("/v3/suppression/blocks", {"errors": []}, 429, Retry_After="7")
    with pytest.raises(Throttled) as caught:
        client(sendgrid.url).get("suppression/blocks")
    assert caught.value.wait_seconds == 7


def test_nobody_there_is_not_reached():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(NotReached, match=f"127.0.0.1:{port} did not answer"):
        client(f"http://127.0.0.1:{port}").get("scopes")


def test_a_cut_answer_is_not_reached(sendgrid):
    sendgrid.on("/v3/scopes", b'{"scopes"', Content_Length="9999")
    with pytest.raises((NotReached, UnexpectedAnswer)):
        client(sendgrid.url).get("scopes")
