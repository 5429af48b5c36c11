"""What the pages of reports share: their words in two languages, their tables, and the template around them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from newsletter.reports.charts import complaint_bars, stacked_bars
from newsletter.reports.lines import LINES, STAY_UNDER
from newsletter.reports.tallies import Tally


#: Places in the order of a bar, each with its colour.
PLACES = {
    "delivered": "var(--good)",
    "under_way": "var(--wait)",
    "silent": "var(--none)",
    "dropped": "var(--soft)",
    "bounced": "var(--bad)",
}
#: The columns of a table: what needs a look first, since a phone shows the first ones first.
_COLUMNS = ("accepted", "delivered", "bounced", "complained", "dropped", "under_way", "silent")


@dataclass(frozen=True)
class Cell:
    """A value of a table, and whether it is over a line."""

    text: str
    is_over: bool = False


@dataclass(frozen=True)
class Table:
    """A table: the words above its columns, and its rows; the first cell of each names it."""

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Sheet:
    """Paper to print a report on: where the templates are, in which language and zone it speaks."""

    templates: Path
    language: str
    zone: str

    @cached_property
    def words(self) -> Mapping[str, Any]:
        """What the pages say, in their language."""
        text = (self.templates / "reports" / "words.yaml").read_text(encoding="utf-8")
        words: Mapping[str, Any] = yaml.safe_load(text)[self.language]
        return words

    def render(self, template: str, **shown: Any) -> str:
        """Fill a template in."""
        folder = FileSystemLoader(self.templates / "reports")
        environment = Environment(loader=folder, autoescape=select_autoescape(["j2"]), undefined=StrictUndefined)
        return environment.get_template(template).render(
            t=self.words, language=self.language, lines=[f"{line:.1%}" for line in LINES], **shown
        )

    def moment(self, at: datetime | None) -> str:
        """Write a moment as clocks show it in the page's zone."""
        return f"{at.astimezone(ZoneInfo(self.zone)):%Y-%m-%d %H:%M}" if at else "–"

    def day(self, at: datetime | None) -> str:
        """Write a moment's day in the page's zone."""
        return self.moment(at).split(" ", maxsplit=1)[0]

    def named(self, group: str, code: str) -> str:
        """Give the word of a code, or what can be read of it where none is written."""
        return str(self.words[group].get(code, code.replace("_", " ")))

    def legend(self) -> list[tuple[str, str]]:
        """Give the word and the colour of each place of a bar."""
        return [(self.words[place], color) for place, color in PLACES.items()]

    def bars(self, rows: Sequence[tuple[str, Tally]]) -> Markup:
        """Draw what became of the accepted of each row, in percent of them."""
        parts = {
            self.words[place]: [_percent(getattr(one, place), one.accepted) for _, one in rows] for place in PLACES
        }
        return stacked_bars([name for name, _ in rows], parts, list(PLACES.values()))

    def complaints(self, rows: Sequence[tuple[str, Tally]]) -> Markup:
        """Draw the complaints of each row beside the lines, where there is one."""
        if not any(one.complained for _, one in rows):
            return Markup("")
        return complaint_bars([(name, one.complaint_share) for name, one in rows], self.words["complained"])

    def table(self, first: str, rows: Sequence[tuple[str, Tally]]) -> Table:
        """Lay out what became of each row."""
        head = [self.words[first], *(self.words[column] for column in _COLUMNS)]
        return Table(head, [[Cell(name or "–"), *(_cell(one, column) for column in _COLUMNS)] for name, one in rows])


def share(part: int, whole: int, digits: int = 1) -> str:
    """Write a share in percent, where there is one."""
    return f"{part / whole:.{digits}%}" if whole and part else ""


def _cell(one: Tally, column: str) -> Cell:
    count = int(getattr(one, column))
    if column != "complained" or not count:
        return Cell(f"{count:,}")
    return Cell(f"{count:,} ({one.complaint_share:.2%})", is_over=one.complaint_share >= STAY_UNDER)


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole and part else None
