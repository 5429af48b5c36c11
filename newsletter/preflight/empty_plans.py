"""Whether every plan gets something to read, and not just headings and teasers."""

from collections.abc import Iterator

from newsletter.issues.access import cut, may_receive
from newsletter.issues.blocks import Heading, Rule, Teaser
from newsletter.preflight.edition import Edition, Finding, Severity


def check(edition: Edition) -> Iterator[Finding]:
    """Find an issue without text, and plans whose cut of it holds none."""
    if not _has_text(edition.document.blocks):
        yield Finding("empty-plan", Severity.blocker, "the issue has a title and no text: write one", "issue")
        return
    for plan in edition.plans:
        if may_receive(edition.document, plan) and not _has_text(cut(edition.document, plan).blocks):
            message = "these readers get headings and teasers only: write something for them, or name `plans:` on top"
            yield Finding("empty-plan", Severity.warning, message, f"plan {plan.code}")


def _has_text(blocks: tuple[object, ...]) -> bool:
    return any(not isinstance(block, Heading | Rule | Teaser) for block in blocks)
