"""Content that became old while nothing was mailed: what was under way when the machine stopped asks before it goes on.

Called once when the service starts. A mailing that had not begun yet asks by the rule of lateness (``mailings``), and
one that a person lets go on by ``too_old``.
"""

from datetime import datetime

from sqlmodel import Session, col, func, select

from newsletter.delivery.durations import in_words
from newsletter.delivery.lanes import what_waits
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.mailings import find_mailing, mailings_in, move, too_old
from newsletter.delivery.models import Attempt, Batch, Mailing
from newsletter.delivery.policies import policy_of


def hold_the_old(session: Session, *, live: bool, now: datetime) -> list[int]:
    """Hold what is under way and became old since its last call; give the mailings' ids.

    Old by the policy's ``stale_content_minutes``, counted from its time and from its last call, which another machine
    may have made. Where nobody waits there is nothing to ask.
    """
    under_way = [one for state in (MailingState.freezing, MailingState.running) for one in mailings_in(session, state)]
    found = [find_mailing(session, one) for one in under_way]
    return [one.id for one in found if one.live is live and _hold(session, one, now)]


def _hold(session: Session, mailing: Mailing, now: datetime) -> bool:
    rest = now - (_last_call(session, mailing) or mailing.begun_at or mailing.due_at)
    old = too_old(session, mailing, now=now)
    longest = policy_of(session, mailing.publication_id).stale_content
    if not old or rest <= longest or (mailing.frozen_at and not what_waits(session, mailing.id).elsewhere):
        return False
    reason = (
        f"it was due {old}, and nothing of it has left for {in_words(rest)}; look whether it is still true, then "
        f"`newsletter mailing resume {mailing.id} --even-though-old`"
    )
    return move(session, mailing.id, MailingState.held, now=now, reason=reason)


def _last_call(session: Session, mailing: Mailing) -> datetime | None:
    calls = select(func.max(Attempt.submitting_at)).join(Batch, col(Batch.id) == col(Attempt.batch_id))
    return session.exec(calls.where(Batch.mailing_id == mailing.id)).one()
