"""Whether every personal field is one we know and says something, and none of another system's is left."""

import re
from collections.abc import Iterator

from newsletter.issues.fields import FIELDS, split, target_of
from newsletter.issues.inline import Field, Link, Text
from newsletter.preflight.edition import Edition, Finding, Severity, around


#: What looks like a field and became none: ours mistyped, Jinja2's blocks, Mailchimp's `*|FNAME|*` (whose stars
#: Markdown takes for emphasis), and EJS.
_LEFT = re.compile(r"\{\{|\}\}|\{%|%\}|\|[A-Z][A-Z0-9_:]{2,}\||<%|%>")


def check(edition: Edition) -> Iterator[Finding]:
    """Find fields that readers would see as such, or as nothing."""
    for place, one in _nodes(edition):
        if isinstance(one, Field):
            yield from _field(edition, place, one)
        elif isinstance(one, Link) and ("{{" in one.target or "%7B%7B" in one.target):
            if (message := _left_in_target(one.target)) is not None:
                yield Finding("fields", Severity.blocker, message, place)
        elif isinstance(one, Text) and (match := _LEFT.search(one.text)):
            quoted = around(one.text, match.start(), match.end())
            known = ", ".join(FIELDS)
            message = f'{quoted} is no field: write {{{{ name }}}} or {{{{ name | default("…") }}}}; known are {known}'
            yield Finding("fields", Severity.blocker, message, place)


def _nodes(edition: Edition) -> Iterator[tuple[str, object]]:
    yield from edition.inlines()
    yield from ((place, one) for place, text in edition.head_lines() for one in split(text))


def _field(edition: Edition, place: str, one: Field) -> Iterator[Finding]:
    front = edition.document.front
    if one.name not in FIELDS:
        message = f"there is no field {one.name!r}; known are {', '.join(FIELDS)}"
        yield Finding("fields", Severity.blocker, message, place)
    elif not one.default and {"number": front.number, "date": front.date}.get(one.name, "said") is None:
        message = f"{one} says nothing: the front matter has no `{one.name}:`"
        yield Finding("fields", Severity.blocker, message, place)


def _left_in_target(target: str) -> str | None:
    if target_of(target) is not None:
        return None
    return f"a link leads to {target!r}: only read_url, preferences_url and unsubscribe_url can stand there, alone"
