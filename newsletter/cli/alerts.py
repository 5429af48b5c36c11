"""`newsletter alerts`: what operators were told, by which way, and how that went."""

from typing import Any

import typer
from sqlmodel import Session, col, select

from newsletter.alerts import Alert, AlertKind, AlertPost, NewAlert, PostState, raise_alert
from newsletter.cli.console import AsJSON, Limit, PublicationCode, open_service, print_json, print_rows
from newsletter.errors import NewsletterError, Refused
from newsletter.notices.alerting import tell_next
from newsletter.publications import publication_named


app = typer.Typer(help="What operators are told, by mail and by hooks.", no_args_is_help=True)


@app.command("list")
def list_(limit: Limit = 50, as_json: AsJSON = False) -> None:
    """List alerts, the newest first, each with how its telling went."""
    with open_service().database.reading() as session:
        rows = _rows(session, limit)
    if as_json:
        print_json(rows)
        return
    columns = ("id", "created_at", "kind", "about", "repeats", "told")
    print_rows([row | {"told": _in_words(row["ways"])} for row in rows], columns)


@app.command("test")
def trial(publication: PublicationCode = None, as_json: AsJSON = False) -> None:
    """Tell a trial by every way there is, at once, and say how each went."""
    service = open_service()
    desk = service.alert_desk(service.local_sendgrid_url)
    if not desk.ways:
        raise Refused("there is no way to tell: set NEWSLETTER_ALERT_MAIL or NEWSLETTER_ALERT_HOOKS (docs/alerts.md)")
    with service.database.writing() as session:
        found = publication_named(session, publication)
        about = f"trial at {service.clock():%H:%M:%S}"
        alert_id = raise_alert(session, NewAlert(AlertKind.trial, about, found.id, service.live), now=service.clock())
    for way in desk.ways:
        while tell_next(desk, way):
            pass
    with service.database.reading() as session:
        ways = _ways(session, alert_id)
    if as_json:
        print_json(ways)
    else:
        print_rows([{"way": name, **one} for name, one in ways.items()], ("way", "state", "result"))
    if any(one["state"] != PostState.told for one in ways.values()):
        raise NewsletterError("not every way works: see above")


def _rows(session: Session, limit: int) -> list[dict[str, Any]]:
    found = session.exec(select(Alert).order_by(col(Alert.id).desc()).limit(limit))
    return [one.model_dump() | {"ways": _ways(session, one.id)} for one in found]


def _ways(session: Session, alert_id: int) -> dict[str, dict[str, Any]]:
    found = select(AlertPost).where(AlertPost.alert_id == alert_id).order_by(col(AlertPost.id))
    return {one.way: {"state": one.state, "tries": one.tries, "result": one.result} for one in session.exec(found)}


def _in_words(ways: dict[str, dict[str, Any]]) -> str:
    return "; ".join(f"{name}: {one['result'] or one['state']}" for name, one in ways.items())
