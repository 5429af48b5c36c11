"""Settlement of outcomes that nobody knew: one signed event that carries an attempt proves all of its request.

A request is accepted or refused whole (DESIGN §4.4). Called by ``feedback`` for every attempt that an event named.
"""

from collections.abc import Collection
from datetime import datetime

from sqlmodel import Session, col, select

from newsletter.delivery.accounts import PROVEN
from newsletter.delivery.claims import Claim, move_batch
from newsletter.delivery.lifecycle import BatchState
from newsletter.delivery.mailings import conclude
from newsletter.delivery.models import Attempt, Batch


def prove(session: Session, attempts: Collection[str], *, now: datetime) -> int:
    """Take the batches of these attempts for accepted where their outcome was unknown; tell how many there were.

    An attempt that a later one has followed proves nothing about that; its mails are the batch's all the same, and
    the later attempt was only made because the earlier one is known to have been refused.
    """
    same = (col(Batch.id) == col(Attempt.batch_id)) & (col(Batch.attempt) == col(Attempt.number))
    found = (
        select(Attempt.batch_id, Attempt.number, Batch.mailing_id)
        .join(Batch, same)
        .where(col(Attempt.id).in_(attempts), col(Batch.state) == BatchState.unknown)
    )
    proven = [
        mailing_id
        for batch_id, number, mailing_id in session.exec(found).all()
        if move_batch(session, Claim(batch_id, number), BatchState.accepted, state_reason=PROVEN)
    ]
    for mailing_id in sorted(set(proven)):
        conclude(session, mailing_id, now=now)
    return len(proven)
