"""The SendGrid adapter: one request over the ``sendgrid`` client, and how the call to it ended.

The client has traps, each measured: no time-out of its own, redirects that turn a POST into a GET, unbounded bodies,
proxies taken from the environment, one header dictionary shared by all calls. Hence a transport of ours under it, and
a client for each thread.
"""

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message as HeaderBlock
from io import BytesIO
from typing import Any, Self

from pydantic import SecretStr
from python_http_client import Client
from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient

from newsletter.providers.base import CallEnd, Ending, Message, Recipient
from newsletter.providers.sendgrid_answers import Answer, classify, for_people


#: SendGrid refuses 30 MB, and an early 413 can look like a reset: stay well below, and split before calling.
REQUEST_LIMIT = 20_000_000
#: Nothing that SendGrid answers is longer; more is not read.
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


@dataclass
class SendGridProvider:
    """Submits requests to SendGrid or to the local one."""

    account: SendGridAccount
    _of_thread: threading.local = field(default_factory=threading.local)

    @property
    def name(self) -> str:
        """The provider's name, for people."""
        return f"SendGrid at {self.account.url}"

    def submit(self, message: Message) -> CallEnd:
        """Make one call and tell how it ended; anything but a 202 is not accepted."""
        body = request_body(message)
        size = len(json.dumps(body))
        if size > REQUEST_LIMIT:
            return CallEnd(Ending.too_large, detail=f"{size:,} bytes: over our own limit of {REQUEST_LIMIT:,}")
        try:
            response = self._client().client.mail.send.post(request_body=body)
        except HTTPError as error:
            return _classified(error.status_code, error.headers, error.body)
        except urllib.error.URLError as error:
            return CallEnd(Ending.never_left, detail=for_people(f"not reached: {error.reason}".encode()))
        except http.client.InvalidURL:
            # Raised before a connection is made.
            return CallEnd(Ending.never_left, detail="NEWSLETTER_SENDGRID_URL is no address that can be called")
        except Exception as error:  # noqa: BLE001 - whatever it is, the request may have been accepted
            # Only the name: the text of some errors holds the key.
            return CallEnd(Ending.ambiguous, detail=f"no certain answer: {type(error).__name__}")
        return _classified(response.status_code, response.headers, response.body)

    def _client(self) -> SendGridAPIClient:
        if not hasattr(self._of_thread, "client"):
            self._of_thread.client = _client(self.account)
        return self._of_thread.client


def request_body(message: Message) -> dict[str, Any]:
    """Write a request as SendGrid documents it; what would change the mail is off unless the message asks for it."""
    return {
        "from": {"email": message.sender, "name": message.sender_name},
        "reply_to": {"email": message.reply_to},
        "subject": message.subject,
        "content": [{"type": "text/plain", "value": message.text}, {"type": "text/html", "value": message.html}],
        "personalizations": [_personalization(recipient) for recipient in message.recipients],
        **({"headers": dict(message.headers)} if message.headers else {}),
        "tracking_settings": {
            # Else SendGrid puts its own unsubscribe headers and footer beside ours.
            "subscription_tracking": {"enable": False},
            # In the text part every link would become one that nobody can read.
            "click_tracking": {"enable": message.track_clicks, "enable_text": False},
            "open_tracking": {"enable": message.track_opens},
        },
    }


def _personalization(recipient: Recipient) -> dict[str, Any]:
    to = {"email": recipient.address, **({"name": recipient.name} if recipient.name else {})}
    return {
        "to": [to],
        "headers": dict(recipient.headers),
        "substitutions": dict(recipient.substitutions),
        "custom_args": dict(recipient.custom_args),
    }


def _classified(status: int, headers: Mapping[str, str], body: bytes) -> CallEnd:
    lowered = {name.lower(): value for name, value in headers.items()}
    return classify(Answer(status, lowered, body), now=time.time())


def _client(account: SendGridAccount) -> SendGridAPIClient:
    client = SendGridAPIClient(account.key.get_secret_value(), host=account.url)
    headers = client.client.request_headers
    client.client = _BoundedClient(host=account.url, request_headers=headers, version=3, timeout=account.timeout)
    client.client.direct = account.direct
    return client


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect as the answer it is; urllib would repeat a POST as a GET and report 200."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


class _BoundedClient(Client):  # type: ignore[misc]  # the library ships no types
    """The library's client over a transport without redirects, with bounded answers, and direct where it must be."""

    direct = False

    def _build_client(self, name: str | None = None) -> Self:
        child = type(self)(
            host=self.host,
            version=self._version,
            request_headers=self.request_headers,
            url_path=[*self._url_path, name] if name else self._url_path,
            timeout=self.timeout,
        )
        child.direct = self.direct
        return child

    def _make_request(self, opener: object, request: urllib.request.Request, timeout: float | None = None) -> object:  # noqa: ARG002 - the library builds an opener that follows redirects; it is not used
        ours = urllib.request.build_opener(_NoRedirect, *([urllib.request.ProxyHandler({})] if self.direct else []))
        return super()._make_request(_BoundedOpener(ours), request, timeout)


@dataclass(frozen=True)
class _BoundedOpener:
    """Opens as the opener does and hands out answers of which only the beginning is read."""

    opener: urllib.request.OpenerDirector

    def open(self, request: urllib.request.Request, timeout: float) -> "_BoundedAnswer":
        try:
            answer = self.opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            body = _beginning(error.fp)  # type: ignore[arg-type]  # an HTTP error carries the answer it came with
            raise urllib.error.HTTPError(error.url, error.code, error.reason, error.hdrs, BytesIO(body)) from None
        return _BoundedAnswer(answer.status, answer.headers, _beginning(answer))


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


def _beginning(answer: http.client.HTTPResponse) -> bytes:
    """Read an answer up to the limit.

    Raises:
        http.client.IncompleteRead: It was cut short; a bounded read does not say so by itself.
    """
    body = answer.read(ANSWER_LIMIT)
    if answer.length and len(body) < ANSWER_LIMIT:
        raise http.client.IncompleteRead(body, answer.length)
    return body
