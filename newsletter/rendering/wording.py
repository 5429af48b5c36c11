"""Wording: what the mail itself says around an issue's text, in its language. Pure; both parts ask here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from newsletter.issues.blocks import Block, Sponsor, Teaser
from newsletter.issues.measure import items_of, minutes_of


@dataclass(frozen=True)
class Wording:
    """A language's words, with the names they are filled with.

    Attributes:
        words: What the theme says in this language, by name.
        plan_names: The publication's plans, by code.
        upgrade_url: Where a reader gets another plan; may be empty.
        sign_in_url: Where somebody who has that plan asks for a link to read it; only on pages that are nobody's own.
    """

    words: Mapping[str, Any]
    plan_names: Mapping[str, str]
    upgrade_url: str
    sign_in_url: str = ""

    @property
    def risk_labels(self) -> frozenset[str]:
        """The labels that make a callout, in lower case."""
        return frozenset(str(label).casefold() for label in self.words["risk_labels"])

    def callout(self, kind: str) -> str:
        """Name a kind of callout."""
        return str(self.words["callouts"][kind])

    def sponsor(self, sponsor: Sponsor) -> str:
        """Label an advertisement: the law asks that readers see it is one."""
        label = sponsor.label or str(self.words["sponsor"])
        return f"{label} · {sponsor.name}" if sponsor.name else label

    def task(self, *, done: bool) -> str:
        """Show whether a task is done."""
        return "☑" if done else "☐"

    def struck(self, text: str) -> str:
        """Show in plain text that something no longer holds; without its mark it would say the contrary."""
        return str(self.words["struck"]).format(text=text)

    def amount(self, blocks: Iterable[Block]) -> str:
        """Say how much there is to read."""
        everything = tuple(blocks)
        return self._amount(items_of(everything), minutes_of(everything))

    def missing(self, teaser: Teaser) -> str:
        """Say how much a teaser stands for."""
        return self._amount(teaser.items, teaser.minutes)

    def for_plans(self, teaser: Teaser) -> str:
        """Say for whose plans the missing part is."""
        names = str(self.words["or"]).join(self.plan_names.get(plan) or plan for plan in teaser.plans)
        return str(self.words["only_for"]).format(plans=names)

    def _amount(self, items: int, minutes: int) -> str:
        return str(self.words["amount" if items else "minutes"]).format(items=items, minutes=minutes)
