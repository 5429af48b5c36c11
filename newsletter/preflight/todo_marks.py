"""Whether the author meant to come back: TODO, TK, 待补充 and the like."""

import re
from collections.abc import Iterator

from newsletter.issues.inline import Text
from newsletter.preflight.edition import Edition, Finding, Severity, around


_MARK = re.compile(
    r"\b(?:TODO|TBD|TBC|FIXME|TK|TKTK)\b|lorem ipsum|待补充|待补|待完善|待确认|占位符?文字|此处插入", re.IGNORECASE
)
#: These are words of other languages unless they are shouted.
_SHOUTED = re.compile(r"^(?:tk|tktk|tbc|tbd|todo|fixme)$", re.IGNORECASE)


def check(edition: Edition) -> Iterator[Finding]:
    """Find marks of unfinished text; code is left alone."""
    texts = ((place, one.text) for place, one in edition.inlines() if isinstance(one, Text))
    for place, text in (*texts, *edition.head_lines()):
        for match in _MARK.finditer(text):
            if not _SHOUTED.match(match[0]) or match[0].isupper():
                message = f"{around(text, match.start(), match.end())} looks unfinished: complete it, or take it out"
                yield Finding("todo", Severity.warning, message, place)
