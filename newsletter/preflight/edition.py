"""What preflight looks at, and what it finds."""

from dataclasses import dataclass
from enum import StrEnum

from newsletter.issues.document import Document
from newsletter.rendering.mail import Face, Rendering


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
class Edition:
    """An issue as it would be mailed: its document, its publication's face, a rendering for each plan."""

    document: Document
    face: Face
    reply_to: str
    plans: tuple[str, ...]
    renderings: tuple[Rendering, ...]
