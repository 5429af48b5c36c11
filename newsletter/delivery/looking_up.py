"""Looking up: what the provider's own record has of requests of unknown outcome. In the background, by the clock.

One request at a time and a pause after each, for the whole installation: the limit is the account's. What was asked and
answered is in the ledger, so that any number of machines keep to it, and an operator sees it as evidence.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import func, or_
from sqlmodel import Session, col, select

from newsletter.database import Database
from newsletter.delivery.doubt_models import Decision, LookUp
from newsletter.delivery.lifecycle import BatchState
from newsletter.delivery.models import Attempt, Batch, Mailing
from newsletter.delivery.settlement import prove
from newsletter.providers.sendgrid_activity import Finding, LookedUp


log = structlog.get_logger(__name__)

#: Six a minute are allowed.
PAUSE = timedelta(seconds=10)
#: SendGrid's record is filled some minutes after the call.
FIRST_AFTER = timedelta(minutes=2)
#: The same request is not asked about sooner again.
AGAIN_AFTER = timedelta(minutes=30)
#: An account without the record is not asked for so long.
WITHOUT_FOR = timedelta(hours=1)


def look_up_next(
    database: Database, ask: Callable[[str], LookedUp], *, live: bool, clock: Callable[[], datetime]
) -> bool:
    """Ask about the request that was asked about longest ago, if any is due; tell whether one was.

    No transaction is open while it is asked. What is found is proven.
    """
    with database.reading() as session:
        # Only looks, so that nobody waits for a writer that has nothing to do.
        if _next(session, live=live, now=clock()) is None:
            return False
    with database.writing() as session:
        if (attempt_id := _next(session, live=live, now=clock())) is None:
            return False
        # Noted before it is asked: another machine does not ask at the same moment, and a crash keeps the limit.
        _note(session, attempt_id, LookedUp(Finding.cannot_know, "being asked"), clock())
    answer = ask(attempt_id)
    if answer.finding is Finding.no_record:
        log.warning("SendGrid's record of messages cannot be asked; not tried for an hour", why=answer.said)
    with database.writing() as session:
        _note(session, attempt_id, answer, clock())
        if answer.finding is Finding.found:
            prove(session, [attempt_id], now=clock(), how=Decision.look_up)
    return True


def _next(session: Session, *, live: bool, now: datetime) -> str | None:
    last: datetime | None = session.exec(select(func.max(col(LookUp.asked_at)))).one()
    if last and last > now - PAUSE:
        return None
    without = select(LookUp.attempt_id).where(
        col(LookUp.finding) == Finding.no_record, col(LookUp.asked_at) > now - WITHOUT_FOR
    )
    if session.exec(without.limit(1)).first() is not None:
        return None
    unknown = (col(Batch.state) == BatchState.unknown) & (col(Attempt.ended_at) < now - FIRST_AFTER)
    due = or_(col(LookUp.asked_at).is_(None), col(LookUp.asked_at) < now - AGAIN_AFTER)
    found = (
        select(Attempt.id)
        .join(Batch, (col(Batch.id) == col(Attempt.batch_id)) & (col(Batch.attempt) == col(Attempt.number)))
        .join(Mailing, col(Mailing.id) == col(Batch.mailing_id))
        .join(LookUp, col(LookUp.attempt_id) == col(Attempt.id), isouter=True)
        .where(unknown, due, col(Mailing.live).is_(live))
        .order_by(col(LookUp.asked_at).is_not(None), col(LookUp.asked_at), col(Attempt.ended_at))
    )
    return session.exec(found.limit(1)).first()


def _note(session: Session, attempt_id: str, answer: LookedUp, now: datetime) -> None:
    row = LookUp(attempt_id=attempt_id, asked_at=now, finding=answer.finding, said=answer.said)
    session.merge(row)
