"""SendGrid's account: its lists of held addresses and its settings, over the same client as sending.

Every refusal is a sentence that names what is missing. Used by the feedback worker, which keeps the lists level.
"""

import http.client
import urllib.error
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson
from python_http_client.exceptions import HTTPError

from newsletter.errors import NewsletterError
from newsletter.providers.sendgrid_client import SendGridAccount, client_for


#: A page of a list has 500 entries of some hundred bytes each.
PAGE_LIMIT = 4_000_000


class AccountRefused(NewsletterError):
    """SendGrid refused a request about the account, or could not be reached.

    Args:
        status: The HTTP status; nothing where no answer came.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


@dataclass(frozen=True)
class AccountAPI:
    """Asks about the account. A call builds its own client, so that threads share nothing."""

    account: SendGridAccount

    def get(self, *path: str, scope: str = "", **query: object) -> Any:
        """Read something; ``scope`` is what the key needs for it.

        Raises:
            AccountRefused: It was refused, or SendGrid was not reached.
        """
        return self._call("get", path, scope, query_params=query)

    def patch(self, *path: str, body: dict[str, object], scope: str = "") -> Any:
        """Change something.

        Raises:
            AccountRefused: It was refused, or SendGrid was not reached.
        """
        return self._call("patch", path, scope, request_body=body)

    def delete(self, *path: str, scope: str = "") -> None:
        """Take something away.

        Raises:
            AccountRefused: It was refused, or SendGrid was not reached.
        """
        self._call("delete", path, scope)

    def _call(self, method: str, path: tuple[str, ...], scope: str, **said: Any) -> Any:
        client = client_for(self.account, answer_limit=PAGE_LIMIT).client
        for part in path:
            client = client._(quote(part, safe=""))
        try:
            answer = getattr(client, method)(**said)
        except HTTPError as error:
            raise AccountRefused(_why(error.status_code, scope), error.status_code) from None
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            raise AccountRefused(f"SendGrid was not reached: {type(error).__name__}") from None
        if not 200 <= answer.status_code < 300:  # noqa: PLR2004 - any 2xx
            raise AccountRefused(_why(answer.status_code, scope), answer.status_code)
        try:
            return orjson.loads(answer.body) if answer.body else None
        except orjson.JSONDecodeError:
            raise AccountRefused("SendGrid's answer cannot be read: it is no JSON", answer.status_code) from None


def _why(status: int, scope: str) -> str:
    match status:
        case 401:
            return "SendGrid does not accept the key: set SENDGRID_API_KEY to a key that is in use"
        case 403:
            needed = f"the scope {scope}" if scope else "a scope"
            return f"the key lacks {needed}: give it that in SendGrid under Settings, API Keys"
        case 429:
            return "SendGrid asks for a pause: too many requests; try again in a minute"
        case _:
            return f"SendGrid answered {status}"
