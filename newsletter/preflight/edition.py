"""What preflight looks at, and what it finds."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from newsletter.issues.access import ReaderPlan
from newsletter.issues.blocks import numbered_lines
from newsletter.issues.document import Document, read_text
from newsletter.issues.inline import Inline, Inlines, walk
from newsletter.rendering.mail import Face, Rendering
from newsletter.rendering.personalisation import SAMPLE, fill, values_by_tag


class Severity(StrEnum):
    """How much a finding matters: blockers keep an issue from being scheduled."""

    blocker = "blocker"
    warning = "warning"
    note = "note"


@dataclass(frozen=True)
class Finding:
    """One result of preflight: which check, how bad, what and how to mend it, and where."""

    check: str
    severity: Severity
    message: str
    where: str = ""


@dataclass(frozen=True)
class Moment:
    """When an edition is looked at: today in the publication's zone, and when this very revision was last mailed."""

    today: date
    mailed_at: datetime | None = None


@dataclass(frozen=True)
class Edition:
    """An issue as it would be mailed: its whole document, its publication's face, a rendering for each plan."""

    document: Document
    face: Face
    reply_to: str
    plans: tuple[ReaderPlan, ...]
    renderings: tuple[Rendering, ...]
    moment: Moment

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subjects that readers without a name see, once each."""
        filled = (fill(one.subject, values_by_tag(one.substitutions, SAMPLE)) for one in self.renderings)
        return tuple(dict.fromkeys(filled))

    def lines(self) -> Iterator[tuple[str, Inlines]]:
        """Go through the lines of the text and of the standing footer, each with the place where they were written."""
        yield from ((line(number), inlines) for number, inlines in numbered_lines(self.document.blocks))
        yield from (("standing footer", inlines) for _, inlines in numbered_lines(read_text(self.face.standing_footer)))

    def inlines(self) -> Iterator[tuple[str, Inline]]:
        """Go through everything that stands in the lines of the text."""
        return ((place, one) for place, inlines in self.lines() for one in walk(inlines))

    def head_lines(self) -> Iterator[tuple[str, str]]:
        """Go through what stands above the text: title, byline, subject and preheader, each with its place."""
        front = self.document.front
        said = {"title": self.document.title, "byline": self.document.byline}
        said |= {"subject": front.subject or "", "preheader": front.preheader or ""}
        return ((self.place(name), text) for name, text in said.items() if text)

    def place(self, name: str) -> str:
        """Say where something above the text was written: its line of the front matter, else what it is."""
        number = self.document.front.lines.get(name)
        return line(number) if number else name


def line(number: int) -> str:
    """Name a line of the source."""
    return f"line {number}"


def part(rendering: Rendering) -> str:
    """Name a rendering; the runner joins findings that several plans share."""
    return f"plan {rendering.plan}"


def around(text: str, start: int, end: int, *, room: int = 12) -> str:
    """Quote a place in a text with a little of what stands around it."""
    quoted = " ".join(text[max(0, start - room) : end + room].split())
    return f"“{'…' if start > room else ''}{quoted}{'…' if end + room < len(text) else ''}”"
