"""The life of a mailing in an operator's hands: undo, pause, go on, cancel. Beside ``scheduling`` and ``dispatch``.

All of it is safe while workers run. Cancelling has two steps: ``cancel`` moves the mailing, after which nothing of it
is claimed and no call begins; ``unwind_next`` then takes back what was not submitted, a batch a transaction, until the
mailing is over. Whoever cancels calls it until nothing is left, and the clock does so after a crash. A call under way
ends as it ends, and is recorded.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, exists, func, or_, update
from sqlmodel import Session, col, select

from newsletter.delivery.accounts import batch_states
from newsletter.delivery.claims import Claim, move_batch
from newsletter.delivery.doubts import set_free
from newsletter.delivery.lifecycle import AT_WORK, BATCH_COMES_FROM, BatchState, MailingState
from newsletter.delivery.mailings import find_mailing, move
from newsletter.delivery.models import Attempt, Batch, Delivery, Mailing, Variant
from newsletter.errors import Refused
from subscribers.actors import Actor
from subscribers.bulk import rows_changed


#: Deliveries without a batch that are taken back in one transaction.
CHUNK = 1000

_OVER = (MailingState.finished, MailingState.cancelled)


def unschedule(session: Session, mailing_id: int, *, by: Actor, now: datetime) -> Mailing:
    """Undo a mailing before its first call: nobody was mailed, its date is free, its issue can be scheduled again.

    What a freeze has done already is taken back by :func:`unwind_next`.

    Raises:
        NotFound: There is no such mailing.
        Refused: It is over, or its first call was made; nothing was changed.
    """
    mailing = find_mailing(session, mailing_id)
    _refuse_if_over(mailing)
    _move(session, mailing, MailingState.cancelled, f"unscheduled by {by}", now)
    # Whoever commits a call looks at the mailing first: it was before us and is seen here, or it finds it cancelled.
    if first_call(session, mailing_id):
        raise Refused(
            f"mailing {mailing_id} has begun to leave and cannot be undone any more: `newsletter mailing pause "
            f"{mailing_id}` stops it for now, `newsletter mailing cancel {mailing_id}` what is not yet submitted"
        )
    return _free_its_date(session, mailing)


def pause(session: Session, mailing_id: int, *, by: Actor, now: datetime) -> Mailing:
    """Stop a mailing for now: no call begins until it is resumed; calls under way end and are recorded.

    Raises:
        NotFound: There is no such mailing.
        Refused: It is not under way; nothing was changed.
    """
    mailing = find_mailing(session, mailing_id)
    if mailing.state is MailingState.scheduled:
        raise Refused(
            f"mailing {mailing_id} is only scheduled: `newsletter mailing unschedule {mailing_id}` takes it back"
        )
    if mailing.state not in {MailingState.running, MailingState.freezing}:
        raise Refused(f"mailing {mailing_id} is {mailing.state}: only one that is under way is paused")
    return _move(session, mailing, MailingState.paused, f"paused by {by}", now)


def cancel(session: Session, mailing_id: int, *, by: Actor, now: datetime) -> Mailing:
    """Cancel what a mailing has not yet submitted; :func:`unwind_next` takes it back, batch by batch.

    What was accepted stays so, what is unknown stays unknown, and a call under way still ends and is recorded.

    Raises:
        NotFound: There is no such mailing.
        Refused: It is over already; nothing was changed.
    """
    mailing = find_mailing(session, mailing_id)
    _refuse_if_over(mailing)
    _move(session, mailing, MailingState.cancelled, f"cancelled by {by}", now)
    return mailing if first_call(session, mailing_id) else _free_its_date(session, mailing)


def end_undo_window(session: Session, mailing_id: int, *, now: datetime) -> Mailing:
    """Let a mailing's calls begin as soon as it is due, without waiting for the time to undo it.

    Raises:
        NotFound: There is no such mailing.
        Refused: It is over, or there is no such time left.
    """
    mailing = find_mailing(session, mailing_id)
    _refuse_if_over(mailing)
    if undo_until(mailing, now=now) is None:
        raise Refused(f"mailing {mailing_id} waits for no time to undo it: it goes as soon as it is due")
    mailing.first_call_at = max(mailing.due_at, now)
    session.add(mailing)
    return mailing


def undo_until(mailing: Mailing, *, now: datetime) -> datetime | None:
    """Tell until when a mailing waits only so that it can be undone; nothing where it does not, or not any more."""
    first = mailing.first_call_at
    if mailing.state in _OVER or first is None or first <= max(mailing.due_at, now):
        return None
    return first


def first_call(session: Session, mailing_id: int) -> datetime | None:
    """Tell when a mailing's first call was made; nothing where there was none."""
    calls = select(func.min(Attempt.submitting_at)).join(Batch, col(Batch.id) == col(Attempt.batch_id))
    return session.exec(calls.where(Batch.mailing_id == mailing_id)).one()


def unwinding(session: Session) -> list[int]:
    """List the cancelled mailings of which something is still to be taken back, oldest first."""
    at_work = exists().where(col(Batch.mailing_id) == col(Mailing.id), col(Batch.state).in_(AT_WORK))
    left = or_(col(Mailing.ended_at).is_(None), at_work)
    cancelled = select(Mailing.id).where(Mailing.state == MailingState.cancelled, left)
    return list(session.exec(cancelled.order_by(col(Mailing.id))))


def unwind_next(session: Session, mailing_id: int, *, now: datetime) -> bool:
    """Take back the next batch of a cancelled mailing, else the next deliveries without one, else end it.

    Safe while workers run, and any number of times. A mailing ends only after its last call under way.

    Returns:
        Whether anything was taken back, and so more may be left.
    """
    mailing = find_mailing(session, mailing_id)
    if mailing.state is not MailingState.cancelled:
        return False
    if _cancel_next_batch(session, mailing) or _cancel_unbatched(session, mailing, now):
        return True
    if not AT_WORK & batch_states(session, mailing_id).keys():
        open_yet = (col(Mailing.id) == mailing_id) & col(Mailing.ended_at).is_(None)
        session.execute(update(Mailing).where(open_yet).values(ended_at=now))
    return False


def _refuse_if_over(mailing: Mailing) -> None:
    if mailing.state in _OVER:
        raise Refused(f"mailing {mailing.id} is {mailing.state} already: there is nothing left to stop")


def _free_its_date(session: Session, mailing: Mailing) -> Mailing:
    """Let another mailing take the slot's date, since nobody was mailed for it."""
    mailing.occurrence = None
    session.add(mailing)
    return mailing


def _move(session: Session, mailing: Mailing, to: MailingState, reason: str, now: datetime) -> Mailing:
    if not move(session, mailing.id, to, now=now, reason=reason):
        raise Refused(f"mailing {mailing.id} was just changed by another: look at it again")
    session.refresh(mailing)
    return mailing


def _cancel_next_batch(session: Session, mailing: Mailing) -> bool:
    waits = col(Batch.state).in_(BATCH_COMES_FROM[BatchState.cancelled])
    found = select(Batch).where(Batch.mailing_id == mailing.id, waits).order_by(col(Batch.id)).limit(1)
    batch = session.exec(found.with_for_update().execution_options(populate_existing=True)).first()
    if batch is None:
        return False
    claim, reason = Claim(batch.id, batch.attempt), mailing.state_reason
    if move_batch(session, claim, BatchState.cancelled, lease_until=None, not_before=None, state_reason=reason):
        set_free(session, _of(mailing) & (col(Delivery.batch_id) == batch.id))
    return True


def _cancel_unbatched(session: Session, mailing: Mailing, now: datetime) -> bool:
    """Put deliveries that were frozen, but never into a batch, into one that is cancelled."""
    unbatched = _of(mailing) & col(Delivery.batch_id).is_(None)
    ids = session.exec(select(Delivery.id).where(unbatched).order_by(col(Delivery.id)).limit(CHUNK)).all()
    if not ids:
        return False
    # Any variant will do: it goes to nobody.
    variant_id = session.exec(select(func.min(Variant.id)).where(Variant.mailing_id == mailing.id)).one()
    batch = Batch(
        mailing_id=mailing.id,
        variant_id=variant_id or 0,
        lane="",
        state=BatchState.cancelled,
        state_reason=mailing.state_reason,
        created_at=now,
    )
    session.add(batch)
    session.flush()
    values = {"batch_id": batch.id, "may_have_reached": False}
    return (
        rows_changed(session.execute(update(Delivery).where(col(Delivery.id).in_(ids), unbatched).values(**values))) > 0
    )


def _of(mailing: Mailing) -> ColumnElement[bool]:
    return col(Delivery.mailing_id) == mailing.id
