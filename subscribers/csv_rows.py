"""CSV files of people: from bytes to rows, before ``importing`` and ``suppression_lists``. No database.

The whole file is looked through before the first row is given out, so that a file that breaks in the middle is refused
with nothing imported. Memory stays flat whatever its size.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import TextIOWrapper
from itertools import islice
from typing import IO

from subscribers.columns import ALIASES, find_columns, folded, full_name
from subscribers.dialects import OURS, Dialect, There, recognise, undecidable
from subscribers.encodings import detect_encoding
from subscribers.errors import UnreadableFile
from subscribers.formulas import restored


DELIMITERS = (",", ";", "\t")
#: A cell of the header may hold line breaks; of a file whose first quote is never closed no more than this is read.
HEADER_LINES = 50


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file.

    Attributes:
        line: Where it begins, counted from 1.
        email: The address as the file has it.
        name: The person's name; joined where the file has it in two halves.
        plan: The plan's code or name, where the file has one.
        plan_until: The plan's last day as the file has it; empty where it has no end.
        problem: Why the row cannot be read; empty where it can.
        there: What the address is at the service that wrote the file.
        proof: What the row says of consent given there.
        ip: The IP address that consent came from.
        locale: The person's language, in our own exports.
    """

    line: int
    email: str
    name: str = ""
    plan: str = ""
    problem: str = ""
    there: There = There.reader
    proof: Mapping[str, str] = field(default_factory=dict)
    ip: str = ""
    locale: str = ""
    plan_until: str = ""


@dataclass(frozen=True)
class Manner:
    """What is said of a file beside its bytes: its name, and which of its columns is which of ours."""

    file_name: str = ""
    mapping: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """How a file is laid out: its encoding, delimiter and columns, which of them we read, and how many rows follow."""

    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    positions: dict[str, int]
    row_count: int
    dialect: Dialect | None = None
    file_name: str = ""

    @property
    def service(self) -> str:
        """Whose export the file is; empty where it is a plain list."""
        return self.dialect.service if self.dialect else ""

    @property
    def caution(self) -> str:
        """What files of that service do not say; empty where they say all."""
        return self.dialect.caution if self.dialect else ""


PLAIN = Manner()


def read_rows(stream: IO[bytes], manner: Manner = PLAIN) -> Iterator[Row]:
    """Read a file's rows; empty ones are left out.

    Args:
        stream: A binary stream that can seek, such as an open file.
        manner: What is said of the file.

    Raises:
        UnreadableFile: The file as a whole cannot be read; raised at once, before any row.
    """
    return rows_of(stream, examine(stream, manner))


def examine(stream: IO[bytes], manner: Manner = PLAIN) -> Layout:
    """Look through the whole file: its layout, and whether every byte and every quote of it can be read.

    Raises:
        UnreadableFile: The file is empty, binary, in an encoding that cannot be told, has no column of addresses or
            two, or a broken quote.
    """
    encoding = detect_encoding(stream)
    with _text(stream, encoding) as text:
        beginning = list(islice((line for line in text if line.strip()), HEADER_LINES))
    if not beginning:
        raise UnreadableFile("the file is empty: add a first line that names the columns, such as: email,name,plan")
    delimiter, columns = _split_header(beginning, manner.mapping)
    dialect = recognise(columns, manner.file_name)
    if dialect is None and not manner.mapping and (column := undecidable(columns)):
        raise UnreadableFile(
            f"the column {column!r} seems to say who has left, and nobody can tell how: take those rows out and the "
            "column away; where it says something else, name the columns that count with --map email=…"
        )
    positions = find_columns(columns, manner.mapping, dialect.columns if dialect else {})
    with _text(stream, encoding) as text:
        row_count = sum(1 for _ in _records(text, delimiter)) - 1
    return Layout(encoding, delimiter, columns, positions, row_count, dialect, manner.file_name)


def rows_of(stream: IO[bytes], layout: Layout) -> Iterator[Row]:
    """Give the rows of a file that has been examined."""
    with _text(stream, layout.encoding) as text:
        records = _records(text, layout.delimiter)
        next(records)
        for line, cells in records:
            yield _row(line, cells, layout)


def _row(line: int, cells: Sequence[str], layout: Layout) -> Row:
    found = {
        column: cells[position].strip() if position < len(cells) else ""
        for column, position in layout.positions.items()
    }
    name = found.get("name", "") or full_name(found.get("given_name", ""), found.get("family_name", ""))
    plan, until, problem = found.get("plan", ""), found.get("plan_until", ""), ""
    if any(cell.strip() for cell in cells[len(layout.columns) :]):
        problem = (
            f"the row has {len(cells)} cells and the header {len(layout.columns)}: "
            f"put cells that hold {layout.delimiter!r} in double quotes"
        )
    dialect = layout.dialect
    if dialect is None:
        return Row(line, found["email"], name, plan, problem, plan_until=until)
    there, proof = dialect.judge(found, layout.file_name), dialect.proof(found)
    row = Row(line, found["email"], name, plan, problem, there, proof, plan_until=until)
    if dialect is OURS:
        return replace(row, email=restored(row.email), name=restored(name), locale=found.get("locale", ""))
    return replace(row, ip=dialect.ip(found))


def _records(text: TextIOWrapper, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Give the line on which each record begins, and its cells; records without any text are left out."""
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    begins = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield begins, cells
            begins = reader.line_num + 1
    except csv.Error as error:
        raise UnreadableFile(_complaint(error), begins) from None


def _complaint(error: csv.Error) -> str:
    """Say what is wrong with a record that the parser gave up."""
    if "limit" in str(error):
        return (
            f"a cell is longer than {csv.field_size_limit():,} characters: shorten it, or close the double quote "
            "that it begins with"
        )
    return f"a double quote is opened and not closed as CSV wants it ({error})"


def _split_header(beginning: Sequence[str], mapping: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Split a header by the delimiter that shows a column of addresses, else by the one that splits it most.

    A cell of it may hold line breaks, in double quotes.
    """
    try:
        splits = {
            delimiter: tuple(" ".join(cell.split()) for cell in next(csv.reader(beginning, delimiter=delimiter)))
            for delimiter in DELIMITERS
        }
    except csv.Error as error:
        raise UnreadableFile(_complaint(error), 1) from None
    wanted = {folded(mapping["email"])} if "email" in mapping else ALIASES["email"]
    for delimiter, columns in splits.items():
        if any(folded(column) in wanted for column in columns):
            return delimiter, columns
    return max(splits.items(), key=lambda split: len(split[1]))


@contextmanager
def _text(stream: IO[bytes], encoding: str) -> Iterator[TextIOWrapper]:
    """Give the stream as text from its beginning, and leave it open."""
    stream.seek(0)
    text = TextIOWrapper(stream, encoding=encoding, newline="")
    try:
        yield text
    finally:
        if not stream.closed:
            text.detach()
