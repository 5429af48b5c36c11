"""Formulas: no cell that we write is run by a spreadsheet, and each is read back as it was."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscribers.formulas import neutralised, restored


TRICKY = st.text(st.sampled_from("=+-@'\t\r\n;, a1＝＋－＠"), max_size=12)


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ('=HYPERLINK("https://example.com")', '\'=HYPERLINK("https://example.com")'),
        ("+1 555", "'+1 555"),
        ("@SUM(1)", "'@SUM(1)"),
        ("＝1+1", "'＝1+1"),
        ("Anna;=1+1", "Anna;'=1+1"),
        ("Anna\t=1+1", "Anna\t'=1+1"),
        ("'=1", "''=1"),
        ("O'Hara", "O'Hara"),
        ("Jean-Luc @ home", "Jean-Luc @ home"),
        ("", ""),
    ],
)
def test_a_formula_becomes_text_and_text_stays(cell, written):
    assert neutralised(cell) == written


@given(st.text() | TRICKY)
def test_no_cell_begins_a_formula_wherever_a_spreadsheet_splits_lines(text):
    written = neutralised(text)
    assert not re.match(r"[=+\-@\t\r\n＝＋－＠]", written)
    assert not re.search(r"[;\t][=+\-@\t\r\n＝＋－＠]", written)


@given(st.text() | TRICKY)
def test_what_was_written_is_read_back(text):
    assert restored(neutralised(text)) == text
