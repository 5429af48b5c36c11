"""Whether the subject can be read where it is seen first: in a phone's inbox, beside the publication's name."""

import re
from collections.abc import Iterator

from newsletter.issues.cjk import is_wide
from newsletter.issues.table_forms import width_of
from newsletter.preflight.edition import Edition, Finding, Severity


#: Columns, a Chinese character counting two: what a phone's inbox shows of a subject, and what a desktop's does.
PHONE = 40
LONGEST = 60
#: Two Latin letters can be an abbreviation without the subject being shouted.
SHOUTED_LETTERS = 3
_REPLY = re.compile(r"^\s*(?:re|fw|fwd|aw|回复|回覆|答复|答覆|转发|轉寄)\s*[:：]", re.IGNORECASE)


def check(edition: Edition) -> Iterator[Finding]:
    """Find what is wrong with the subject."""
    for subject in edition.subjects or (edition.document.subject,):
        for severity, message in _findings(subject, edition.face.name):
            yield Finding(
                "subject", severity, message, edition.place("subject" if edition.document.front.subject else "title")
            )


def _findings(subject: str, publication: str) -> Iterator[tuple[Severity, str]]:
    if not subject.strip():
        yield Severity.blocker, "the subject is empty: write `subject:` or a title"
    if match := _REPLY.match(subject):
        # Google's sender guidelines, and 15 U.S.C. 7704(a)(2): a subject must not mislead.
        yield Severity.blocker, f"“{match[0].strip()}” makes the mail look like an answer: leave it out"
    if width_of(subject) > LONGEST:
        yield (
            Severity.warning,
            f"it is {width_of(subject)} columns wide, and inboxes show {LONGEST} at most: shorten it",
        )
    if _is_shouted(subject):
        # SpamAssassin's SUBJ_ALL_CAPS, which a Chinese subject meets when its only Latin letters are capitals.
        yield Severity.warning, "all its Latin letters are capitals, which spam filters count: add a lower-case word"
    if publication and publication in subject:
        yield Severity.note, f"it repeats “{publication}”, which the sender's name shows already"
    if (seen := as_phones_cut_it(subject)) != subject:
        yield Severity.note, f"phones show “{seen}”"


def as_phones_cut_it(subject: str) -> str:
    """Give a subject as a phone's inbox shows it."""
    kept = ""
    for character in subject:
        if width_of(kept + character) > PHONE:
            return kept.rstrip() + "…"
        kept += character
    return kept


def _is_shouted(subject: str) -> bool:
    letters = [one for one in subject if one.isascii() and one.isalpha()]
    capitals_only = len(letters) >= SHOUTED_LETTERS and all(one.isupper() for one in letters)
    return capitals_only and (any(map(is_wide, subject)) or " " in subject.strip())
