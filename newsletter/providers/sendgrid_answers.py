"""What SendGrid's answers mean: status, headers and body of a finished call → an ending. Pure.

The rows of DESIGN §5's class table that arrive as an HTTP answer; the rows that arrive as an exception are in
``sendgrid``. Sources: SendGrid's error reference, and what was measured of its client.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from newsletter.providers.base import CallEnd, Ending, RefusedRecipient


ACCEPTED = 202
BAD_REQUEST = 400
TOO_LARGE = 413
UNAVAILABLE = 503
#: 408 and 421 speak of the connection, not of the request: it may have been handled.
ABOUT_THE_CONNECTION = frozenset({408, 421})
NOT_ALLOWED = frozenset({401, 403})
THROTTLED = 429
DETAIL_LIMIT = 500
LONGEST_MESSAGE_ID = 120

_RECIPIENT_FIELD = re.compile(r"^personalizations[.\[](\d{1,4})\b")
_ADDRESS = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+")


@dataclass(frozen=True)
class Answer:
    """An HTTP answer as far as it was read."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def classify(answer: Answer, *, now: float) -> CallEnd:
    """Tell how a call ended that was answered.

    Args:
        answer: What came back; header names in lower case.
        now: Seconds since the epoch, against which a reset header is read.
    """
    detail = said(answer.body)
    if answer.status == ACCEPTED:
        return CallEnd(
            Ending.accepted,
            ACCEPTED,
            message_id=(answer.headers.get("x-message-id") or "")[:LONGEST_MESSAGE_ID] or None,
        )
    if answer.status == THROTTLED or (answer.status == UNAVAILABLE and _errors(answer.body)):
        return CallEnd(Ending.throttled, answer.status, wait_seconds=_asked_wait(answer.headers, now), detail=detail)
    if answer.status == BAD_REQUEST:
        return _bad_request(answer, detail)
    return CallEnd(_plain_ending(answer.status), answer.status, detail=detail)


def _plain_ending(status: int) -> Ending:
    if status in NOT_ALLOWED:
        return Ending.unauthorised
    if status == TOO_LARGE:
        return Ending.too_large
    # Another 2xx is no promise that SendGrid documents; a 5xx may come from a gateway behind which it was accepted.
    if status in ABOUT_THE_CONNECTION or status < 300 or status >= 500:  # noqa: PLR2004 - the classes of RFC 9110
        return Ending.ambiguous
    return Ending.refused


def _bad_request(answer: Answer, detail: str) -> CallEnd:
    """A 400 refuses the request whole: for recipients it names, for the message, or without a word."""
    errors = _errors(answer.body)
    named: dict[int, str] = {}
    for field, message in errors:
        if match := _RECIPIENT_FIELD.match(field):
            named.setdefault(int(match[1]), for_people(message.encode()))
    refused = tuple(RefusedRecipient(index, reason) for index, reason in sorted(named.items()))
    about_the_message = any(field and not _RECIPIENT_FIELD.match(field) for field, _ in errors)
    ending = Ending.refused if about_the_message else Ending.recipients_refused
    return CallEnd(ending, BAD_REQUEST, refused=refused, detail=detail)


def _errors(body: bytes) -> list[tuple[str, str]]:
    """Read SendGrid's error list as (field, message); empty where the body is something else."""
    try:
        found = json.loads(body)["errors"]
        return [(str(error.get("field") or ""), str(error.get("message") or "")) for error in found]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []


def said(body: bytes) -> str:
    """Give what an answer says: SendGrid's own messages where there are some, else its beginning as it stands."""
    messages = [f"{field}: {message}" if field else message for field, message in _errors(body)]
    return for_people("; ".join(messages).encode() if messages else body)


def _asked_wait(headers: Mapping[str, str], now: float) -> float | None:
    if reset := _number(headers.get("x-ratelimit-reset")):
        return max(0.0, reset - now)
    return _number(headers.get("retry-after"))


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value else None
    except ValueError:
        return None
    return number if number is not None and math.isfinite(number) and number >= 0 else None


def for_people(body: bytes) -> str:
    """Shorten an answer to a line for the operator, without any address in it (DESIGN §4.9)."""
    text = body[:4096].decode("utf-8", "replace")
    # PostgreSQL stores no NUL, and a terminal should get no control character from elsewhere.
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return _ADDRESS.sub("[address]", line)[:DETAIL_LIMIT]
