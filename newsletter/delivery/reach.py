"""Reach: whether a batch's readers may have its mail already, and setting free whom it certainly did not reach.

The one place that decides ``Delivery.may_have_reached`` (DESIGN §4.2): a second mailing of the issue goes to nobody
whom a call may have reached. Beside ``dispatch``, ``requests`` and ``life``, which end deliveries without a mail.
"""

from sqlalchemy import ColumnElement, exists, or_, update
from sqlmodel import Session, col, select

from newsletter.delivery.lifecycle import Difference, MailingState
from newsletter.delivery.models import Attempt, Batch, Delivery, Mailing
from newsletter.providers.base import Ending


#: After these a call may have been accepted; so it may where no end was recorded.
_MAY_HAVE_BEEN_ACCEPTED = (Ending.accepted, Ending.ambiguous)


def may_have_reached(session: Session, batch: Batch) -> bool:
    """Tell whether a call may have carried a batch's deliveries to their readers.

    Asked of deliveries that the batch's last call did not take. Also calls of the batch that it was divided from count,
    if they were made before: a request whose outcome nobody knew may have been made again, and then been divided.
    """
    below = batch.attempt + 1
    one: Batch | None = batch
    while one is not None:
        if _called(session, one.id, below):
            return True
        below, one = one.parent_attempt, session.get(Batch, one.parent_id) if one.parent_id else None
    return False


def _called(session: Session, batch_id: int, below: int) -> bool:
    doubtful = or_(col(Attempt.ended_at).is_(None), col(Attempt.ending).in_(_MAY_HAVE_BEEN_ACCEPTED))
    earlier = (col(Attempt.batch_id) == batch_id) & (col(Attempt.number) < below)
    return bool(session.exec(select(exists().where(earlier, doubtful))).one())


def not_taken_back() -> ColumnElement[bool]:
    """Give the condition for mailings that were not cancelled before their first call."""
    called = exists().where(col(Batch.mailing_id) == col(Mailing.id), col(Attempt.batch_id) == col(Batch.id))
    return or_(col(Mailing.state) != MailingState.cancelled, called)


def set_free(session: Session, batch: Batch, deliveries: ColumnElement[bool]) -> None:
    """Let a second mailing of the issue reach the readers of these deliveries of a batch, if no call reached them."""
    if may_have_reached(session, batch):
        return
    free = deliveries & col(Delivery.difference).is_distinct_from(Difference.proven)
    session.execute(update(Delivery).where(free).values(may_have_reached=False))
