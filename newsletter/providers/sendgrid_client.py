"""The ``sendgrid`` client as both adapters use it, over a transport of ours.

Its traps, each measured: no time-out of its own, redirects that turn a POST into a GET, unbounded bodies, proxies taken
from the environment.
"""

import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message as HeaderBlock
from io import BytesIO
from typing import Self

from pydantic import SecretStr
from python_http_client import Client
from sendgrid import SendGridAPIClient


#: No answer to a mail is longer.
ANSWER_LIMIT = 65_536


@dataclass(frozen=True)
class SendGridAccount:
    """Where requests go, and with which key.

    Attributes:
        url: The API's address, without a path.
        timeout: Seconds for each wait on the socket.
        direct: Never use a proxy from the environment; for the local SendGrid, which only loopback may reach.
    """

    url: str
    key: SecretStr
    timeout: float
    direct: bool


def client_for(account: SendGridAccount, *, answer_limit: int = ANSWER_LIMIT) -> SendGridAPIClient:
    """Build a client for one thread; of an answer no more than the limit is read, in bytes."""
    client = SendGridAPIClient(account.key.get_secret_value(), host=account.url)
    headers = client.client.request_headers
    client.client = _BoundedClient(host=account.url, request_headers=headers, version=3, timeout=account.timeout)
    client.client.direct, client.client.answer_limit = account.direct, answer_limit
    return client


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect as the answer it is; urllib would repeat a POST as a GET and report 200."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


class _BoundedClient(Client):  # type: ignore[misc]  # the library ships no types
    """The library's client over a transport without redirects, with bounded answers, and direct where it must be."""

    direct = False
    answer_limit = ANSWER_LIMIT

    def _build_client(self, name: str | None = None) -> Self:
        child = type(self)(
            host=self.host,
            version=self._version,
            request_headers=self.request_headers,
            url_path=[*self._url_path, name] if name else self._url_path,
            timeout=self.timeout,
        )
        child.direct, child.answer_limit = self.direct, self.answer_limit
        return child

    def _make_request(self, opener: object, request: urllib.request.Request, timeout: float | None = None) -> object:  # noqa: ARG002 - the library builds an opener that follows redirects; it is not used
        ours = urllib.request.build_opener(_NoRedirect, *([urllib.request.ProxyHandler({})] if self.direct else []))
        return super()._make_request(_BoundedOpener(ours, self.answer_limit), request, timeout)


@dataclass(frozen=True)
class _BoundedOpener:
    """Opens as the opener does and hands out answers of which only the beginning is read."""

    opener: urllib.request.OpenerDirector
    limit: int

    def open(self, request: urllib.request.Request, timeout: float) -> "_BoundedAnswer":
        try:
            answer = self.opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            with error:
                body = _beginning(error.fp, self.limit)  # type: ignore[arg-type]  # it carries the answer it came with
            raise urllib.error.HTTPError(error.url, error.code, error.reason, error.hdrs, BytesIO(body)) from None
        # What is left unread, or was cut short, would keep the connection.
        with answer:
            return _BoundedAnswer(answer.status, answer.headers, _beginning(answer, self.limit))


@dataclass(frozen=True)
class _BoundedAnswer:
    """An answer in the form in which the library reads it."""

    status: int
    headers: HeaderBlock
    body: bytes

    def getcode(self) -> int:
        return self.status

    def info(self) -> HeaderBlock:
        return self.headers

    def read(self) -> bytes:
        return self.body


def _beginning(answer: http.client.HTTPResponse, limit: int) -> bytes:
    """Read an answer up to the limit.

    Raises:
        http.client.IncompleteRead: It was cut short; a bounded read does not say so by itself.
    """
    body = answer.read(limit)
    if answer.length and len(body) < limit:
        raise http.client.IncompleteRead(body, answer.length)
    return body
