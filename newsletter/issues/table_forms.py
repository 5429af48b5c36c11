"""The form a table takes, by its content. Pure; renderer and reading measure ask here.

*Figures* are short cells in few columns and stay a table. Everything else becomes *cards*, one a row: a table of long
cells is three narrow columns of text on a phone.
"""

from unicodedata import east_asian_width

from newsletter.issues.blocks import Table
from newsletter.issues.inline import Break, CodeSpan, Inlines, Picture, plain, walk


#: Columns that still fit beside each other at 320 px.
MOST_COLUMNS = 4
#: Characters of a cell that still read well in a quarter of a phone's width; a CJK character counts double.
LONGEST_CELL = 24


def is_cards(table: Table) -> bool:
    """Tell whether a table is shown as cards."""
    if len(table.head) == 1:
        return False
    cells = [*table.head, *(cell for row in table.rows for cell in row)]
    return len(table.head) > MOST_COLUMNS or any(_is_long(cell) for cell in cells)


def _is_long(cell: Inlines) -> bool:
    longest = any(isinstance(one, Picture | Break) for one in walk(cell))
    code = max((width_of(one.text) for one in walk(cell) if isinstance(one, CodeSpan)), default=0)
    return longest or width_of(plain(cell)) > LONGEST_CELL or code > LONGEST_CELL // 2


def width_of(text: str) -> int:
    """Tell how wide a text is in columns of a terminal: a wide character counts double (Unicode TR 11)."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)
