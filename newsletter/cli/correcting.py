"""`newsletter issue correct`: a mistake that is found after the issue was mailed (docs/sending.md)."""

from pathlib import Path
from typing import Annotated

import typer

from newsletter.cli.console import ID, Yes, confirm, open_service, say
from newsletter.cli.manuscript import read_bytes
from newsletter.delivery.correction_mail import CorrectionOrder, count_was_sent, mail_correction
from newsletter.delivery.corrections import correct as correct_issue
from newsletter.delivery.published import readers_of
from newsletter.issues.shelf import Placing, add_source, find_issue
from subscribers.actors import COMMAND_LINE


def correct(
    issue_id: ID,
    note: Annotated[str, typer.Option(help="What was wrong and is right now, for readers.")],
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The mended text; else the issue's newest revision.")
    ] = None,
    mail: Annotated[bool, typer.Option("--mail", help="Also mail it, shortly, to who was sent what it mends.")] = False,
    section: Annotated[
        str, typer.Option(metavar="HEADING", help="With --mail: the section that it mends; only its readers get it.")
    ] = "",
    undo_minutes: Annotated[
        int | None, typer.Option(min=0, max=1440, help="With --mail: so long it can be undone.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Amend an issue that was mailed: its pages say a dated note; sent mails stay what they were."""
    if section and not mail:
        raise typer.BadParameter("--section says to whom a mail goes: add --mail")
    data = read_bytes(file) if file else None
    service = open_service()
    with service.database.reading() as session:
        issue = find_issue(session, issue_id)
        readers = readers_of(session, issue_id, live=service.live)
    mailed = f", and mail it to those of them who were sent {f'“{section}”' if section else 'it'}" if mail else ""
    confirm(
        f"Issue {issue_id} “{issue.title}” reached {readers:,} readers, whose mails stay as they are. Show the mended "
        f"text in the archive and the feeds, with the note “{note}”{mailed}?",
        yes=yes,
    )
    with service.database.writing() as session:
        now = service.clock()
        if data is not None:
            add_source(session, issue.publication_id, data, Placing(revises=issue_id), by=COMMAND_LINE, now=now)
        made = correct_issue(session, issue_id, note, service.workshop, live=service.live, by=COMMAND_LINE, now=now)
        if mail:
            order = CorrectionOrder(made, section, service.live, undo_minutes)
            mailing = mail_correction(session, order, by=COMMAND_LINE, now=now)
            count = count_was_sent(session, mailing)
    say(f"Issue {issue_id} is corrected in the archive and the feeds; read pages of its mails say the note above them.")
    if mail:
        say(
            f"Mailing {mailing.id} takes it to the {count:,} readers who were sent it; `newsletter mailing show "
            f"{mailing.id}` says when, and `newsletter mailing unschedule {mailing.id}` undoes it until then."
        )
