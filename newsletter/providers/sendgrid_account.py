"""SendGrid's account: its lists of held addresses and its settings, over the same client as sending.

Every refusal is a sentence that names what is missing. Used by the feedback worker, which keeps the lists level, and by
the doctor.
"""

import http.client
import urllib.error
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import orjson
from python_http_client.exceptions import HTTPError

from newsletter.errors import NewsletterError
from newsletter.providers.sendgrid_answers import for_people, said
from newsletter.providers.sendgrid_client import SendGridAccount, client_for


#: A page of a list has 500 entries of some hundred bytes each.
PAGE_LIMIT = 4_000_000


class AccountRefused(NewsletterError):
    """SendGrid refused a request about the account, or could not be reached.

    Args:
        status: The HTTP status; nothing where no answer came.
        headers: Headers of the answer, in lower case.
    """

    def __init__(self, message: str, status: int | None = None, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.headers = headers or {}
        super().__init__(message)


@dataclass(frozen=True)
class AccountAnswer:
    """What SendGrid answered: the body's JSON, ``None`` where there is no body, and headers in lower case."""

    value: Any
    headers: Mapping[str, str]


@dataclass(frozen=True)
class AccountAPI:
    """Asks about the account. A call builds its own client, so that threads share nothing."""

    account: SendGridAccount

    def get(self, *path: str, scope: str = "", **query: object) -> Any:
        """Read something; ``scope`` is what the key needs for it.

        Raises:
            AccountRefused: It was refused, or SendGrid was not reached.
        """
        return self.ask(*path, scope=scope, **query).value

    def ask(self, *path: str, scope: str = "", **query: object) -> AccountAnswer:
        """Read something, with the headers that it came with.

        Raises:
            AccountRefused: It was refused, or SendGrid was not reached.
        """
        return self._call("get", path, scope, query_params=query)

    def patch(self, *path: str, body: dict[str, object], scope: str = "") -> Any:
        """Change something.

        Raises:
            AccountRefused: It was refused, or SendGrid was not reached.
        """
        return self._call("patch", path, scope, request_body=body).value

    def delete(self, *path: str, scope: str = "") -> None:
        """Take something away.

        Raises:
            AccountRefused: It was refused, or SendGrid was not reached.
        """
        self._call("delete", path, scope)

    def _call(self, method: str, path: tuple[str, ...], scope: str, **told: Any) -> AccountAnswer:
        client = client_for(self.account, answer_limit=PAGE_LIMIT).client
        for part in path:
            client = client._(quote(part, safe=""))
        try:
            answer = getattr(client, method)(**told)
        except HTTPError as error:
            why = _why(error.status_code, scope, error.body)
            raise AccountRefused(why, error.status_code, _lowered(error.headers)) from None
        except (http.client.HTTPException, OSError) as error:
            # Of most only the name: the text of some errors holds the key.
            why = for_people(str(error.reason).encode()) if isinstance(error, urllib.error.URLError) else ""
            raise AccountRefused(
                f"SendGrid was not reached at {self.account.url}: {why or type(error).__name__}"
            ) from None
        headers = _lowered(answer.headers)
        if not 200 <= answer.status_code < 300:  # noqa: PLR2004 - any 2xx
            raise AccountRefused(_why(answer.status_code, scope, answer.body), answer.status_code, headers)
        try:
            return AccountAnswer(orjson.loads(answer.body) if answer.body else None, headers)
        except orjson.JSONDecodeError:
            why = "SendGrid's answer cannot be read: it is no JSON"
            raise AccountRefused(why, answer.status_code, headers) from None


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """Read when an answer was written, by the clock of who wrote it."""
    try:
        date = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _why(status: int, scope: str, body: bytes) -> str:
    match status:
        case 401:
            return "SendGrid does not accept the key: set SENDGRID_API_KEY to a key that is in use"
        case 403:
            needed = f"the scope {scope}" if scope else "a scope"
            return f"the key lacks {needed}: give it that in SendGrid under Settings, API Keys"
        case 429:
            return "SendGrid asks for a pause: too many requests; try again in a minute"
        case _:
            return f"SendGrid answered {status}: {said(body)}"
