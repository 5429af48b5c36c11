"""`newsletter doctor`: whether this installation can mail real readers, and how a saved mail arrived."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from newsletter.cli.console import AsJSON, PublicationCode, out, print_json, say_not_live
from newsletter.composition import Service, load_settings
from newsletter.database import Database
from newsletter.doctor.examination import examine
from newsletter.doctor.installation import Inquiry, Installation
from newsletter.doctor.mail import examine_mail
from newsletter.doctor.names import open_names
from newsletter.doctor.results import Result, Skip, Status
from newsletter.settings import Settings


app = typer.Typer(help="See whether this installation can mail real readers; exit code 1 where there is a problem.")

Offline = Annotated[bool, typer.Option("--offline", help="Ask nobody: skip what needs the network.")]
NameServer = Annotated[
    str | None, typer.Option("--dns", metavar="IP", help="Ask this name server instead of the machine's own.")
]

#: Seconds for one question to SendGrid: somebody waits for the table.
PATIENCE = 15.0
_SQLITE = "sqlite:///"
_LOOKS = {
    Status.problem: ("✗", "bold red"),
    Status.warning: ("!", "yellow"),
    Status.ok: ("✓", "green"),
    Status.skipped: ("–", "dim"),
}


@app.callback(invoke_without_command=True)
def doctor(
    context: typer.Context,
    publication: PublicationCode = None,
    offline: Offline = False,
    dns: NameServer = None,
    as_json: AsJSON = False,
) -> None:
    """Check key, scopes, credits, webhook, sender authentication, store and machine; nothing is changed, nobody mailed.

    `NEWSLETTER_LIVE=true newsletter doctor` asks the real account while the service is still NOT LIVE.
    """
    if context.invoked_subcommand is not None:
        return
    service = Service(load_settings())
    say_not_live(service)
    installation = _installation(service, publication, offline=offline, dns=dns)
    with suppress(Skip):
        # A slip in its code is told once, and not by every check.
        installation.publications()
    _report(examine(installation), as_json=as_json)


@app.command()
def mail(
    file: Annotated[Path, typer.Argument(metavar="FILE.eml", exists=True, dir_okay=False, readable=True)],
    offline: Offline = False,
    dns: NameServer = None,
    as_json: AsJSON = False,
) -> None:
    """Check a mail as it arrived, saved with all its headers: one-click, signatures, authentication, size."""
    _report(examine_mail(file.read_bytes(), None if offline else open_names(dns)), as_json=as_json)


def _installation(service: Service, only: str | None, *, offline: bool, dns: str | None) -> Installation:
    settings = service.settings
    local = settings.emulator_url or f"http://127.0.0.1:{settings.emulator_port}"
    inquiry = Inquiry(service.account_api(local, patience=PATIENCE), service.clock, local=not service.live)
    return Installation(
        settings,
        _store_as_found(settings),
        lambda: service.hasher,
        lambda: service.signer,
        service.clock,
        None if offline else inquiry,
        None if offline else open_names(dns),
        settings.sendgrid_webhook_key,
        only,
    )


def _store_as_found(settings: Settings) -> Database | None:
    """Open the store without making it where it is not there yet."""
    url = settings.resolved_database_url
    if url.startswith(_SQLITE) and not Path(url.removeprefix(_SQLITE)).exists():
        return None
    return Database(settings.resolved_database_url)


def _report(results: Sequence[Result], *, as_json: bool) -> None:
    counts = Counter(result.status for result in results)
    if as_json:
        print_json({"problems": counts[Status.problem], "results": [_row(one) for one in results]})
    else:
        out.print(_table(results))
        out.print(f"\n{_sum(counts)}", style="bold", soft_wrap=True)
    if counts[Status.problem]:
        raise typer.Exit(1)


def _row(result: Result) -> dict[str, str]:
    return {"check": result.check, "status": result.status, "seen": result.seen, "todo": result.todo}


def _table(results: Sequence[Result]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, ratio in (("", None), ("check", None), ("seen", 3), ("what to do", 2)):
        table.add_column(name, overflow="fold", ratio=ratio)
    for one in results:
        mark, style = _LOOKS[one.status]
        table.add_row(f"[{style}]{mark}[/]", f"[{style}]{one.check}[/]", escape(one.seen), escape(one.todo))
    return table


def _sum(counts: Counter[Status]) -> str:
    plural = {Status.problem: "problems", Status.warning: "warnings", Status.ok: "ok", Status.skipped: "skipped"}
    said = [
        f"{counts[one]} {one if counts[one] == 1 else plural[one]}"
        for one in Status
        if counts[one] or one is Status.problem
    ]
    return ", ".join(said) + "."
