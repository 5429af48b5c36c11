"""What SendGrid refuses with a 400: the rules of its reference for ``POST /v3/mail/send``. Pure.

Several problems are told at once, each with the dotted path of its field. The request is refused whole, whatever the
problem. Limits on which SendGrid's own pages disagree stand at the smaller number (10,000 bytes, 150 items).
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


MOST_RECIPIENTS = 1000
MOST_SUBSTITUTIONS = 150
MOST_SUBSTITUTION_BYTES = 10_000
MOST_CUSTOM_ARG_BYTES = 10_000
MOST_CATEGORIES = 10
LONGEST_CATEGORY = 255
LONGEST_ADDRESS = 320
RESERVED_HEADERS = frozenset(
    {
        "x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding", "to", "from",
        "subject", "reply-to", "cc", "bcc",
    }
)  # fmt: skip
_ADDRESS = re.compile(r"^[^\s@<>()\[\],;:\\\"]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?\.[A-Za-z0-9-]{2,}$")


@dataclass(frozen=True)
class Problem:
    """One entry of the error body."""

    message: str
    field: str | None

    def as_json(self) -> dict[str, str | None]:
        """Write it as SendGrid does."""
        return {"message": self.message, "field": self.field, "help": None}


def problems(body: Any) -> list[Problem]:
    """List everything that is wrong with a request's body; empty where it would be accepted."""
    if not isinstance(body, dict):
        return [Problem("Bad Request", None)]
    return [*_message(body), *_personalizations(body)]


def _message(body: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _address(body.get("from"), "from", "The from object must be provided for every email send.")
    if body.get("reply_to") is not None:
        yield from _address(body["reply_to"], "reply_to", "The reply_to object must have an email parameter.")
        if body.get("reply_to_list") is not None:
            yield Problem("reply_to and reply_to_list cannot be used together.", "reply_to_list")
    yield from _content(body)
    yield from _headers(body.get("headers"), "headers")
    yield from _categories(body.get("categories"))


def _content(body: Mapping[str, Any]) -> Iterator[Problem]:
    content = body.get("content")
    if body.get("template_id") and content is None:
        return
    if not isinstance(content, list) or not content:
        yield Problem("Unless a valid template_id is provided, the content parameter is required.", "content")
        return
    for number, part in enumerate(content):
        for name in ("type", "value"):
            if not isinstance(part, dict) or not isinstance(part.get(name), str) or not part[name]:
                yield Problem(
                    f"The content {name} must be a string at least one character in length.", f"content.{number}.{name}"
                )
                return
    order = [{"text/plain": 0, "text/html": 1}.get(part["type"], 2) for part in content]
    if order != sorted(order):
        yield Problem("text/plain must come first, then text/html, then the others.", "content")


def _categories(categories: Any) -> Iterator[Problem]:
    if categories is None:
        return
    if not isinstance(categories, list) or len(categories) > MOST_CATEGORIES:
        yield Problem(f"There is a limit of {MOST_CATEGORIES} categories per request.", "categories")
        return
    for number, category in enumerate(categories):
        if not isinstance(category, str) or not category.isascii() or not 0 < len(category) <= LONGEST_CATEGORY:
            yield Problem(f"A category is ASCII text of {LONGEST_CATEGORY} characters at most.", f"categories.{number}")


def _personalizations(body: Mapping[str, Any]) -> Iterator[Problem]:
    listed = body.get("personalizations")
    if not isinstance(listed, list) or not listed:
        yield Problem(
            "The personalizations field is required and must have at least one personalization.", "personalizations"
        )
        return
    if len(listed) > MOST_RECIPIENTS:
        yield Problem(f"There is a limit of {MOST_RECIPIENTS} personalizations per request.", "personalizations")
        return
    if sum(len(_recipients(one)) for one in listed) > MOST_RECIPIENTS:
        yield Problem(f"The total number of recipients must not exceed {MOST_RECIPIENTS}.", "personalizations")
        return
    for number, one in enumerate(listed):
        yield from _personalization(one, f"personalizations.{number}", body)
    yield from _repeated(listed)


def _personalization(one: Any, field: str, body: Mapping[str, Any]) -> Iterator[Problem]:
    if not isinstance(one, dict) or not isinstance(one.get("to"), list) or not one["to"]:
        message = "The to array is required for all personalization objects, and must have at least one email object."
        yield Problem(message, f"{field}.to")
        return
    for kind in ("to", "cc", "bcc"):
        for number, recipient in enumerate(one.get(kind) or ()):
            yield from _address(recipient, f"{field}.{kind}.{number}", "The email parameter is required.")
    subject = one.get("subject", body.get("subject"))
    if not body.get("template_id") and (not isinstance(subject, str) or not subject):
        yield Problem("The subject is required. You can get around this requirement if you use a template.", "subject")
    yield from _headers(one.get("headers"), f"{field}.headers")
    yield from _substitutions(one.get("substitutions"), f"{field}.substitutions")
    yield from _custom_args(body.get("custom_args"), one.get("custom_args"), f"{field}.custom_args")


def _address(value: Any, field: str, missing: str) -> Iterator[Problem]:
    if not isinstance(value, dict) or not isinstance(value.get("email"), str) or not value["email"]:
        yield Problem(missing, f"{field}.email")
    elif len(value["email"]) > LONGEST_ADDRESS or not value["email"].isascii() or not _ADDRESS.match(value["email"]):
        yield Problem("Does not contain a valid address.", f"{field}.email")
    elif not isinstance(value.get("name", ""), str):
        yield Problem("Bad Request", None)


def _headers(headers: Any, field: str) -> Iterator[Problem]:
    if headers is None:
        return
    if not isinstance(headers, dict):
        yield Problem("The headers parameter must be an object of strings.", field)
        return
    for name, value in headers.items():
        if name.lower() in RESERVED_HEADERS:
            yield Problem(f"The header {name} is reserved and cannot be set.", f"{field}.{name}")
        elif not name.isascii() or " " in name or not name:
            yield Problem("Header names are ASCII without spaces.", f"{field}.{name}")
        elif not isinstance(value, str):
            yield Problem("Header values must be strings.", f"{field}.{name}")


def _substitutions(substitutions: Any, field: str) -> Iterator[Problem]:
    if substitutions is None:
        return
    if not isinstance(substitutions, dict) or any(not isinstance(one, str | None) for one in substitutions.values()):
        # SendGrid's own answer to a value of the wrong kind names nothing.
        yield Problem("Bad Request", None)
        return
    if len(substitutions) > MOST_SUBSTITUTIONS:
        yield Problem(f"You are limited to {MOST_SUBSTITUTIONS} substitutions per personalization.", field)
    size = sum(len(key.encode()) + len((value or "").encode()) for key, value in substitutions.items())
    if size > MOST_SUBSTITUTION_BYTES:
        yield Problem(f"Substitutions may not exceed {MOST_SUBSTITUTION_BYTES} bytes per personalization.", field)


def _custom_args(shared: Any, own: Any, field: str) -> Iterator[Problem]:
    merged: dict[str, Any] = {}
    for args in (shared, own):
        if args is not None and not isinstance(args, dict):
            yield Problem("Bad Request", None)
            return
        merged |= args or {}
    if any(not isinstance(value, str) for value in merged.values()):
        yield Problem("Bad Request", None)
    elif sum(len(key.encode()) + len(value.encode()) for key, value in merged.items()) > MOST_CUSTOM_ARG_BYTES:
        yield Problem(f"Custom arguments may not exceed {MOST_CUSTOM_ARG_BYTES} bytes.", field)


def _repeated(listed: list[Any]) -> Iterator[Problem]:
    """Refuse an address that stands twice in the request, case aside: SendGrid's pages disagree on where it may."""
    places = [(number, address) for number, one in enumerate(listed) for address in _recipients(one)]
    counts = Counter(address for _, address in places)
    seen: set[str] = set()
    for number, address in places:
        if counts[address] > 1 and address in seen:
            message = "Each email address in the personalization block should be unique between to, cc, and bcc."
            yield Problem(message, f"personalizations.{number}")
        seen.add(address)


def _recipients(one: Any) -> list[str]:
    """Give every address of a personalization, in lower case, as far as it can be read."""
    if not isinstance(one, dict):
        return []
    kinds = (one.get(kind) for kind in ("to", "cc", "bcc"))
    people = [person for kind in kinds if isinstance(kind, list) for person in kind]
    return [str(person.get("email", "")).lower() for person in people if isinstance(person, dict)]
