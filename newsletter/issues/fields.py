"""Personal fields as authors write them: ``{{ name }}`` or ``{{ name | default("reader") }}``. Pure.

In the text they become nodes; in a title or subject they stay in the line, and ``split`` finds them.
"""

import re
from urllib.parse import unquote

from newsletter.issues.inline import Field, Text


#: Every field an author may use, and what it says. A word beyond these is a blocker of preflight.
FIELDS = {
    "name": "the reader's name",
    "plan": "the name of the reader's plan",
    "publication": "the publication's name",
    "number": "the issue's number",
    "date": "the issue's date",
    "read_url": "the address of this mail in the browser",
    "preferences_url": "the address of the reader's own settings",
    "unsubscribe_url": "the address at which the reader leaves",
}
_QUOTES = (('"', '"'), ("'", "'"), ("“", "”"), ("「", "」"))
_QUOTED = "|".join(
    rf"{opening}(?P<d{number}>[^{closing}{{}}]*){closing}" for number, (opening, closing) in enumerate(_QUOTES)
)
_DEFAULT = rf"\|[ \t]*default[ \t]*[(（][ \t]*(?:{_QUOTED})[ \t]*[)）][ \t]*"
FIELD = re.compile(rf"\{{\{{[ \t]*(?P<name>[A-Za-z_]\w*)[ \t]*(?:{_DEFAULT})?\}}\}}")


def field_of(match: re.Match[str]) -> Field:
    """Give the field that was matched."""
    default = next((said for number in range(len(_QUOTES)) if (said := match[f"d{number}"])), "")
    return Field(match["name"], " ".join(default.split()))


def target_of(target: str) -> Field | None:
    """Give the field that a link's target is, also where markdown-it has percent-encoded it; else nothing."""
    match = FIELD.fullmatch(unquote(target).strip())
    return field_of(match) if match and match["name"].endswith("_url") else None


def split(line: str) -> tuple[Text | Field, ...]:
    """Split a line into its text and its fields, in order."""
    found: list[Text | Field] = []
    end = 0
    for match in FIELD.finditer(line):
        found += [Text(line[end : match.start()]), field_of(match)]
        end = match.end()
    return tuple(one for one in (*found, Text(line[end:])) if one != Text(""))
