"""Asking about the SendGrid account: settings, credits, domains, suppression lists. Beside the adapter that sends.

One call each, no retries: who asks decides what a failure means. Every failure is an ``AccountError`` whose sentence
says what did not work; a 403 names the scope that the key lacks.
"""

import http.client
import json
import threading
import time
import urllib.error
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient

from newsletter.errors import NewsletterError
from newsletter.providers.sendgrid_answers import asked_wait, for_people, said
from newsletter.providers.sendgrid_transport import SendGridAccount, client_for


#: A page of 500 suppressions with long reasons stays far below.
ANSWER_LIMIT = 8_000_000
#: What a key must be allowed to do for a call, by the beginning of its path (SendGrid: API Key Permissions).
SCOPES: Mapping[str, str] = MappingProxyType(
    {
        "mail/send": "mail.send",
        "user/credits": "user.credits",
        "user/webhooks/event/settings": "user.webhooks.event.settings",
        "whitelabel": "whitelabel",
        "suppression/bounces": "suppression.bounces",
        "suppression/blocks": "suppression.blocks",
        "suppression/invalid_emails": "suppression.invalid_emails",
        "suppression/spam_reports": "suppression.spam_reports",
        "suppression/unsubscribes": "suppression.unsubscribes",
        # Inferred: SendGrid's list has no scope of its own for the global list.
        "asm/suppressions/global": "suppression.unsubscribes",
    }
)
_VERBS = {"get": "read", "post": "create", "put": "update", "patch": "update", "delete": "delete"}
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class AccountError(NewsletterError):
    """A question about the SendGrid account was not answered.

    Args:
        message: What did not work.
        headers: Headers of the answer, in lower case; empty where there was none.
    """

    def __init__(self, message: str, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        self.headers = headers
        super().__init__(message)


class NotReached(AccountError):
    """No answer came: no connection, a time-out, or an answer cut short."""


class KeyRefused(AccountError):
    """SendGrid does not know the key (401)."""


class ScopeMissing(AccountError):
    """The key may not do this (403).

    Args:
        scope: The scope that it lacks, as SendGrid names it; empty where none is known.
    """

    def __init__(self, message: str, headers: Mapping[str, str] = _NO_HEADERS, *, scope: str = "") -> None:
        self.scope = scope
        super().__init__(message, headers)


class NotThere(AccountError):
    """There is nothing of this name (404)."""


class Throttled(AccountError):
    """SendGrid asks to wait (429).

    Args:
        wait_seconds: How long it asks for, where it says so.
    """

    def __init__(
        self, message: str, headers: Mapping[str, str] = _NO_HEADERS, *, wait_seconds: float | None = None
    ) -> None:
        self.wait_seconds = wait_seconds
        super().__init__(message, headers)


class UnexpectedAnswer(AccountError):
    """The answer is none that SendGrid documents."""


@dataclass(frozen=True)
class AccountAnswer:
    """What SendGrid answered.

    Attributes:
        value: The body's JSON; ``None`` where there is no body.
        headers: Names in lower case.
    """

    value: Any
    headers: Mapping[str, str]


@dataclass(frozen=True)
class AccountClient:
    """Asks SendGrid, or the local one, about the account. Safe to use from several threads."""

    account: SendGridAccount
    _of_thread: threading.local = field(default_factory=threading.local, repr=False)

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> AccountAnswer:
        """Ask for something.

        Args:
            path: Behind ``/v3/``, such as ``suppression/bounces``; what stands in it is quoted.
            params: The query.

        Raises:
            AccountError: There was no answer, or another than 2xx with JSON; see its kinds.
        """
        return self._call("get", path, query_params=dict(params or {}))

    def delete(self, path: str, body: Mapping[str, Any] | None = None) -> AccountAnswer:
        """Take something away. Addresses belong in the body where SendGrid takes them there, not in the path.

        Raises:
            AccountError: There was no answer, or another than 2xx; see its kinds.
        """
        return self._call("delete", path, request_body=dict(body) if body is not None else None)

    def _call(self, method: str, path: str, **call: Any) -> AccountAnswer:
        called = getattr(self._client().client._(quote(path.strip("/"), safe="/")), method)
        try:
            response = called(**call)
        except HTTPError as error:
            raise _refusal(method, path, error.status_code, _lowered(error.headers), error.body) from None
        except (OSError, http.client.HTTPException) as error:
            # Only the name of others: the text of some errors holds the key.
            why = str(error.reason) if isinstance(error, urllib.error.URLError) else type(error).__name__
            raise NotReached(f"SendGrid at {self.account.url} did not answer: {for_people(why.encode())}") from None
        headers = _lowered(response.headers)
        return AccountAnswer(_read(path, response.body, headers), headers)

    def _client(self) -> SendGridAPIClient:
        if not hasattr(self._of_thread, "client"):
            self._of_thread.client = client_for(self.account, ANSWER_LIMIT)
        return self._of_thread.client


def scope_of(method: str, path: str) -> str:
    """Name the scope that a call needs, or nothing where none is known."""
    for beginning, scope in SCOPES.items():
        if path.strip("/").startswith(beginning):
            return scope if scope == "mail.send" else f"{scope}.{_VERBS[method]}"
    return ""


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """Read when an answer was written, by the clock of who wrote it."""
    try:
        date = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _read(path: str, body: bytes, headers: Mapping[str, str]) -> Any:
    if not body.strip():
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        begins = for_people(body)[:80]
        raise UnexpectedAnswer(f"SendGrid's answer to {_masked(path)} is no JSON: {begins}", headers) from None


def _masked(path: str) -> str:
    """Give a path without the address that stands in some (DESIGN §4.9)."""
    return "/".join("[address]" if "@" in part else part for part in path.split("/"))


def _refusal(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> AccountError:
    detail, scope, path = said(body), scope_of(method, path), _masked(path)
    match status:
        case 401:
            return KeyRefused(f"SendGrid does not accept the key: {detail}", headers)
        case 403:
            lacks = f"it needs the scope {scope}" if scope else detail
            return ScopeMissing(f"the key may not {method} {path}: {lacks}", headers, scope=scope)
        case 404:
            return NotThere(f"SendGrid has nothing at {path}: {detail}", headers)
        case 429:
            wait = asked_wait(headers, time.time())
            return Throttled(f"SendGrid asks to wait before {path} is asked again", headers, wait_seconds=wait)
        case _:
            return UnexpectedAnswer(f"SendGrid answered {path} with {status}: {detail}", headers)
