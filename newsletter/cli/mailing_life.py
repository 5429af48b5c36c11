"""`newsletter mailing unschedule|pause|cancel|go`: what an operator does to a mailing on its way (docs/sending.md)."""

from sqlmodel import Session

from newsletter.cli.console import ID, Yes, confirm, open_service, say
from newsletter.composition import Service
from newsletter.delivery import life
from newsletter.delivery.accounts import account_of
from newsletter.delivery.mailings import find_mailing
from newsletter.issues.shelf import find_issue
from subscribers.actors import COMMAND_LINE


def unschedule(mailing_id: ID, yes: Yes = False) -> None:
    """Undo a mailing before its first call: nobody is mailed, and its issue can be scheduled again."""
    service = open_service()
    with service.database.reading() as session:
        question = f"Take back {_named(session, mailing_id)}? Nobody is mailed."
    confirm(question, yes=yes)
    with service.database.writing() as session:
        mailing = life.unschedule(session, mailing_id, by=COMMAND_LINE, now=service.clock())
    _unwind(service, mailing_id)
    say(f"Mailing {mailing_id} is taken back: nobody was mailed. Issue {mailing.issue_id} can be scheduled again.")


def pause(mailing_id: ID) -> None:
    """Stop a mailing for now: no further call begins, and those under way end and are recorded."""
    service = open_service()
    with service.database.writing() as session:
        life.pause(session, mailing_id, by=COMMAND_LINE, now=service.clock())
    with service.database.reading() as session:
        line = _line(session, mailing_id)
    say(f"Mailing {mailing_id} is paused: {line}.")
    say(f"`newsletter mailing resume {mailing_id}` lets it go on.")


def cancel(mailing_id: ID, yes: Yes = False) -> None:
    """Cancel what a mailing has not yet submitted; what was accepted, or may have been, stays as it is."""
    service = open_service()
    with service.database.reading() as session:
        waiting = account_of(session, find_mailing(session, mailing_id)).standing.pending
        question = (
            f"Cancel {_named(session, mailing_id)}: {_line(session, mailing_id)}? The {waiting:,} who wait now are not "
            "mailed by it; a second mailing of the issue reaches them."
        )
    confirm(question, yes=yes)
    with service.database.writing() as session:
        life.cancel(session, mailing_id, by=COMMAND_LINE, now=service.clock())
    _unwind(service, mailing_id)
    with service.database.reading() as session:
        is_over, line = find_mailing(session, mailing_id).ended_at is not None, _line(session, mailing_id)
    say(f"Mailing {mailing_id} is cancelled: {line}.")
    if not is_over:
        say(f"Calls that were under way are recorded as they end: `newsletter mailing show {mailing_id}`.")


def go(mailing_id: ID, yes: Yes = False) -> None:
    """Do not wait any longer for a mailing to be undone: its first call may begin as soon as it is due."""
    service = open_service()
    with service.database.reading() as session:
        question = f"Let {_named(session, mailing_id)} go without the rest of the time to undo it?"
    confirm(question, yes=yes)
    with service.database.writing() as session:
        life.end_undo_window(session, mailing_id, now=service.clock())
    say(f"Mailing {mailing_id} goes as soon as it is due and `newsletter serve` sees it.")


def _unwind(service: Service, mailing_id: int) -> None:
    more = True
    while more:
        with service.database.writing() as session:
            more = life.unwind_next(session, mailing_id, now=service.clock())


def _named(session: Session, mailing_id: int) -> str:
    mailing = find_mailing(session, mailing_id)
    return f"mailing {mailing_id} of “{find_issue(session, mailing.issue_id).title}” ({mailing.state})"


def _line(session: Session, mailing_id: int) -> str:
    return account_of(session, find_mailing(session, mailing_id)).standing.line()
