"""Filters: which readers are meant, written as conditions that all hold, such as ``plan=pro domain=qq.com``. Pure.

The same filter finds people and selects a mailing's audience, and is stored as its text; ``matching`` asks the
database. A condition is a field, a comparison, and one value or several with commas of which any may hold.
"""

import re
import shlex
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from subscribers.addresses import parse_address
from subscribers.errors import InvalidAddress, RefusedFilter
from subscribers.models import SubscriptionState


class Comparison(StrEnum):
    """How a field is compared; the longer signs stand first, as they are looked for."""

    at_least = ">="
    at_most = "<="
    is_not = "!="
    below = "<"
    above = ">"
    equals = "="


#: What each field is compared with by example; attributes are written ``attr.NAME``.
EXAMPLES = {
    "plan": "plan=pro,team",
    "state": "state=confirmed",
    "locale": "locale=zh-CN",
    "domain": "domain=qq.com,foxmail.com",
    "joined": "joined>=2026-01-01",
    "tag": "tag=vip",
    "attr": "attr.age>=30",
}
ATTRIBUTE = "attr."
_SAME = frozenset({Comparison.equals, Comparison.is_not})
_CONDITION = re.compile(r"([^=<>!]*)(>=|<=|!=|<|>|=)(.*)", re.DOTALL)
_CODE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_LOCALE = re.compile(r"[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*")
_TAG = re.compile(r"[^\s,\"'\\]{1,60}")
EARLIEST, LATEST = date(1900, 1, 1), date(9998, 12, 31)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
#: As much as an attribute holds.
MAX_VALUE = 200


@dataclass(frozen=True)
class Condition:
    """One condition: any of the values; with ``!=`` none of them."""

    field: str
    comparison: Comparison
    values: tuple[str, ...]

    def __str__(self) -> str:
        values = ",".join(value.replace("\\", "\\\\").replace(",", "\\,") for value in self.values)
        word = f"{self.field}{self.comparison}{values}"
        return word if re.fullmatch(r"[^\s'\"\\]+", word) else shlex.quote(word)

    @property
    def attribute(self) -> str:
        """The attribute's code; empty where the field is none."""
        return self.field.removeprefix(ATTRIBUTE) if self.field.startswith(ATTRIBUTE) else ""


@dataclass(frozen=True)
class Filter:
    """Conditions that all hold; without any, everybody. As text it is read back as the same filter."""

    conditions: tuple[Condition, ...] = ()

    def __str__(self) -> str:
        return " ".join(map(str, self.conditions))

    def __bool__(self) -> bool:
        return bool(self.conditions)


EVERYBODY = Filter()


def parse_filter(text: str | Iterable[str]) -> Filter:
    """Read a filter: one text, or several whose conditions all hold.

    The order of conditions and values, and saying one twice, make no difference. Plans and attributes are looked up
    only where the filter is used.

    Raises:
        RefusedFilter: A condition cannot be read; the sentence says which, and how one is written.
    """
    texts = [text] if isinstance(text, str) else text
    conditions = {_condition(word) for one in texts for word in _words(one)}
    return Filter(tuple(sorted(conditions, key=str)))


def said_filter(texts: Sequence[str]) -> Filter:
    """Read a filter that somebody has just said: of a text without a condition nobody knows what it was to mean.

    Raises:
        RefusedFilter: A text is empty, or a condition cannot be read.
    """
    if any(not text.strip() for text in texts):
        raise RefusedFilter(
            f"an empty filter names nobody: leave it out to mean everybody, or write {EXAMPLES['plan']}"
        )
    return parse_filter(texts)


def read_date(written: str) -> date | None:
    """Read a date as 2026-11-23, and in no other way; nothing where it is none."""
    try:
        read = date.fromisoformat(written) if _DATE.fullmatch(written) else None
    except ValueError:
        return None
    # Beyond, the moments at which such days begin somewhere cannot be told.
    return read if read and EARLIEST <= read <= LATEST else None


def clean_tag(written: str) -> str:
    """Give the one form of a tag: without case, and without a difference in width.

    Raises:
        RefusedFilter: It is empty, longer than 60 characters, or holds spaces, commas or quotes.
    """
    tag = unicodedata.normalize("NFKC", written).casefold()
    if not _TAG.fullmatch(tag) or not tag.isprintable():
        raise RefusedFilter(f"tag {written!r}: use 1 to 60 characters without spaces, commas and quotes, such as vip")
    return tag


def clean_text(written: str) -> str:
    """Give the one form of a text that is kept of a reader, in one line."""
    return " ".join(unicodedata.normalize("NFC", written).split())


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        raise RefusedFilter(f"a quote is opened and not closed in {text!r}: write attr.city='New York'") from None


def _condition(word: str) -> Condition:
    """Read one condition and bring its values into their one form."""
    found = _CONDITION.fullmatch(word)
    if not found:
        raise RefusedFilter(
            f"{word!r} is no condition: write {', '.join(EXAMPLES.values())}; values with spaces in quotes"
        )
    field, comparison = found[1].strip().lower(), Comparison(found[2])
    kind = "attr" if field.startswith(ATTRIBUTE) else field
    if kind not in EXAMPLES:
        raise RefusedFilter(f"{word!r}: there is no field {field!r}; write {', '.join(EXAMPLES.values())}")
    values = _values(word, kind, found[3])
    _check_comparison(word, kind, comparison, values)
    if kind == "attr" and not _CODE.fullmatch(field.removeprefix(ATTRIBUTE)):
        raise RefusedFilter(f"{word!r} names no attribute: write {EXAMPLES['attr']}")
    return Condition(field, comparison, values)


def _check_comparison(word: str, kind: str, comparison: Comparison, values: tuple[str, ...]) -> None:
    if comparison in _SAME:
        return
    if kind not in {"joined", "attr"}:
        raise RefusedFilter(f"{word!r}: {kind} is compared with = and != only, such as {EXAMPLES[kind]}")
    if len(values) > 1:
        raise RefusedFilter(f"{word!r}: {comparison} takes one value, such as {EXAMPLES[kind]}")


def _values(word: str, kind: str, written: str) -> tuple[str, ...]:
    # A comma or backslash within a value is written after a backslash.
    parts = [re.sub(r"\\(.)", r"\1", part) for part in re.findall(r"(?:[^,\\]|\\.)+|(?<=,)(?=,)", written)]
    values = {_value(word, kind, part.strip()) for part in parts}
    if not values or written.startswith(",") or re.search(r"(?<!\\)(\\\\)*,$", written):
        raise RefusedFilter(f"{word!r} lacks a value: write {EXAMPLES[kind]}")
    return tuple(sorted(values))


def _value(word: str, kind: str, value: str) -> str:
    """Give the one form of a value.

    Raises:
        RefusedFilter: It is none of its field.
    """
    match kind:
        case "state" if value in set(SubscriptionState):
            return value
        case "joined" if read_date(value):
            return value
        case "plan" if _CODE.fullmatch(value.lower()):
            return value.lower()
        case "locale" if _LOCALE.fullmatch(value):
            return value.lower()
        case "domain":
            return _domain(word, value)
        case "tag":
            return clean_tag(value)
        case "attr" if value.isprintable() and 0 < len(clean_text(value)) <= MAX_VALUE:
            return clean_text(value)
    states = f" (there is: {', '.join(SubscriptionState)})" if kind == "state" else ""
    raise RefusedFilter(f"{word!r}: {value!r} is no {kind}{states}; write {EXAMPLES[kind]}")


def _domain(word: str, value: str) -> str:
    try:
        return parse_address(f"x@{value}").domain
    except InvalidAddress:
        raise RefusedFilter(f"{word!r}: {value!r} is no domain of mail; write {EXAMPLES['domain']}") from None
