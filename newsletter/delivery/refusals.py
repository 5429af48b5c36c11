"""Refusals for good: SendGrid will not take a request however often it is asked. Called by ``dispatch``.

An operator hears of the first; after a few in a row the mailing is held, since the next would be refused as well.
"""

from datetime import datetime

from sqlmodel import Session, col, select

from newsletter.alerts import AlertKind, NewAlert, raise_alert
from newsletter.delivery.accounts import standing_of
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.mailings import find_mailing, move
from newsletter.delivery.models import Attempt, Batch, Mailing
from newsletter.delivery.outage import said
from newsletter.providers.base import CallEnd, Ending


#: So many requests refused for good with none accepted in between, and a person must look before the next.
MOST_IN_A_ROW = 3


def note_refusal(session: Session, mailing_id: int, end: CallEnd, *, now: datetime) -> None:
    """Tell an operator of a request that was refused for good; hold the mailing where all of late were."""
    mailing = find_mailing(session, mailing_id)
    _tell(session, mailing, end, now)
    if _all_of_late(session, mailing_id):
        reason = (
            f"SendGrid refused {MOST_IN_A_ROW} requests in a row for good, the last: {said(end)}. Nobody in them was "
            f"mailed. Mend the cause, then `newsletter mailing resume {mailing_id}` tries the next request; where the "
            f"mail itself is the cause `newsletter mailing cancel {mailing_id}`, and mail the mended issue"
        )
        move(session, mailing_id, MailingState.held, now=now, reason=reason)


def _tell(session: Session, mailing: Mailing, end: CallEnd, now: datetime) -> None:
    facts = {"mailing": str(mailing.id), "issue": str(mailing.issue_id), "reason": said(end)}
    facts["line"] = standing_of(session, mailing).line()
    about = f"mailing {mailing.id}"
    alert = NewAlert(AlertKind.request_refused, about, mailing.publication_id, mailing.live, facts)
    raise_alert(session, alert, now=now)


def _all_of_late(session: Session, mailing_id: int) -> bool:
    last = (
        select(Attempt.ending)
        .join(Batch, col(Batch.id) == col(Attempt.batch_id))
        .where(Batch.mailing_id == mailing_id, col(Attempt.ending).in_((Ending.accepted, Ending.refused)))
        .order_by(col(Attempt.ended_at).desc())
        .limit(MOST_IN_A_ROW)
    )
    return list(session.exec(last)) == [Ending.refused] * MOST_IN_A_ROW
