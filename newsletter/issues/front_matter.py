"""Front matter: what an author says of an issue in YAML before its text. Pure; read by ``document``."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import yaml

from newsletter.errors import BadIssue
from newsletter.issues.characters import fit


@dataclass(frozen=True)
class FrontMatter:
    """What was said; ``None`` where nothing was. ``plans`` names the plans that may have the issue.

    Attributes:
        lines: The line of the source where each of these was said.
    """

    title: str | None = None
    byline: str | None = None
    subject: str | None = None
    preheader: str | None = None
    date: dt.date | None = None
    number: int | None = None
    locale: str | None = None
    site_url: str | None = None
    plans: tuple[str, ...] | None = None
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)


#: The text between the two lines of `---` begins on the second line of the source.
FIRST_LINE = 2
_LINES_OF_TEXT = ("title", "byline", "subject", "preheader", "locale", "site_url")
KNOWN = (*_LINES_OF_TEXT, "date", "number", "plans")


def read_front_matter(text: str) -> FrontMatter:
    """Read the YAML between the two lines of ``---``, which are lines 1 and 2 of it at the least.

    Raises:
        BadIssue: It is no YAML, names what we do not know, or says something of the wrong kind.
    """
    try:
        said = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 2 if mark else None
        raise BadIssue(f"the front matter is no YAML: {getattr(error, 'problem', error)}", line) from None
    except ValueError as error:
        # PyYAML builds dates itself, and 2026-13-45 is none.
        raise BadIssue(f"the front matter holds a value that does not exist: {error}", 1) from None
    if said is None:
        return FrontMatter()
    if not isinstance(said, dict):
        raise BadIssue("the front matter must be lines of `name: value`", 2)
    if unknown := [str(name) for name in said if name not in KNOWN]:
        raise BadIssue(f"the front matter names {', '.join(unknown)}; known are {', '.join(KNOWN)}", 2)
    values = {name: _value(name, value) for name, value in said.items() if value is not None}
    return FrontMatter(**values, lines=_lines(text))


def _lines(text: str) -> dict[str, int]:
    root = yaml.compose(text, yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else ()
    return {str(key.value): key.start_mark.line + FIRST_LINE for key, _ in pairs}


def _value(name: str, value: Any) -> Any:
    readers: Mapping[str, Any] = {"date": _date, "number": _number, "plans": _plans}
    return readers.get(name, _line_of_text)(name, value)


def _line_of_text(name: str, value: Any) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise BadIssue(f"{name} in the front matter must be text", 2)
    text = " ".join(fit(str(value)).split())
    if not text:
        raise BadIssue(f"{name} in the front matter is empty: write it, or leave the line out", 2)
    if name == "site_url" and (urlsplit(text).scheme not in {"http", "https"} or not urlsplit(text).hostname):
        raise BadIssue(f"site_url in the front matter is no web address: {text!r}; write https://…", 2)
    return text


def _date(name: str, value: Any) -> dt.date:
    if isinstance(value, str):
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            pass
    if not isinstance(value, dt.date):
        raise BadIssue(f"{name} in the front matter must be a date such as 2026-11-23", 2)
    # A time of day is of no use to an issue: the mailing has its own.
    return dt.date(value.year, value.month, value.day)


def _number(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadIssue(f"{name} in the front matter must be a whole number", 2)
    return value


def _plans(name: str, value: Any) -> tuple[str, ...]:
    plans = [value] if isinstance(value, str) else value
    if not isinstance(plans, list) or not plans or not all(isinstance(plan, str) and plan.strip() for plan in plans):
        raise BadIssue(f"{name} in the front matter must be a list of plan codes, such as [pro]", 2)
    return tuple(plan.strip() for plan in plans)
