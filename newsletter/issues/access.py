"""Access: the one rule that says what a plan's readers may read (DESIGN §4.7). Pure, and closed where in doubt."""

from collections.abc import Collection
from dataclasses import dataclass

from newsletter.errors import Refused
from newsletter.issues.document import Document


@dataclass(frozen=True)
class ReaderPlan:
    """A plan as the rule sees it: its code, every plan code its readers may read, and its name for people."""

    code: str
    includes: frozenset[str]
    name: str = ""


def may_receive(document: Document, plan: ReaderPlan) -> bool:
    """Tell whether a plan's readers may have an issue: everybody, unless its front matter names plans."""
    return document.front.plans is None or bool({plan.code, *plan.includes} & set(document.front.plans))


def cut(document: Document, plan: ReaderPlan) -> Document:
    """Give what a plan's readers may read of an issue.

    Raises:
        Refused: They may have none of it.
    """
    if not may_receive(document, plan):
        raise Refused(
            f"readers of plan {plan.code!r} may not have this issue; it is for {', '.join(document.front.plans or ())}"
        )
    return document


def unknown_plans(document: Document, known: Collection[str]) -> tuple[str, ...]:
    """Name the plans that the front matter asks for and the publication does not have."""
    return tuple(plan for plan in document.front.plans or () if plan not in known)
