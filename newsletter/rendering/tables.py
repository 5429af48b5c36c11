"""Tables: which form a table takes, by its content. Pure; HTML and text both ask here.

*Figures* are short cells in few columns and stay a table. Everything else becomes *cards*, one a row: a table of long
cells is three narrow columns of text on a phone.
"""

from unicodedata import east_asian_width

from newsletter.issues.blocks import Table
from newsletter.issues.inline import plain


#: Columns that still fit beside each other at 320 px.
MOST_COLUMNS = 4
#: Characters of a cell that still read well in a quarter of a phone's width; a CJK character counts double.
LONGEST_CELL = 24


def is_cards(table: Table) -> bool:
    """Tell whether a table is shown as cards."""
    if len(table.head) == 1:
        return False
    cells = [cell for row in table.rows for cell in row]
    return len(table.head) > MOST_COLUMNS or any(width_of(plain(cell)) > LONGEST_CELL for cell in cells)


def width_of(text: str) -> int:
    """Tell how wide a text is in columns of a terminal: a wide character counts double (Unicode TR 11)."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)
