"""`newsletter notices`: what waits to leave, how it ended, and how notices look."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlmodel import Session

from newsletter.cli.console import AsJSON, Limit, PublicationCode, open_service, print_json, print_rows, say
from newsletter.notices.addressing import address_of
from newsletter.notices.rendering import render_notice
from newsletter.notices.samples import sample_letter
from newsletter.outbox import Notice, NoticeKind, NoticeState, list_notices
from newsletter.publications import list_publications, publication_named
from newsletter.rendering.mail import links_in
from subscribers.addresses import mask
from subscribers.roster import find_subscription


app = typer.Typer(help="Notices, the single mails: list them, look at them.", no_args_is_help=True)

_COLUMNS = ("id", "kind", "publication", "address", "state", "created_at", "tries", "reason")


@app.command("list")
def list_(
    state: Annotated[NoticeState | None, typer.Option(help="Only notices in this state.")] = None,
    limit: Limit = 100,
    publication: PublicationCode = None,
    as_json: AsJSON = False,
) -> None:
    """List notices of the last 90 days, the newest first; addresses are masked."""
    with open_service().database.reading() as session:
        code_of = {one.id: one.code for one in list_publications(session)}
        only = publication_named(session, publication).id if publication else None
        found = list_notices(session, publication_id=only, state=state, limit=limit)
        rows = [_row(session, notice, code_of) for notice in found]
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, _COLUMNS)


@app.command()
def render(
    kind: Annotated[NoticeKind, typer.Argument(metavar="KIND", help="Which notice, such as confirm.")],
    out: Annotated[Path, typer.Option(help="Folder to write into.")],
    locale: Annotated[str | None, typer.Option(help="Language, where it is not the publication's own.")] = None,
    publication: PublicationCode = None,
) -> None:
    """Write a notice to an invented reader as files: MJML, HTML, text, and JSON about it."""
    service = open_service()
    with service.database.reading() as session:
        found = publication_named(session, publication)
    theme = service.notice_theme
    mail = render_notice(sample_letter(kind, found, locale or found.locale, theme, now=service.clock()), theme)
    links = list(dict.fromkeys(links_in(mail.html)))
    about = json.dumps({"subject": mail.subject, "links": links}, ensure_ascii=False, indent=2) + "\n"
    out.mkdir(parents=True, exist_ok=True)
    for suffix, content in (("mjml", mail.mjml), ("html", mail.html), ("txt", mail.text), ("json", about)):
        (out / f"{kind}.{suffix}").write_text(content, encoding="utf-8")
    say(f"{mail.subject}: written to {out}/{kind}.html, .txt, .mjml and .json.")


def _row(session: Session, notice: Notice, code_of: dict[int, str]) -> dict[str, Any]:
    address = address_of(session, notice, find_subscription(session, notice.subscription_id))
    return {
        "id": notice.id,
        "kind": str(notice.kind),
        "publication": code_of[notice.publication_id],
        "address": mask(address) if address else "",
        "state": str(notice.state),
        "live": notice.live,
        "created_at": notice.created_at,
        "ended_at": notice.ended_at,
        "not_before": notice.not_before,
        "tries": notice.tries,
        "message_id": notice.message_id,
        "reason": notice.reason,
    }
