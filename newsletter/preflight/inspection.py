"""The runner: every check in turn, blockers first."""

from collections.abc import Callable, Iterable

from newsletter.preflight import complete_publication, leftover_markdown, links, plans, size, unsubscribe
from newsletter.preflight.edition import Edition, Finding, Severity


CHECKS: tuple[Callable[[Edition], Iterable[Finding]], ...] = (
    complete_publication.check,
    plans.check,
    unsubscribe.check,
    links.check,
    leftover_markdown.check,
    size.check,
)


def inspect(edition: Edition) -> tuple[Finding, ...]:
    """List everything that is wrong with an edition, blockers first."""
    findings = [finding for check in CHECKS for finding in check(edition)]
    return tuple(sorted(findings, key=lambda finding: list(Severity).index(finding.severity)))
