"""`newsletter issue`: put editions on the shelf, look at them, check them."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlmodel import Session

from newsletter.cli import correcting, panel
from newsletter.cli.console import (
    ID,
    AsJSON,
    PublicationCode,
    Yes,
    confirm,
    open_service,
    print_facts,
    print_json,
    print_rows,
    progress_bar,
    say,
)
from newsletter.cli.findings import show as show_findings
from newsletter.cli.live_links import addresses_of, probe
from newsletter.cli.manuscript import Manuscript, read_bytes, read_manuscript, say_stand_in
from newsletter.cli.panel import looks_of
from newsletter.cli.previewing import serve_preview
from newsletter.composition import shipped
from newsletter.delivery.approvals import mailings_waiting, retract
from newsletter.delivery.binding import replan
from newsletter.delivery.issue_states import state_of
from newsletter.delivery.panel import in_words
from newsletter.delivery.published import readers_of
from newsletter.errors import BadIssue, Refused
from newsletter.issues.models import Issue
from newsletter.issues.shelf import (
    Placing,
    add_source,
    find_issue,
    latest_revision,
    list_issues,
    put_back,
    revisions_of,
)
from newsletter.preflight.edition import Edition, Finding, Severity, line
from newsletter.preflight.inspection import inspect
from newsletter.publications import publication_named
from newsletter.rendering.export import files
from newsletter.web.preview import Look
from subscribers.actors import COMMAND_LINE


app = typer.Typer(help="Issues: editions of a publication, written in Markdown.", no_args_is_help=True)
app.add_typer(panel.app, name="panel")
app.command("test")(panel.send_test)
app.command("looked-right")(panel.looked_right)
app.command()(correcting.correct)

FileOrID = Annotated[str, typer.Argument(metavar="FILE|ID", help="A Markdown file, or an issue's number.")]
SiteURL = Annotated[str | None, typer.Option("--site-url", help="Where root-relative links point, for a file.")]


@app.command()
def add(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    revises: Annotated[int | None, typer.Option(help="The issue that this is a mended version of.")] = None,
    separate: Annotated[bool, typer.Option("--separate", help="An issue of its own, whatever its title.")] = False,
    publication: PublicationCode = None,
) -> None:
    """Put an issue on the shelf, or a new revision of one."""
    data = read_bytes(file)
    service = open_service()
    with service.database.writing() as session:
        found = publication_named(session, publication)
        placing = Placing(revises, separate=separate)
        shelved = add_source(session, found.id, data, placing, by=COMMAND_LINE, now=service.clock())
        # An approval is of the revision that was looked at: what was to go out with the slot waits for another.
        replan(session, found, now=service.clock())
    word = "is on the shelf" if shelved.is_new else "was on the shelf already"
    say(f"Issue {shelved.issue.id}, revision {shelved.revision.number}, {word}: {shelved.issue.title}")


@app.command("list")
def list_(publication: PublicationCode = None, as_json: AsJSON = False) -> None:
    """List the issues, newest first."""
    service = open_service()
    with service.database.reading() as session:
        issues = list_issues(session, publication_named(session, publication).id)
        rows = [
            _row(session, issue, live=service.live) | {"revisions": len(revisions_of(session, issue.id))}
            for issue in issues
        ]
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, ("id", "title", "state", "revisions", "created_at", "ready_at", "retracted_at"))


@app.command()
def show(issue_id: ID, as_json: AsJSON = False) -> None:
    """Show an issue with its revisions."""
    service = open_service()
    with service.database.reading() as session:
        issue = find_issue(session, issue_id)
        row = _row(session, issue, live=service.live)
        revisions = [row.model_dump(exclude={"source"}) for row in revisions_of(session, issue_id)]
        looks = looks_of(session, latest_revision(session, issue_id))
    if as_json:
        print_json(row | {"revisions": revisions, "panel": [asdict(one) | {"word": one.word} for one in looks]})
        return
    shown = ("id", "title", "state", "created_by", "ready_at", "ready_by", "ready_overrides", "retracted_at")
    print_facts({name: ", ".join(row[name]) if name == "ready_overrides" else row[name] for name in shown})
    print_rows(revisions, ("number", "created_at", "created_by", "sha256"), title="\nRevisions")
    if looks:
        say(f"\nTest panel, newest revision: {in_words(looks)}.")


@app.command("retract")
def retract_(
    issue_id: ID,
    undo: Annotated[bool, typer.Option("--undo", help="Put a retracted issue back.")] = False,
    yes: Yes = False,
) -> None:
    """Take an issue back: archive, feeds and read links hold it no more. Mails that were sent stay where they are."""
    service = open_service()
    with service.database.reading() as session:
        issue = find_issue(session, issue_id)
        readers = readers_of(session, issue_id, live=service.live)
        waiting = mailings_waiting(session, issue_id)
    if undo:
        with service.database.writing() as session:
            is_new = put_back(session, issue_id)
        say(f"Issue {issue_id} is {'back in the archive' if is_new else 'not retracted: nothing was changed'}.")
        return
    numbers = ", ".join(str(one.id) for one in waiting)
    cancelled = f" Mailing {numbers}, which waits for its time, is cancelled." if waiting else ""
    confirm(
        f"Issue {issue_id} “{issue.title}” reached {readers:,} readers. Its page and the read links of its mails will "
        "say that it was retracted, and it leaves archive, search and feeds; the mails themselves stay, and a mailing "
        f"under way goes on.{cancelled} Retract it?",
        yes=yes,
    )
    with service.database.writing() as session:
        is_new = retract(session, issue_id, by=COMMAND_LINE, now=service.clock())
    say(f"Issue {issue_id} {'is' if is_new else 'was already'} retracted; `issue retract {issue_id} --undo` undoes it.")


@app.command("render")
def render_(
    what: FileOrID,
    plan: Annotated[str, typer.Option(help="For readers of this plan.")],
    to: Annotated[Path, typer.Option("--out", help="Folder to write into.")],
    site_url: SiteURL = None,
    publication: PublicationCode = None,
) -> None:
    """Render an issue for a plan into four files: MJML, HTML, text, and facts as JSON."""
    service = open_service()
    manuscript = read_manuscript(service, what, publication, site_url)
    say_stand_in(manuscript)
    written = files(manuscript.rendering(service, plan))
    try:
        to.mkdir(parents=True, exist_ok=True)
        for name, content in written.items():
            (to / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise Refused(f"{to} cannot be written: {error.strerror}") from None
    say(f"{to}: {', '.join(written)}")


@app.command()
def check(
    what: FileOrID,
    site_url: SiteURL = None,
    live: Annotated[bool, typer.Option("--live", help="Also ask every link for an answer, over the network.")] = False,
    publication: PublicationCode = None,
    as_json: AsJSON = False,
) -> None:
    """Tell what is wrong with an issue before readers see it; exit 1 on a blocker."""
    service = open_service()
    manuscript = read_manuscript(service, what, publication, site_url)
    say_stand_in(manuscript)
    try:
        edition = manuscript.edition(service)
    except BadIssue as error:
        if as_json:
            unreadable = Finding("source", Severity.blocker, str(error), line(error.line) if error.line else "")
            print_json({"findings": [asdict(unreadable)]})
        raise
    findings = [*inspect(edition), *(_dead_links(edition) if live else ())]
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        show_findings(edition, findings)
    if any(finding.severity is Severity.blocker for finding in findings):
        raise typer.Exit(1)


@app.command()
def preview(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A Markdown file.")],
    watch: Annotated[bool, typer.Option("--watch", help="Show the page anew whenever the file is saved.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.")] = 0,
    site_url: SiteURL = None,
    publication: PublicationCode = None,
) -> None:
    """Show an issue in the browser as readers will see it, for each plan, beside what preflight finds."""
    service = open_service()

    def read() -> Manuscript:
        return read_manuscript(service, str(file), publication, site_url)

    say_stand_in(read())
    look = Look(lambda: read().edition(service), file, watch=watch)
    serve_preview(look, shipped("templates"), port)


def _row(session: Session, issue: Issue, *, live: bool) -> dict[str, Any]:
    made = ("id", "publication_id", "title", "created_at", "created_by")
    decided = ("ready_at", "ready_by", "ready_overrides", "retracted_at", "retracted_by")
    values = {name: getattr(issue, name) for name in (*made, *decided)}
    return values | {"state": state_of(session, issue, live=live)}


def _dead_links(edition: Edition) -> list[Finding]:
    places = addresses_of(edition)
    with progress_bar("Asking links", len(places)) as done:
        return list(probe(places, done=done))
