"""CSV files of readers: from bytes to rows, before ``importing``. No database.

The whole file is looked through before the first row is given out, so that a file that breaks in the middle is refused
with nothing imported. Memory stays flat whatever its size.
"""

import codecs
import csv
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from typing import IO

from subscribers.errors import UnreadableFile


DELIMITERS = (",", ";", "\t")

#: What files call our columns, as ``_folded`` writes them.
_ALIASES = {
    "email": frozenset(
        {
            "email",
            "emailaddress",
            "mail",
            "邮箱",
            "邮箱地址",
            "邮件",
            "邮件地址",
            "电子邮箱",
            "电子邮件",
            "电子邮件地址",
        }
    ),
    "name": frozenset({"name", "fullname", "姓名", "名字", "名称"}),
    "plan": frozenset({"plan", "方案"}),
}
_BLOCK = 1 << 20
_HEADER = "add a first line that names the columns, such as: email,name,plan"


@dataclass(frozen=True)
class Row:
    """One row of a file; ``line`` is where it begins, counted from 1. A ``problem`` says why it cannot be read."""

    line: int
    email: str
    name: str = ""
    plan: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Layout:
    """How a file is laid out: its delimiter, its columns, which of them we read, and how many rows follow."""

    delimiter: str
    columns: tuple[str, ...]
    positions: dict[str, int]
    row_count: int


def read_rows(stream: IO[bytes]) -> Iterator[Row]:
    """Read a file's rows; empty ones are left out.

    Args:
        stream: A binary stream that can seek, such as an open file.

    Raises:
        UnreadableFile: The file as a whole cannot be read; raised at once, before any row.
    """
    layout = examine(stream)
    return _rows(stream, layout)


def examine(stream: IO[bytes]) -> Layout:
    """Look through the whole file: its layout, and whether every byte and every quote of it can be read.

    Raises:
        UnreadableFile: The file is empty, binary, not UTF-8, has no column of addresses or two, or a broken quote.
    """
    _refuse_other_encodings(stream)
    with _text(stream) as text:
        first_line = next((line for line in text if line.strip()), "")
    if not first_line:
        raise UnreadableFile(f"the file is empty: {_HEADER}")
    delimiter, columns = _split_header(first_line)
    positions = _positions(columns)
    with _text(stream) as text:
        row_count = sum(1 for _ in _records(text, delimiter)) - 1
    return Layout(delimiter, columns, positions, row_count)


def _rows(stream: IO[bytes], layout: Layout) -> Iterator[Row]:
    with _text(stream) as text:
        records = _records(text, layout.delimiter)
        next(records)
        for line, cells in records:
            yield _row(line, cells, layout)


def _row(line: int, cells: Sequence[str], layout: Layout) -> Row:
    found = {
        column: cells[position].strip() if position < len(cells) else ""
        for column, position in layout.positions.items()
    }
    problem = ""
    if any(cell.strip() for cell in cells[len(layout.columns) :]):
        problem = (
            f"the row has {len(cells)} cells and the header {len(layout.columns)}: "
            f"put cells that hold {layout.delimiter!r} in double quotes"
        )
    return Row(line, found["email"], found.get("name", ""), found.get("plan", ""), problem)


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
        raise UnreadableFile(f"a double quote is opened and not closed as CSV wants it ({error})", begins) from None


def _split_header(line: str) -> tuple[str, tuple[str, ...]]:
    """Split a header by the delimiter that shows a column of addresses, else by the one that splits it most."""
    splits = {
        delimiter: tuple(cell.strip() for cell in next(csv.reader([line], delimiter=delimiter)))
        for delimiter in DELIMITERS
    }
    for delimiter, columns in splits.items():
        if any(_folded(column) in _ALIASES["email"] for column in columns):
            return delimiter, columns
    return max(splits.items(), key=lambda split: len(split[1]))


def _positions(columns: Sequence[str]) -> dict[str, int]:
    """Find our columns among the file's."""
    positions: dict[str, int] = {}
    for position, column in enumerate(columns):
        for ours, aliases in _ALIASES.items():
            if _folded(column) not in aliases:
                continue
            if ours in positions:
                raise UnreadableFile(
                    f"two columns are called {ours}: {columns[positions[ours]]!r} and {column!r}; rename one of them"
                )
            positions[ours] = position
    if "email" not in positions:
        raise UnreadableFile(_without_addresses(columns))
    return positions


def _without_addresses(columns: Sequence[str]) -> str:
    if any("@" in column for column in columns):
        # The line is somebody's data: it is not repeated.
        return f"the file has no header, its first line holds an address: {_HEADER}"
    named = ", ".join(repr(column[:40]) for column in columns)
    return f"no column is called email (the file has: {named}): rename the column of addresses to email"


def _folded(column: str) -> str:
    """Fold a column's name: case, width, spaces and hyphens aside."""
    plain = unicodedata.normalize("NFKC", column).casefold()
    return "".join(character for character in plain if character not in " \t_-")


def _refuse_other_encodings(stream: IO[bytes]) -> None:
    """Look at every byte of the stream."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    stream.seek(0)
    while block := stream.read(_BLOCK):
        if b"\0" in block:
            raise UnreadableFile("the file is binary or UTF-16, not CSV: save it as “CSV UTF-8” and import that")
        line += _decodable_lines(decoder, block, line)
    _decodable_lines(decoder, b"", line, final=True)


def _decodable_lines(decoder: codecs.IncrementalDecoder, block: bytes, line: int, *, final: bool = False) -> int:
    try:
        return decoder.decode(block, final).count("\n")
    except UnicodeDecodeError as error:
        broken_at = line + error.object[: error.start].count(b"\n")
        raise UnreadableFile("the text is not UTF-8: save the file as “CSV UTF-8” and import that", broken_at) from None


@contextmanager
def _text(stream: IO[bytes]) -> Iterator[TextIOWrapper]:
    """Give the stream as text from its beginning, and leave it open."""
    stream.seek(0)
    text = TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    try:
        yield text
    finally:
        if not stream.closed:
            text.detach()
