"""Beside another: an issue has one mailing at a time on each side of NOT LIVE. Asked at every beginning.

A second one would leave out everybody who still waits in the first; and if that is cancelled then, nobody mails them.
"""

from sqlalchemy import ColumnElement, exists, or_
from sqlmodel import Session, col, select

from newsletter.delivery.lifecycle import AT_WORK, MailingState
from newsletter.delivery.models import Batch, Mailing
from newsletter.errors import Refused
from newsletter.issues.models import Issue


_UNDER_WAY = (
    MailingState.scheduled,
    MailingState.freezing,
    MailingState.running,
    MailingState.paused,
    MailingState.halted,
)


def another(session: Session, issue_id: int, *, live: bool, but: int = 0, begun: bool = False) -> Mailing | None:
    """Find a mailing of an issue that is scheduled, or in which somebody waits.

    Args:
        session: Where it is looked for; who asks about the same issue at the same moment waits until it ends.
        issue_id: Of which issue.
        live: On which side of NOT LIVE.
        but: A mailing that does not count.
        begun: Only what has begun: nobody waits in what has no audience yet.
    """
    session.execute(select(Issue.id).where(Issue.id == issue_id).with_for_update(key_share=True))
    mine = (col(Mailing.issue_id) == issue_id) & col(Mailing.live).is_(live) & (col(Mailing.id) != but) & _is_open()
    if begun:
        mine &= col(Mailing.begun_at).is_not(None)
    found = select(Mailing).where(mine).order_by(col(Mailing.id)).execution_options(populate_existing=True)
    return session.exec(found).first()


def _is_open() -> ColumnElement[bool]:
    at_work = exists().where(col(Batch.mailing_id) == col(Mailing.id), col(Batch.state).in_(AT_WORK))
    held = (col(Mailing.state) == MailingState.held) & or_(col(Mailing.frozen_at).is_(None), at_work)
    unwinds = (col(Mailing.state) == MailingState.cancelled) & or_(col(Mailing.ended_at).is_(None), at_work)
    return or_(col(Mailing.state).in_(_UNDER_WAY), held, unwinds)


def refuse_beside_another(session: Session, issue_id: int, *, live: bool, but: int = 0, begun: bool = False) -> None:
    """Refuse to begin a mailing of an issue beside another (see :func:`another`).

    Raises:
        Refused: There is one; the sentence says what can be done.
    """
    if (other := another(session, issue_id, live=live, but=but, begun=begun)) is not None:
        raise Refused(f"mailing {other.id} of the same issue is {other.state}: {_what_to_do(other)}, then mail again")


def _what_to_do(other: Mailing) -> str:
    match other.state:
        case MailingState.scheduled:
            return f"take it back with `newsletter mailing unschedule {other.id}`, or wait until it is over"
        case MailingState.paused | MailingState.halted:
            return f"let it go on with `newsletter mailing resume {other.id}`"
        case MailingState.held:
            return f"decide about it (`newsletter mailing show {other.id}`)"
        case MailingState.cancelled:
            return f"its last calls are not over yet; look at it in a minute (`newsletter mailing show {other.id}`)"
        case _:
            return "wait until it is over"
