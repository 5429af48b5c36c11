"""The runner: every check in turn, blockers first; what several plans share is said once."""

from collections.abc import Callable, Iterable, Mapping

from newsletter.preflight import (
    charset,
    client_rules,
    client_support,
    complete_publication,
    contrast,
    dates,
    dropped_html,
    empty_plans,
    fields,
    headings,
    images,
    language,
    leaks,
    leftover_markdown,
    link_parity,
    links,
    mailed_before,
    mjml_tags,
    plans,
    preheader,
    rows_without_link,
    size,
    sponsor_label,
    style_size,
    subject,
    table_bounds,
    todo_marks,
    unsubscribe,
)
from newsletter.preflight.edition import Edition, Finding, Severity


Check = Callable[[Edition], Iterable[Finding]]

#: Every check by the name that its findings carry, and that an operator overrides it by.
CHECKS: Mapping[str, Check] = {
    "publication": complete_publication.check,
    "plans": plans.check,
    "leak": leaks.check,
    "empty-plan": empty_plans.check,
    "mailed-before": mailed_before.check,
    "date": dates.check,
    "subject": subject.check,
    "preheader": preheader.check,
    "fields": fields.check,
    "leftover-markdown": leftover_markdown.check,
    "todo": todo_marks.check,
    "dropped-html": dropped_html.check,
    "sponsor-label": sponsor_label.check,
    "headings": headings.check,
    "tables": table_bounds.check,
    "rows-without-link": rows_without_link.check,
    "links": links.check,
    "link-parity": link_parity.check,
    "images": images.check,
    "unsubscribe": unsubscribe.check,
    "language": language.check,
    "charset": charset.check,
    "size": size.check,
    "style-size": style_size.check,
    "mjml-tags": mjml_tags.check,
    "contrast": contrast.check,
    "client-support": client_support.check,
    "client-rules": client_rules.check,
}
NAMES = frozenset(CHECKS)
_PLAN = "plan "


def inspect(edition: Edition) -> tuple[Finding, ...]:
    """List everything that is wrong with an edition, blockers first."""
    findings = [finding for check in CHECKS.values() for finding in check(edition)]
    return tuple(sorted(_said_once(findings), key=lambda finding: list(Severity).index(finding.severity)))


def _said_once(findings: Iterable[Finding]) -> list[Finding]:
    places: dict[tuple[str, Severity, str], list[str]] = {}
    for finding in findings:
        places.setdefault((finding.check, finding.severity, finding.message), []).append(finding.where)
    return [Finding(*said, where) for said, wheres in places.items() for where in _joined(tuple(dict.fromkeys(wheres)))]


def _joined(wheres: tuple[str, ...]) -> tuple[str, ...]:
    """Join the plans that share a finding into one place; lines stay places of their own."""
    plans_of = [where.removeprefix(_PLAN) for where in wheres if where.startswith(_PLAN)]
    others = tuple(where for where in wheres if not where.startswith(_PLAN))
    if not plans_of:
        return others
    return (*others, f"plan{'s' if len(plans_of) > 1 else ''} {', '.join(plans_of)}")
