"""`newsletter issue ready`: approve an issue for the weekly slot."""

from typing import Annotated

import typer
from sqlmodel import Session

from newsletter.cli.console import ID, Override, open_service, say
from newsletter.composition import Service
from newsletter.delivery.agenda import Use, calendar
from newsletter.delivery.approvals import approve, withdraw
from newsletter.delivery.slot_alerts import local_time
from newsletter.errors import NotFound
from newsletter.issues.models import Issue
from newsletter.publications import home_of, publication_by_id
from subscribers.actors import COMMAND_LINE
from subscribers.audience import audience_size
from subscribers.filters import EVERYBODY
from subscribers.matching import matches


def ready(
    issue_id: ID,
    override: Override = None,
    undo: Annotated[bool, typer.Option("--undo", help="Make it a draft again.")] = False,
) -> None:
    """Approve the newest revision: it takes the next free date of the weekly slot."""
    service = open_service()
    if undo:
        _undo(service, issue_id)
        return
    with service.database.writing() as session:
        issue = approve(
            session,
            issue_id,
            service.workshop,
            overrides=override or (),
            live=service.live,
            by=COMMAND_LINE,
            now=service.clock(),
        )
        following = _what_follows(session, service, issue)
    say(f"Issue {issue_id} “{issue.title}” is ready. {following}")


def _undo(service: Service, issue_id: int) -> None:
    with service.database.writing() as session:
        changed = withdraw(session, issue_id, live=service.live, now=service.clock())
    say(f"Issue {issue_id} {'is a draft again' if changed else 'was no more than a draft: nothing was changed'}.")


def _what_follows(session: Session, service: Service, issue: Issue) -> str:
    """Say when a ready issue goes out, and to how many."""
    publication = publication_by_id(session, issue.publication_id)
    try:
        entries = calendar(session, publication, live=service.live, now=service.clock(), weeks=52)
    except NotFound as no_slot:
        return f"It is not mailed by itself: {no_slot}."
    found = next((one for one in entries if one.use is Use.foreseen and one.issue_id == issue.id), None)
    if found is None:
        return "No date of the slot is free within a year; `newsletter slots list` shows what takes them."
    everybody = matches(session, EVERYBODY, home_of(publication))
    readers = audience_size(session, publication.id, everybody, now=service.clock()).may_be_mailed
    when = local_time(found.occurrence.at, publication)
    undo = f"`newsletter issue ready {issue.id} --undo` undoes it"
    return f"It goes out at {when}, to the {readers:,} readers who may be mailed as it stands now; {undo}."
