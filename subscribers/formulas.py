"""Formulas: cells of CSV files that a spreadsheet would run. Pure; for every file that we write.

A name such as ``=HYPERLINK(…)`` comes from whoever signed up, and runs on the machine of whoever opens the file (OWASP,
"CSV Injection"). An apostrophe before it makes it text. Spreadsheets of some countries split lines at semicolons or
tabs whatever we wrote between the cells, so that a formula may also begin inside a cell. ``restored`` takes exactly
these apostrophes away again.
"""

import re


#: Where a cell may begin, and what begins a formula: also as full-width forms, and what some programs skip before they
#: look. Apostrophes that stand there already are counted in, so that ours can be told from them.
_BEGINS = r"(^|[;\t])"
_FORMULA = r"(?='*[=+\-@\t\r\n＝＋－＠])"
_OPEN = re.compile(_BEGINS + _FORMULA)
_CLOSED = re.compile(_BEGINS + "'" + _FORMULA)


def neutralised(text: str) -> str:
    """Give a cell that no spreadsheet runs."""
    return _OPEN.sub(r"\1'", text)


def restored(text: str) -> str:
    """Give the cell that ``neutralised`` was given."""
    return _CLOSED.sub(r"\1", text)
