"""Files of people at the terminal: opened, looked through, watched with a bar, and accounted for row by row."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from newsletter.cli.console import err
from newsletter.database import make_private
from newsletter.errors import Refused
from subscribers.csv_rows import Layout, Manner, Row, examine, rows_of
from subscribers.formulas import neutralised


MapOption = Annotated[
    list[str] | None, typer.Option("--map", metavar="OURS=THEIRS", help="Which column is ours, as email=邮箱地址.")
]
ReportOption = Annotated[Path | None, typer.Option(help="Write the account of each row into this CSV file.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would become of each row, and store nothing.")]


#: Rows between two movements of the bar: moving it takes longer than reading one.
BAR_STEP = 500


@dataclass(frozen=True)
class OpenFile:
    """A file that has been looked through, and its rows, which move the bar as they are taken."""

    layout: Layout
    rows: Iterator[Row]

    @property
    def story(self) -> str:
        """What the file was taken for, in a sentence."""
        encoding = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "gb18030": "GB18030"}[self.layout.encoding]
        whose = f"an export of {self.layout.service}" if self.layout.service else "a plain list"
        return f"Read as {whose}, {encoding}, {self.layout.row_count:,} rows."


@contextmanager
def opened(file: Path, said: Sequence[str] | None, *, doing: str) -> Iterator[OpenFile]:
    """Open a CSV file, look through the whole of it, and show on standard error how many rows are done.

    What files of its service do not say is said there too.

    Args:
        file: The file.
        said: What the operator said of its columns, as OURS=THEIRS.
        doing: What is being done, for the bar.

    Raises:
        Refused: The file cannot be opened.
        UnreadableFile: It is no file of people that can be read.
    """
    manner = Manner(file.name, dict(_pair(one) for one in said or ()))
    try:
        stream = file.open("rb")
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}") from None
    with stream:
        layout = examine(stream, manner)
        if layout.caution:
            err.print(f"[yellow]{layout.caution}[/]", soft_wrap=True)
        with _bar(doing, layout.row_count) as advance:
            yield OpenFile(layout, _watched(stream, layout, advance))


@contextmanager
def account_file(
    report: Path | None, source: Path, columns: Sequence[str]
) -> Iterator[Callable[[Sequence[object]], object]]:
    """Open the report on a file; what is given out writes one row of it. Without a report it writes nothing.

    Raises:
        Refused: The report would be written over the file it is about.
    """
    if report is None:
        yield lambda _: None
        return
    if report.exists() and report.samefile(source):
        raise Refused(f"the report would overwrite {source}: choose another name for it")
    make_private(report)
    with report.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        yield lambda cells: writer.writerow([neutralised(str(cell)) for cell in cells])


def _pair(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not equals or not ours.strip() or not theirs.strip():
        said = f"{text!r}: write our column, an equals sign and the file's column: email=邮箱地址"
        raise typer.BadParameter(said, param_hint="--map")
    return ours.strip(), theirs.strip()


def _watched(stream: BinaryIO, layout: Layout, advance: Callable[[int], object]) -> Iterator[Row]:
    for number, row in enumerate(rows_of(stream, layout), start=1):
        yield row
        if number % BAR_STEP == 0:
            advance(BAR_STEP)


@contextmanager
def _bar(doing: str, total: int) -> Iterator[Callable[[int], object]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda steps: progress.advance(task, steps)
