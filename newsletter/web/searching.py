"""Search in the archive: in titles and in what anybody may read, as the pages show it. Pure.

By substrings, since Chinese has no spaces between its words; every word that was asked for must occur.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from newsletter.web.articles import Entry


#: Characters of a question that are read, and of text shown before and after what was found.
LONGEST_QUESTION = 80
AROUND = 40


@dataclass(frozen=True)
class Found:
    """An entry with a line of its text: where the first word of the question stands, else its summary."""

    entry: Entry
    before: str
    match: str
    after: str


def question_of(written: str) -> str:
    """Give the part of a question that is read: its words, up to a length."""
    return " ".join(written[:LONGEST_QUESTION].split())


def find(entries: Iterable[Entry], question: str) -> list[Found]:
    """Find the entries that hold every word of a question, whatever the case, in the order given."""
    words = [re.compile(re.escape(word), re.IGNORECASE) for word in question.split()]
    return [
        _found(entry, words[0])
        for entry in entries
        if words and all(word.search(f"{entry.article.title}\n{entry.article.text}") for word in words)
    ]


def listed(entry: Entry) -> Found:
    """Give an entry as a list shows it that nobody asked anything."""
    return Found(entry, "", "", entry.article.summary)


def _found(entry: Entry, word: re.Pattern[str]) -> Found:
    text = entry.article.text
    if not (place := word.search(text)):
        # It stands in the title.
        return listed(entry)
    start, end = max(0, place.start() - AROUND), min(len(text), place.end() + AROUND)
    before = ("…" if start else "") + text[start : place.start()]
    after = text[place.end() : end] + ("…" if end < len(text) else "")
    return Found(entry, before, place[0], after)
