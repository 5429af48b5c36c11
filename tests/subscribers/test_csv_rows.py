"""CSV files: every dialect people save, and a sentence for every file that is none."""

import csv
from io import BytesIO, StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subscribers.csv_rows import Manner, Row, examine, read_rows
from subscribers.errors import UnreadableFile


def rows(data: bytes | str) -> list[Row]:
    return list(read_rows(BytesIO(data if isinstance(data, bytes) else data.encode())))


@pytest.mark.parametrize(
    "text",
    [
        "email,name,plan\na@example.com,Anna,pro\n",
        "\ufeffemail,name,plan\r\na@example.com,Anna,pro",
        "E-Mail;Name;Plan\ra@example.com;Anna;pro\r",
        "邮箱\t姓名\t方案\na@example.com\tAnna\tpro\n",
        "方案,名字,邮件地址,其他\npro,Anna,a@example.com,x\n",
        '"Email Address","name","PLAN"\n" a@example.com ","Anna","pro"\n',
        "ｅｍａｉｌ,Full Name,plan\na@example.com,Anna,pro\n",
    ],
)
def test_dialects_and_names_of_columns_that_people_use(text):
    (row,) = rows(text)
    assert (row.line, row.email, row.name, row.plan, row.problem) == (
        2,
        "a@example.com",
        "Anna" if "ame" in text.lower() or "名" in text else "",
        "pro",
        "",
    )


def test_lines_are_those_an_editor_shows_also_after_empty_ones_and_breaks_in_cells():
    text = 'email,name\n\n a@example.com,"Anna\nMaria"\n , \nb@example.com,Ben\n'
    assert [(row.line, row.email) for row in rows(text)] == [(3, "a@example.com"), (6, "b@example.com")]


def test_a_file_of_one_column_needs_no_delimiter():
    assert [row.email for row in rows("mail\na@example.com\nb@example.com")] == ["a@example.com", "b@example.com"]


def test_short_rows_are_filled_and_long_rows_are_a_problem_of_their_own():
    text = "email,name,plan\na@example.com\nb@example.com,Berg, Ben,pro\nc@example.com,Cleo,free,,\n"
    short, long, trailing = rows(text)
    assert (short.name, short.plan, short.problem) == ("", "", "")
    assert "double quotes" in long.problem
    assert (trailing.plan, trailing.problem) == ("free", "")


def test_a_layout_tells_the_size_before_the_first_row():
    layout = examine(BytesIO(b"name;email\n;a@example.com\n\n;b@example.com\n"))
    assert (layout.delimiter, layout.columns, layout.row_count) == (";", ("name", "email"), 2)


def test_a_header_without_rows_is_a_file_of_nobody():
    assert rows("email,name\n") == []


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b" \n\r\n", "empty"),
        (b"PK\x03\x04\x00\x00", "binary"),
        ("email\na@example.com".encode("utf-16-le"), "binary or UTF-16"),
        ("email\na@example.com".encode("utf-16")[:-1], "broken UTF-16"),
        (b"email,name\na@example.com,A\0na\n", "binary"),
        (b"email\n" + b"a@example.com\n" * 200_000 + b"\xff\xfe\n", "line 200002: the text is not UTF-8"),
        (b"email\na@example.com\n\xe4\xb8", "line 3: the file ends in the middle"),
        (b"address,name\na@example.com,Anna\n", "'address', 'name'"),
        (b"a@example.com,Anna\nb@example.com,Ben\n", "no header"),
        ("email,邮箱\na@example.com,b@example.com\n".encode(), "two columns are called email"),
        (b'email,name\na@example.com,"Anna\nb@example.com,Ben\n', "line 2: a double quote"),
        (b'email,name\na@example.com,Anna\nb@example.com,"Ben" B\n', "line 3: a double quote"),
        (b'email\na@example.com\n"' + b"x" * 200_000 + b'"\n', "line 3:"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_before_its_first_row(data, sentence):
    with pytest.raises(UnreadableFile, match=sentence) as refusal:
        read_rows(BytesIO(data))
    assert "example.com" not in str(refusal.value)


def test_the_stream_stays_open_and_can_be_read_again():
    stream = BytesIO(b"email\na@example.com\n")
    assert list(read_rows(stream)) == list(read_rows(stream))
    next(read_rows(stream))
    assert not stream.closed


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@settings(deadline=None)
@given(st.lists(st.tuples(CELL, CELL), max_size=8), st.sampled_from([",", ";", "\t"]), st.booleans())
def test_what_a_csv_writer_writes_is_read_back(pairs, delimiter, with_bom):
    text = StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerows([("email", "name"), *pairs])
    read = rows(text.getvalue().encode("utf-8-sig" if with_bom else "utf-8"))
    kept = [(email.strip(), name.strip()) for email, name in pairs if email.strip() or name.strip()]
    assert [(row.email, row.name) for row in read] == kept
    assert not any(row.problem for row in read)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_a_sentence(data):
    try:
        read = rows(data)
    except UnreadableFile:
        return
    assert all(row.line > 1 for row in read)


def test_a_cell_of_the_header_may_hold_a_line_break():
    (row,) = read_rows(BytesIO(b'"Your\nname",email\r\nAnna,anna@example.com\r\n'))
    assert (row.line, row.email) == (3, "anna@example.com")


@pytest.mark.parametrize(
    "data",
    [
        b"email," + b"x" * 200_000 + b"\na@example.com,x\n",
        b"email,name\na@example.com,anna\nb@example.com," + b"x" * 200_000 + b"\n",
        b"x" * 10_000_000,
    ],
)
def test_a_cell_that_is_too_long_is_named_as_that(data):
    with pytest.raises(UnreadableFile, match="longer than 131,072 characters"):
        list(read_rows(BytesIO(data)))


@pytest.mark.parametrize("column", ["status", "Unsubscribed", "opt-out", "退订", "State"])
def test_a_list_that_says_who_left_in_words_of_its_own_is_not_guessed_at(column):
    data = f"email,{column}\na@example.com,yes\n".encode()
    with pytest.raises(UnreadableFile, match="who has left"):
        read_rows(BytesIO(data))
    (row,) = read_rows(BytesIO(data), Manner(mapping={"email": "email"}))
    assert row.email == "a@example.com"
