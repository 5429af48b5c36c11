"""What commands share at the terminal: tables, JSON, the confirmation, NOT LIVE, and where the service comes from."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from newsletter.composition import NOT_LIVE, Service, load_settings
from newsletter.errors import Refused
from subscribers.filters import Filter, said_filter


#: Answers go to standard output, everything about the work to standard error: so that `--json | jq` just works.
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
PublicationCode = Annotated[str | None, typer.Option("--publication", help="Code of the publication, if several.")]
#: No row's id is larger; more is a slip of the hand.
ID = Annotated[int, typer.Argument(metavar="ID", min=1, max=2**31 - 1)]
Limit = Annotated[int, typer.Option(min=1, max=2**31 - 1, help="How many at most.")]
After = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Go on after this id.")]
Conditions = Annotated[
    list[str] | None,
    typer.Option(help="Only readers with this, such as plan=pro; repeatable, all hold. See docs/finding-readers.md."),
]
Override = Annotated[
    list[str] | None, typer.Option("--override", help="A check whose blockers you take upon yourself; recorded.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def meant_by(conditions: Sequence[str] | None) -> Filter:
    """Read the filter that options name; without one everybody is meant.

    Raises:
        RefusedFilter: A condition is empty or cannot be read.
    """
    return said_filter(conditions or ())


def open_service() -> Service:
    """Open the installation that the environment describes, and say whether it is live."""
    service = Service(load_settings())
    say_not_live(service)
    return service


def say_not_live(service: Service) -> None:
    """Say on standard error that no real reader is mailed, where that is so."""
    if service.live:
        return
    err.print(f"[yellow]{NOT_LIVE}.[/]")
    if service.settings.live:
        err.print("[yellow]NEWSLETTER_LIVE is true, but SENDGRID_API_KEY is not set.[/]")


def say(sentence: str) -> None:
    """Say something on standard output, in one line however long it is, so that it can be searched."""
    out.print(sentence, soft_wrap=True, markup=False)


def complain(sentence: str) -> None:
    """Say on standard error why something was refused."""
    err.print(f"[bold red]newsletter:[/] {_plain(sentence)}", soft_wrap=True)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something reaches many people.

    Raises:
        Refused: The answer was no, or nobody is there to answer.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused(f"{question} Nobody is here to answer: add --yes")
    if not typer.confirm(question, err=True):
        raise Refused("not done, as you said")


def print_json(value: object) -> None:
    """Print a value as one line of JSON."""
    sys.stdout.write(orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode() + "\n")
    # Whoever waits for the line of a command that stays up gets it now, also through a pipe.
    sys.stdout.flush()


def print_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, title: str = "") -> None:
    """Print rows as a table of these columns."""
    table = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    out.print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print named values, one a line."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), _cell(value))
    out.print(table)


def _cell(value: object) -> str:
    if value is None or value == "":
        return "[dim]–[/]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _plain(f"{value:,}" if isinstance(value, int) else str(value))


def _plain(text: str) -> str:
    """Keep square brackets in a value from being taken for Rich's mark-up."""
    return text.replace("[", r"\[")


@contextmanager
def counting_bar(what: str) -> Iterator[Callable[[int], object]]:
    """Show on standard error how much is done of work whose size nobody knows; call what is given with each piece."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,}"))
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda pieces: progress.advance(task, pieces)


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[], object]]:
    """Show a bar on standard error while work goes on; call what is given after each piece."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)
