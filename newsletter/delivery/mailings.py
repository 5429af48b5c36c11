"""Mailings in the store: finding them and moving them from state to state, one compare-and-swap at a time."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, update
from sqlmodel import Session, col, select

from newsletter.alerts import AlertKind, NewAlert, raise_alert
from newsletter.delivery.accounts import batch_states, standing_of
from newsletter.delivery.lifecycle import MAILING_COMES_FROM, MailingState, conclusion
from newsletter.delivery.models import Mailing
from newsletter.errors import NotFound, Refused
from newsletter.hosts import store_may_mail
from newsletter.publications import Publication
from subscribers.bulk import rows_changed


def find_mailing(session: Session, mailing_id: int) -> Mailing:
    """Find a mailing by its id.

    Raises:
        NotFound: There is no such mailing.
    """
    if (mailing := session.get(Mailing, mailing_id)) is None:
        raise NotFound(f"there is no mailing {mailing_id}; `newsletter mailing list` shows what there is")
    return mailing


def list_mailings(session: Session, publication: Publication) -> Sequence[Mailing]:
    """List a publication's mailings, newest first."""
    found = select(Mailing).where(Mailing.publication_id == publication.id).order_by(col(Mailing.id).desc())
    return session.exec(found).all()


def mailings_in(session: Session, state: MailingState) -> list[int]:
    """List the ids of the mailings in a state, oldest first."""
    return list(session.exec(select(Mailing.id).where(Mailing.state == state).order_by(col(Mailing.id))))


#: States that an operator is told of.
_TOLD = {
    MailingState.finished: AlertKind.mailing_finished,
    MailingState.held: AlertKind.mailing_held,
    MailingState.halted: AlertKind.mailing_halted,
}


def move(
    session: Session, mailing_id: int, to: MailingState, *, now: datetime, reason: str = "", **also: object
) -> bool:
    """Move a mailing into a state if the lifecycle allows it from where it is; tell whether it was moved.

    A compare-and-swap: of any number of processes that try, one is told yes. ``also`` are further columns to set.
    Where it ends, is held or halted, an operator is told.
    """
    allowed = (col(Mailing.id) == mailing_id) & col(Mailing.state).in_(MAILING_COMES_FROM[to])
    values = {"state": to, "state_reason": reason, **also}
    if rows_changed(session.execute(update(Mailing).where(allowed).values(**values))) != 1:
        return False
    if to in _TOLD:
        _tell(session, session.get_one(Mailing, mailing_id, populate_existing=True), now)
    return True


def _tell(session: Session, mailing: Mailing, now: datetime) -> None:
    facts = {
        "mailing": str(mailing.id),
        "issue": str(mailing.issue_id),
        "reason": mailing.state_reason,
        "line": standing_of(session, mailing).line(),
    }
    about = f"mailing {mailing.id}"
    alert = NewAlert(_TOLD[mailing.state], about, mailing.publication_id, mailing.live, facts)
    raise_alert(session, alert, now=now)


def begin_due(session: Session, *, live: bool, now: datetime) -> list[int]:
    """Begin every scheduled mailing whose time has come; each begins once, however many clocks run (DESIGN §4.1).

    A mailing that was scheduled to reach real readers begins only where real readers can be reached, and the other way
    round (DESIGN §4.11). Where the store is held none does.
    """
    if not store_may_mail(session):
        return []
    due = (col(Mailing.state) == MailingState.scheduled) & (col(Mailing.due_at) <= now)
    found = session.exec(select(Mailing.id).where(due, col(Mailing.live).is_(live))).all()
    return [
        mailing_id for mailing_id in found if move(session, mailing_id, MailingState.freezing, now=now, begun_at=now)
    ]


def hold_the_other_side(session: Session, *, live: bool, now: datetime) -> list[int]:
    """Hold every mailing that is due or under way and was meant for the other side of NOT LIVE; give their ids."""
    due = (col(Mailing.state) == MailingState.scheduled) & (col(Mailing.due_at) <= now)
    under_way = col(Mailing.state).in_((MailingState.freezing, MailingState.running))
    found = select(Mailing.id).where(or_(due, under_way), col(Mailing.live).is_not(live))
    was, is_now = ("NOT LIVE", "LIVE") if live else ("LIVE", "NOT LIVE")
    reason = f"meant for {was}, but the service is {is_now} now"
    return [one for one in session.exec(found).all() if move(session, one, MailingState.held, now=now, reason=reason)]


def conclude(session: Session, mailing_id: int, *, now: datetime) -> MailingState | None:
    """End a running mailing if no work is left: finished, or held where an outcome is unknown.

    The rows are counted once more before it counts as finished; an account that does not balance halts it.
    """
    mailing = session.get(Mailing, mailing_id, populate_existing=True)
    if mailing is None or mailing.state not in {MailingState.running, MailingState.held}:
        return None
    states = batch_states(session, mailing_id)
    if (end := conclusion(states)) is None or end is mailing.state:
        return None
    standing = standing_of(session, mailing)
    if not standing.balances:
        reason = f"the account does not balance: {standing.line()}"
        return MailingState.halted if move(session, mailing_id, MailingState.halted, now=now, reason=reason) else None
    if end is MailingState.held:
        reason = (
            f"outcome unknown for {standing.unknown:,} of {standing.recipients:,} recipients; nobody is mailed again"
        )
        return end if move(session, mailing_id, end, now=now, reason=reason) else None
    return end if move(session, mailing_id, end, now=now, ended_at=now) else None


def resume(session: Session, mailing_id: int, *, live: bool, now: datetime) -> Mailing:
    """Let a halted, held or paused mailing go on, once its cause is mended. What is unknown stays so.

    Raises:
        NotFound: There is no such mailing.
        Refused: It is in another state, or was meant for the other side of NOT LIVE.
    """
    mailing = find_mailing(session, mailing_id)
    if mailing.live != live:
        raise Refused(f"mailing {mailing_id} was begun {'LIVE' if mailing.live else 'NOT LIVE'} and can only go on so")
    if mailing.state not in {MailingState.halted, MailingState.paused, MailingState.held}:
        raise Refused(f"mailing {mailing_id} is {mailing.state}: only a halted, held or paused mailing is resumed")
    onward = MailingState.running if mailing.frozen_at else MailingState.freezing
    # One that was held before its time had not begun yet.
    if not move(session, mailing_id, onward, now=now, begun_at=mailing.begun_at or now):
        raise Refused(f"mailing {mailing_id} was just changed by another: look at it again")
    session.refresh(mailing)
    return mailing
