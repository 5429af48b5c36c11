"""Questions about the SendGrid account over real HTTP: what comes back, and what each failure says."""

import socket

import pytest
from pydantic import SecretStr

from newsletter.providers.sendgrid_account import AccountAPI, AccountRefused, date_of
from newsletter.providers.sendgrid_client import SendGridAccount
from tests.scripted_server import scripted_server


KEY = "SG.the-key-of-the-test"


@pytest.fixture
def sendgrid():
    with scripted_server() as server:
        yield server


def api(url: str) -> AccountAPI:
    return AccountAPI(SendGridAccount(url, SecretStr(KEY), 5.0, direct=True))


def test_a_page_comes_back_whole_with_its_headers(sendgrid):
    rows = [{"email": f"r{n}@example.com", "reason": "x" * 400, "created": n} for n in range(500)]
    sendgrid.on("/v3/suppression/bounces", rows, Link="next")
    answer = api(sendgrid.url).ask("suppression", "bounces", limit=500, offset=0)
    assert answer.value == rows
    assert answer.headers["link"] == "next"
    assert date_of(answer.headers) is not None
    method, path, headers, _ = sendgrid.asked[0]
    assert (method, path) == ("GET", "/v3/suppression/bounces?limit=500&offset=0")
    assert headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, {"errors": [{"message": "authorization grant is invalid"}]}, "does not accept the key"),
        (403, {"errors": [{"message": "access forbidden"}]}, "lacks the scope some.scope.read"),
        (404, {"errors": [{"message": "not found"}]}, "404: not found"),
        (429, {"errors": [{"message": "too many requests"}]}, "pause"),
        (500, {"errors": [{"message": "no a@example.com here"}]}, r"500: no \[address\] here"),
        (302, None, "302"),
        (413, b"<html>413</html>", "413"),
        (200, b"<html>a proxy's page</html>", "no JSON"),
        (200, b"[" * 100_000, "no JSON"),
    ],
)
def test_each_failure_has_its_sentence_and_never_shows_the_key(sendgrid, status, body, said):
    sendgrid.on("/v3/scopes", body, status, Location="/elsewhere")
    with pytest.raises(AccountRefused, match=said) as caught:
        api(sendgrid.url).get("scopes", scope="some.scope.read")
    assert caught.value.status == status
    assert date_of(caught.value.headers) is not None
    assert KEY not in str(caught.value)
    # A redirect is not followed.
    assert len(sendgrid.asked) == 1


def test_nobody_there_is_not_reached():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(AccountRefused, match=f"not reached at http://127.0.0.1:{port}: .*refused") as caught:
        api(f"http://127.0.0.1:{port}").get("scopes")
    assert caught.value.status is None


def test_a_cut_answer_is_not_reached(sendgrid):
    sendgrid.on("/v3/scopes", b'{"scopes": []}', Content_Length="9999", Connection="close")
    with pytest.raises(AccountRefused) as caught:
        api(sendgrid.url).get("scopes")
    assert caught.value.status is None


@pytest.mark.parametrize("header", ["", "yesterday", "Mon, 99 Nov 2026 01:00:00 GMT"])
def test_a_date_that_is_none_is_none(header):
    assert date_of({"date": header}) is None
