"""What a bounce means: the policy of docs/feedback.md as a table, read from the top; the first row that fits counts.

Pure. The words of mailbox providers that we know come first (``bounce_texts.yaml``), then what servers of any kind say,
unless their code says that it is for now; then the enhanced status code (RFC 3463), then SendGrid's type, then its
classification. What fits nothing is soft, and said to be unknown.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from newsletter.feedback.outcomes import BounceClass
from newsletter.providers.feedback import FeedbackEvent


@dataclass(frozen=True)
class Verdict:
    """What a bounce means.

    Attributes:
        rule: The row of the table that said so, for people.
        cause: Of our own faults: frequency, reputation, content or authentication.
    """

    bounce_class: BounceClass
    rule: str
    cause: str = ""


@dataclass(frozen=True)
class Row:
    """A row of the table: it fits where each pattern that it has is the whole of that field, case aside."""

    bounce_class: BounceClass
    status: str = ""
    bounce_type: str = ""
    classification: str = ""
    cause: str = ""

    def fits(self, status: str, event: FeedbackEvent) -> bool:
        """Tell whether the row speaks of this bounce."""
        said = (
            (self.status, status),
            (self.bounce_type, event.bounce_type),
            (self.classification, event.classification),
        )
        return all(re.fullmatch(pattern, value, re.IGNORECASE) for pattern, value in said if pattern)

    @property
    def name(self) -> str:
        """How the row is called in listings."""
        named = (("status", self.status), ("type", self.bounce_type), ("classification", self.classification))
        return ", ".join(f"{word} {pattern}" for word, pattern in named if pattern)


#: SendGrid spells two of its classes in two ways.
_FREQUENCY = r"frequency( or volume too high|/volume)"
#: The policy table of docs/feedback.md, below the texts.
POLICY: Sequence[Row] = (
    Row(BounceClass.hard, status=r"5\.1\.([0-36]|10)"),
    Row(BounceClass.disabled, status=r"5\.2\.1"),
    Row(BounceClass.too_large, status=r"5\.(2\.3|3\.4)"),
    Row(BounceClass.soft, status=r"4\..*|5\.2\.2"),
    Row(BounceClass.blocked, status=r"5\.7\.(2[3-9]|3[0-2]|509|515)", cause="authentication"),
    Row(BounceClass.blocked, status=r"5\.7\..*", classification="content", cause="content"),
    Row(BounceClass.blocked, status=r"5\.7\..*", classification=_FREQUENCY, cause="frequency"),
    Row(BounceClass.blocked, status=r"5\.7\..*", cause="reputation"),
    Row(BounceClass.soft, bounce_type="expired"),
    Row(BounceClass.blocked, classification="content", cause="content"),
    Row(BounceClass.blocked, classification="reputation", cause="reputation"),
    Row(BounceClass.blocked, classification=_FREQUENCY, cause="frequency"),
    Row(BounceClass.soft, bounce_type="blocked"),
    Row(BounceClass.hard, classification="invalid address"),
    Row(BounceClass.disabled, classification="mailbox unavailable"),
    Row(BounceClass.soft, classification="technical( failure)?"),
)
UNKNOWN = Verdict(BounceClass.soft, "unknown")

#: An enhanced code stands behind the three digits of the basic one (RFC 2034 §4), which keeps addresses of hosts out.
_STATUS_IN_TEXT = re.compile(r"\b[45]\d\d[ -]#?([45]\.\d{1,3}\.\d{1,3})\b")
#: A status that says more than whether to come again: x.0.0 stands for whatever the server said.
_TELLING_STATUS = re.compile(r"[245]\.(?!0\.0$)\d{1,3}\.\d{1,3}")
#: A server's first word, or the code that it became: to come again.
_FOR_NOW = re.compile(r"4(\d\d\b|\.)")


def classify(event: FeedbackEvent, provider: str) -> Verdict:
    """Tell what a bounce means.

    Args:
        event: The bounce.
        provider: The mailbox provider of its address, or ``other``.
    """
    status = _status(event)
    is_for_now = bool(_FOR_NOW.match(status or event.text))
    for known in _texts():
        if known.speaks_of(provider, is_for_now=is_for_now) and known.pattern.search(event.text):
            return known.verdict
    return next((Verdict(row.bounce_class, row.name, row.cause) for row in POLICY if row.fits(status, event)), UNKNOWN)


def _status(event: FeedbackEvent) -> str:
    """Give the enhanced code: SendGrid's, unless the server's own text says more."""
    found = _STATUS_IN_TEXT.search(event.text)
    return found[1] if found and not _TELLING_STATUS.fullmatch(event.status) else event.status


@dataclass(frozen=True)
class KnownText:
    """Words of a receiving server whose meaning is known."""

    provider: str
    pattern: re.Pattern[str]
    verdict: Verdict
    source: str

    def speaks_of(self, provider: str, *, is_for_now: bool) -> bool:
        """Tell whether these words count: a provider's own always, those of any server only where it is for good."""
        return self.provider == provider or not (self.provider or is_for_now)


@cache
def _texts() -> tuple[KnownText, ...]:
    rows = yaml.safe_load((Path(__file__).parent / "bounce_texts.yaml").read_text("utf-8"))
    return tuple(
        KnownText(
            row.get("provider", ""),
            re.compile(row["pattern"], re.IGNORECASE),
            Verdict(BounceClass(row["class"]), f"text: {row['pattern']}", row.get("cause", "")),
            row["source"],
        )
        for row in rows
    )
