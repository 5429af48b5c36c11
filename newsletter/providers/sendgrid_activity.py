"""SendGrid's record of messages (Email Activity): whether it has any of a request of ours. For ``delivery.looking_up``.

`GET /v3/messages` is a paid add-on with six calls a minute (SendGrid's changelog, December 2025); it is filled late,
kept 3 to 30 days, and shows nothing of subusers in the EU. So what it has proves, and what it lacks proves nothing.
That a query can name a custom argument is reported by users (sendgrid-php#909), and documented only in passing.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from newsletter.providers.sendgrid_account import AccountAPI, AccountRefused


#: What an API key needs for it.
SCOPE = "email_activity.read"
_NOT_OURS = frozenset(
    {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.PAYMENT_REQUIRED}
)


class Finding(StrEnum):
    """What the record said of a request."""

    found = "found"
    #: It proves nothing: the record is late, and documented nowhere as complete.
    not_found = "not_found"
    #: It could not be asked now.
    cannot_know = "cannot_know"
    #: The account has no such record.
    no_record = "no_record"


@dataclass(frozen=True)
class LookedUp:
    """What the record said of a request, and that in words."""

    finding: Finding
    said: str = ""


def look_up(api: AccountAPI, attempt_id: str) -> LookedUp:
    """Ask whether the record has a message of the request with this id among its custom arguments. One call.

    Raises:
        ValueError: That is no id of an attempt.
    """
    if not re.fullmatch(r"[\w-]{1,64}", attempt_id):
        raise ValueError("no id of an attempt")
    query = f'unique_args["attempt_id"]="{attempt_id}"'
    try:
        answer = api.get("messages", scope=SCOPE, query=query, limit=1)
    except AccountRefused as refusal:
        finding = Finding.no_record if refusal.status in _NOT_OURS else Finding.cannot_know
        return LookedUp(finding, str(refusal))
    messages = answer.get("messages") if isinstance(answer, dict) else None
    if not isinstance(messages, list):
        return LookedUp(Finding.cannot_know, "SendGrid's answer is not of the form that it documents")
    if not messages:
        return LookedUp(Finding.not_found, "which proves nothing")
    status = messages[0].get("status") if isinstance(messages[0], dict) else ""
    return LookedUp(Finding.found, f"status {status}"[:100])
