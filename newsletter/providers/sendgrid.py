"""The SendGrid adapter: one request over the ``sendgrid`` client, and how the call to it ended.

The client and its traps are in ``sendgrid_client``; it shares one dictionary of headers among all calls, hence a client
for each thread.
"""

import http.client
import json
import threading
import time
import urllib.error
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient

from newsletter.providers.base import CallEnd, Ending, Message, Recipient
from newsletter.providers.sendgrid_answers import Answer, classify, for_people
from newsletter.providers.sendgrid_client import SendGridAccount, client_for


#: SendGrid refuses 30 MB, and an early 413 can look like a reset: stay well below, and split before calling.
REQUEST_LIMIT = 20_000_000


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
            self._of_thread.client = client_for(self.account)
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
