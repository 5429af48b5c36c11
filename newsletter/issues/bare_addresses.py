"""Bare addresses in running text become links. Pure; asked by ``reading``.

An address ends at the first character that is not ASCII: Chinese text has no space after an address, and the usual
linkifiers take ``，后面的字`` for a part of its path. Addresses with other characters are written as ``<https://…>``.
"""

import re

from newsletter.issues.inline import Link, Text


_ADDRESS = re.compile(
    r"(?<![A-Za-z0-9._%+/-])(?:"
    r"(?P<web>(?:https?://|www\.)[A-Za-z0-9%][!#$%&'()*+,\-./:;=?@A-Z\[\]_a-z~0-9]*)"
    r"|(?P<mail>[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)"
    r")"
)
_ENDS = ".,;:!?'*_~"


def with_links(text: str) -> tuple[Text | Link, ...]:
    """Split a text at the addresses in it."""
    found: list[Text | Link] = []
    end = 0
    for match in _ADDRESS.finditer(text):
        address = _without_trailing(match[0])
        found += [Text(text[end : match.start()]), Link(_target(match, address), (Text(address),))]
        end = match.start() + len(address)
    return tuple(one for one in (*found, Text(text[end:])) if one != Text(""))


def _target(match: re.Match[str], address: str) -> str:
    if match["mail"]:
        return f"mailto:{address}"
    return f"https://{address}" if address.startswith("www.") else address


def _without_trailing(address: str) -> str:
    """Leave out the punctuation of the sentence, and a bracket that was opened before the address."""
    while address:
        last = address[-1]
        unopened = (last == ")" and address.count("(") < address.count(")")) or (
            last == "]" and address.count("[") < address.count("]")
        )
        if last not in _ENDS and not unopened:
            break
        address = address[:-1]
    return address
