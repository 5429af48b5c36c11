"""Whether the plans that an issue asks for are plans of the publication, and somebody may have the issue."""

from collections.abc import Iterator

from newsletter.issues.access import unknown_plans
from newsletter.preflight.edition import Edition, Finding, Severity, line


def check(edition: Edition) -> Iterator[Finding]:
    """Find unknown plans, and an issue that no plan may have."""
    known = [plan.code for plan in edition.plans]
    unknown = unknown_plans(edition.document, known)
    for plan, number in unknown.items():
        message = f"the issue asks for plan {plan!r}, which the publication does not have; it has {', '.join(known)}"
        yield Finding("plans", Severity.blocker, message, line(number))
    if not edition.renderings and not unknown:
        yield Finding("plans", Severity.blocker, "no plan may have this issue: mend `plans:`", edition.place("plans"))
