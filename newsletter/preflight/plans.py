"""Whether the issue's `plans:` are plans of the publication, and somebody may have the issue."""

from collections.abc import Iterator

from newsletter.issues.access import unknown_plans
from newsletter.preflight.edition import Edition, Finding, Severity


def check(edition: Edition) -> Iterator[Finding]:
    """Find unknown plans, and an issue that no plan may have."""
    for plan in unknown_plans(edition.document, edition.plans):
        known = ", ".join(edition.plans)
        message = f"the issue is for plan {plan!r}, which the publication does not have; it has {known}"
        yield Finding("plans", Severity.blocker, message, "front matter, plans")
    if not edition.renderings:
        yield Finding("plans", Severity.blocker, "no plan may have this issue", "front matter, plans")
