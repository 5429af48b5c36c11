"""What preflight found, as an operator reads it in a terminal."""

from collections import Counter
from collections.abc import Sequence

from rich.markup import escape

from newsletter.cli.console import out
from newsletter.preflight.edition import Edition, Finding, Severity
from newsletter.preflight.subject import as_phones_cut_it


_LOOKS = {
    Severity.blocker: ("✗", "bold red"),
    Severity.warning: ("!", "yellow"),
    Severity.note: ("·", "dim"),
}


def show(edition: Edition, findings: Sequence[Finding]) -> None:
    """Show an edition in two lines, and its findings."""
    subject = edition.subjects[0] if edition.subjects else edition.document.subject
    sizes = ", ".join(
        f"{one.plan} {len(one.html.encode()) / 1000:.0f} kB HTML + {len(one.text.encode()) / 1000:.0f} kB text"
        for one in edition.renderings
    )
    out.print(
        f"[bold]{escape(subject)}[/]\n[dim]on phones: {escape(as_phones_cut_it(subject))}\n{escape(sizes)}[/]\n",
        soft_wrap=True,
    )
    show_findings(findings)


def show_findings(findings: Sequence[Finding]) -> None:
    """Show findings by severity, and what they come to."""
    for finding in findings:
        mark, style = _LOOKS[finding.severity]
        out.print(
            f"[{style}]{mark} {finding.check}[/]  [dim]{escape(finding.where)}[/]\n  {escape(finding.message)}",
            soft_wrap=True,
        )
    out.print(f"\n{_sum(findings)}" if findings else "Nothing is wrong with it.", style="bold", soft_wrap=True)


def _sum(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.severity for finding in findings)
    said = [f"{counts[one]} {one}{'s' if counts[one] > 1 else ''}" for one in Severity if counts[one]]
    verdict = (
        "It cannot be mailed until the blockers are mended, or overridden by name."
        if counts[Severity.blocker]
        else "It can be mailed."
    )
    return f"{', '.join(said)}. {verdict}"
