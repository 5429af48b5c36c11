"""SendGrid's signed events: whether a call is genuine, and what its events say in our words. Pure.

Called by the webhook (``is_genuine``) and by the feedback worker (``entries_in``, ``read_event``). What is known of
these events, and what sources disagree about, is in docs/feedback.md; nothing here trusts a field to be there.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from newsletter.providers.feedback import ACCOUNT_CHANGED, FeedbackEvent, FeedbackKind


SIGNATURE_HEADER = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP_HEADER = "X-Twilio-Email-Event-Webhook-Timestamp"

_KINDS: Mapping[str, FeedbackKind] = {
    "processed": FeedbackKind.processed,
    "deferred": FeedbackKind.deferred,
    "delivered": FeedbackKind.delivered,
    "dropped": FeedbackKind.dropped,
    "bounce": FeedbackKind.bounced,
    "spamreport": FeedbackKind.complained,
    "unsubscribe": FeedbackKind.unsubscribed,
    "group_unsubscribe": FeedbackKind.unsubscribed,
    "open": FeedbackKind.opened,
    "click": FeedbackKind.clicked,
    "group_resubscribe": FeedbackKind.other,
    ACCOUNT_CHANGED: FeedbackKind.other,
}
#: Of a remote server's words; the longest seen are some hundred.
_LONGEST_TEXT = 2000
_LONGEST_URL = 2000
_LONGEST_WORD = 120
#: Digits of what still is a 64-bit number.
_LONGEST_NUMBER = 18
_EARLIEST, _LATEST = datetime(2009, 1, 1, tzinfo=UTC).timestamp(), datetime(2200, 1, 1, tzinfo=UTC).timestamp()


def load_key(text: str) -> EllipticCurvePublicKey:
    """Read a public key as SendGrid shows it: the base64 of a DER SubjectPublicKeyInfo, in one line.

    Raises:
        ValueError: It is none, or not of the curve P-256.
    """
    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (binascii.Error, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError("not a key of the curve P-256")  # noqa: TRY004 - the value's fault, not the caller's
    return key


def is_genuine(keys: Sequence[EllipticCurvePublicKey], headers: Mapping[str, str], body: bytes) -> bool:
    """Tell whether one of these keys signed a call: ECDSA over SHA-256 of its timestamp and its raw bytes.

    How old the timestamp is does not matter: SendGrid tries again for 24 hours, and nobody has documented whether it
    signs anew. That a call comes twice changes nothing, since its events are known again.
    """
    timestamp = headers.get(TIMESTAMP_HEADER, "")
    # Nothing stands between the two: with digits only, no byte of the body can be moved over unnoticed and be JSON.
    if not (timestamp.isascii() and timestamp.isdigit()):
        return False
    try:
        signature = base64.b64decode(headers.get(SIGNATURE_HEADER, ""), validate=True)
    except (binascii.Error, ValueError):
        return False
    return any(_is_signed(key, signature, timestamp.encode() + body) for key in keys)


def _is_signed(key: EllipticCurvePublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(signature, content, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


class UnreadableBody(ValueError):
    """A genuine call whose body is not an array of events."""


def entries_in(body: bytes) -> list[object]:
    """Give the entries of a call in their order, each to be read by itself.

    Raises:
        UnreadableBody: It is no JSON array; the sentence says what it is.
    """
    entries = _parsed(body)
    if not isinstance(entries, list):
        raise UnreadableBody(f"a JSON {type(entries).__name__} instead of an array")
    return entries


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        # Strict JSON it is not; one bad byte of some server's words must not lose the events beside it.
        return json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise UnreadableBody(f"no JSON: {error}") from None


def read_event(entry: object) -> FeedbackEvent:
    """Read one entry of a call; one that is no event comes out with its problem."""
    if not isinstance(entry, dict):
        return FeedbackEvent(FeedbackKind.other, "", problem=f"an entry that is a {type(entry).__name__}")
    said = _word(entry, "event")
    at = _time(entry.get("timestamp"))
    delivery, notice = _number(entry.get("delivery")), _number(entry.get("notice"))
    return FeedbackEvent(
        kind=_KINDS.get(said, FeedbackKind.other),
        said=said,
        address=_text(entry, "email", 320),
        at=at,
        event_id=_event_id(entry),
        # The first part is the request's; asynchronous bounces have none.
        message_id=_word(entry, "sg_message_id").split(".")[0],
        delivery=delivery,
        notice=notice,
        attempt=_word(entry, "attempt_id"),
        status=_word(entry, "status"),
        bounce_type=_word(entry, "type").lower(),
        classification=_word(entry, "bounce_classification"),
        text=_why(said, entry),
        url=_text(entry, "url", _LONGEST_URL),
        is_machine=entry.get("sg_machine_open") is True,
        tries=_word(entry, "attempt"),
        problem="; ".join(_problems(said, at, entry)),
    )


def _why(said: str, entry: Mapping[str, Any]) -> str:
    """Give the server's words; of the account, what was done to it."""
    names = ("type",) if said == ACCOUNT_CHANGED else ("reason", "response")
    return next((text for name in names if (text := _text(entry, name, _LONGEST_TEXT))), "")


def _problems(said: str, at: datetime | None, entry: Mapping[str, Any]) -> Iterator[str]:
    if not said:
        yield "no event"
    elif said not in _KINDS:
        yield f"unknown event {said!r}"
    if at is None:
        yield "no readable timestamp"
    if said == ACCOUNT_CHANGED:
        yield "the account was changed"
    elif not isinstance(entry.get("email"), str):
        yield "no email"


def _text(entry: Mapping[str, Any], name: str, longest: int) -> str:
    return storable(entry.get(name), longest)


def storable(value: object, longest: int | None) -> str:
    """Give a text as both databases can store it, cut to a length where one is given; of what is none, nothing.

    NUL cannot be stored as text in PostgreSQL, and a lone surrogate in neither database.
    """
    if not isinstance(value, str):
        return ""
    if value.isascii() and "\0" not in value:
        return value[:longest]
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()[:longest]


def _event_id(entry: Mapping[str, Any]) -> str:
    """Give an event's id; of one that is too long to be kept, what tells it from every other: they may begin alike."""
    whole = _word(entry, "sg_event_id", None)
    return whole if len(whole) <= _LONGEST_WORD else hashlib.sha256(whole.encode()).hexdigest()


def _word(entry: Mapping[str, Any], name: str, longest: int | None = _LONGEST_WORD) -> str:
    value = entry.get(name)
    if value is None or value is True or value is False:
        return ""
    if isinstance(value, int | float):
        value = str(value)
    return storable(value, longest)


def _number(value: Any) -> int | None:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not (text.isascii() and text.isdigit()) or len(text) > _LONGEST_NUMBER:
        return None
    return int(text)


def _time(value: Any) -> datetime | None:
    if isinstance(value, str):
        value = float(value) if value.isascii() and value.isdigit() and len(value) <= _LONGEST_NUMBER else None
    if not isinstance(value, int | float) or isinstance(value, bool) or not _EARLIEST <= value <= _LATEST:
        return None
    return datetime.fromtimestamp(int(value), UTC)
