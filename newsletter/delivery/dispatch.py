"""Dispatch: one batch, one call, three short transactions. The heart of the service.

    1. claim        ready → claimed: this worker, this attempt
    2. last look    claimed → submitting, committed with the delivery ids before the first byte leaves
       the call     no transaction is open while it lasts
    3. record       submitting → what the call's end means, by the class table in ``lifecycle``

A crash before 2 is safe to retry. A crash after it leaves ``submitting``, which ``claims.sweep`` turns into
``unknown``: nobody mails those readers again on a guess (DESIGN §4.3, §4.4).
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from secrets import token_urlsafe

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col

from newsletter.alerts import AlertKind
from newsletter.database import Database
from newsletter.delivery.batching import halves
from newsletter.delivery.claims import Claim, Claimant, claim_next, move_batch
from newsletter.delivery.dividing import move_to_new_batch
from newsletter.delivery.doubt_models import Decision
from newsletter.delivery.doubts import set_free
from newsletter.delivery.lifecycle import (
    CONSEQUENCES,
    BatchState,
    Consequence,
    Difference,
    MailingState,
    consequence_of,
    wait_seconds,
)
from newsletter.delivery.mailings import Telling, conclude, move
from newsletter.delivery.models import Attempt, Batch, Delivery, Mailing
from newsletter.delivery.outage import note_end, said
from newsletter.delivery.reach import MAY_HAVE_REACHED, Reach, reach_of, write_intent, write_refusal
from newsletter.delivery.refusals import note_refusal
from newsletter.delivery.requests import Draft, Letterhead, draft, last_look, mark
from newsletter.delivery.settlement import prove
from newsletter.errors import NewsletterError
from newsletter.hosts import store_may_mail
from newsletter.journal.segments import Journal
from newsletter.providers.base import CallEnd, Ending, Message, Provider


log = structlog.get_logger(__name__)

#: Seconds between tries to record a call's end; together longer than any short lock or restart of a database.
RECORDING_BREATHS = (0.2, 1.0, 5.0, 15.0, 30.0)


@dataclass(frozen=True)
class Desk:
    """What a dispatcher works with. Shared by its threads; ``clock`` gives the time in UTC."""

    database: Database
    provider: Provider
    claimant: Claimant
    letterhead: Letterhead
    clock: Callable[[], datetime]
    #: Where each call is written down before it is made, outside the database.
    journal: Journal | None = None


@dataclass(frozen=True)
class Submission:
    """A request that may be made now, once: it is committed that it leaves."""

    draft: Draft
    attempt: str
    delivery_ids: tuple[int, ...]
    reach: Reach
    #: From then on others take this worker for dead.
    lease_until: datetime

    @cached_property
    def message(self) -> Message:
        """The request, written out when it is first asked for."""
        return self.draft.message()


def dispatch_next(desk: Desk) -> bool:
    """Claim a batch and dispatch it; tell whether there was one, and so may be another."""
    with desk.database.writing() as session:
        if not store_may_mail(session):
            return False
        claim = claim_next(session, desk.claimant, now=desk.clock())
    if claim is None:
        return False
    dispatch_batch(desk, claim)
    return True


def dispatch_batch(desk: Desk, claim: Claim) -> None:
    """Submit a claimed batch, once, and record how that ended."""
    if submission := begin_call(desk, claim):
        end_call(desk, claim, submission, _call(desk, submission))


def begin_call(desk: Desk, claim: Claim) -> Submission | None:
    """Commit that a claimed batch leaves now; nothing where the claim was lost or nobody is left to mail."""
    with desk.database.writing() as session:
        return _commit_to_submitting(session, claim, desk)


def _call(desk: Desk, submission: Submission) -> CallEnd:
    """Make the call, unless it cannot be written, cannot be put into the journal, or comes too late."""
    try:
        message = submission.message
    except Exception as error:
        log.exception("a request could not be written", attempt=submission.attempt)
        return CallEnd(
            Ending.never_left, detail=f"the request could not be written: {type(error).__name__}", made=False
        )
    unwritten = write_intent(desk.journal, submission.reach, submission.attempt, now=desk.clock())
    return unwritten or _overslept(desk, submission) or desk.provider.submit(message)


def _overslept(desk: Desk, submission: Submission) -> CallEnd | None:
    """Give up a call whose lease has run out before it began: the machine was paused, and others may have it by now."""
    if desk.clock() < submission.lease_until:
        return None
    return CallEnd(Ending.never_left, detail="the machine was paused before it, and too late", made=False)


def end_call(desk: Desk, claim: Claim, submission: Submission, end: CallEnd) -> None:
    """Record a call's end, trying again where the database does not take it: a known answer must not become unknown.

    Repeating is safe, since a state is only moved by the attempt that it belongs to.
    """
    for breath in RECORDING_BREATHS:
        try:
            with desk.database.writing() as session:
                _record(session, claim, submission, end, now=desk.clock())
        except SQLAlchemyError as error:
            log.warning("the end of a call could not be recorded yet", batch=claim.batch_id, error=type(error).__name__)
            time.sleep(breath)
        else:
            write_refusal(desk.journal, submission.attempt, end, now=desk.clock())
            _tell(claim, end)
            return
    raise NewsletterError(f"batch {claim.batch_id}: the end of its call could not be recorded: {end.ending}")


def _tell(claim: Claim, end: CallEnd) -> None:
    if CONSEQUENCES[end.ending].tells:
        log.warning("a request needs looking at", batch=claim.batch_id, ending=str(end.ending), status=end.status)


def _commit_to_submitting(session: Session, claim: Claim, desk: Desk) -> Submission | None:
    """Write down what is about to be submitted; nothing where the claim was lost or nobody is left to mail."""
    now = desk.clock()
    batch = session.get_one(Batch, claim.batch_id, with_for_update=True)
    if batch.state is not BatchState.claimed or batch.attempt != claim.number:
        return None
    if session.get_one(Mailing, batch.mailing_id, with_for_update={"read": True}).state is not MailingState.running:
        # Halted, paused or cancelled since the claim: the batch waits with the others, or is taken back with them.
        move_batch(session, claim, BatchState.ready, lease_until=None)
        return None
    look = last_look(session, batch, desk.letterhead, now=now)
    if not look.stays:
        move_batch(session, claim, BatchState.cancelled, lease_until=None, state_reason="nobody was left to mail")
        conclude(session, batch.mailing_id, now=now)
        return None
    attempt = Attempt(
        id=token_urlsafe(16), batch_id=batch.id, number=claim.number, size=len(look.stays), submitting_at=now
    )
    session.add(attempt)
    lease_until = desk.claimant.lease_from(now)
    move_batch(session, claim, BatchState.submitting, lease_until=lease_until)
    delivery_ids = tuple(row.delivery_id for row in look.stays)
    reach = reach_of(session, batch.mailing_id, delivery_ids)
    return Submission(
        draft(session, batch, look, desk.letterhead, attempt.id), attempt.id, delivery_ids, reach, lease_until
    )


def _record(session: Session, claim: Claim, submission: Submission, end: CallEnd, *, now: datetime) -> None:
    """Write down how the call ended and what follows for the batch, its deliveries and its mailing."""
    _close_attempt(session, submission.attempt, end, now)
    batch = session.get_one(Batch, claim.batch_id, with_for_update=True)
    note_end(session, batch.mailing_id, end, again=batch.tries > 0, now=now)
    meaning = consequence_of(end.ending, size=len(submission.delivery_ids))
    if not move_batch(session, claim, meaning.state, **_columns(batch, meaning, end, now)):
        _learn_late(session, batch, submission, end, now)
        return
    if meaning.divides:
        _divide(session, batch, submission, end, now)
    if meaning.state is BatchState.rejected:
        set_free(session, col(Delivery.id).in_(submission.delivery_ids))
    if meaning.halts:
        _halt(session, batch.mailing_id, end, now)
    conclude(session, batch.mailing_id, now=now)
    if end.ending is Ending.refused:
        note_refusal(session, batch.mailing_id, end, now=now)


def _learn_late(session: Session, batch: Batch, submission: Submission, end: CallEnd, now: datetime) -> None:
    """Learn what an answer says that came when nobody waited for it any more: its batch was settled without it."""
    if end.ending is Ending.accepted:
        # What was to follow is not called.
        prove(session, [submission.attempt], now=now, how=Decision.answer)
    elif end.ending not in MAY_HAVE_REACHED and batch.state is BatchState.given_up:
        set_free(session, col(Delivery.id).in_(submission.delivery_ids))


def _halt(session: Session, mailing_id: int, end: CallEnd, now: datetime) -> None:
    """Stop the whole mailing: the next request would be refused as well, and nobody but a person can mend it."""
    if not end.made:
        move(session, mailing_id, MailingState.halted, now=now, reason=_in_words(end))
        return
    reason = (
        f"SendGrid refuses the key or the account: {said(end)}. That request was not mailed, and nobody is lost. "
        f"`newsletter doctor` says what is wrong; when it is mended `newsletter mailing resume {mailing_id}`"
    )
    telling = Telling(AlertKind.key_refused, {"said": said(end)})
    move(session, mailing_id, MailingState.halted, now=now, reason=reason, telling=telling)


def _in_words(end: CallEnd) -> str:
    words = f"the provider answered {end.status} ({end.ending})" if end.status else f"no answer ({end.ending})"
    words = words if end.made else "the call was not made"
    return f"{words}: {end.detail}" if end.detail else words


def _close_attempt(session: Session, attempt_id: str, end: CallEnd, now: datetime) -> None:
    attempt = session.get_one(Attempt, attempt_id)
    attempt.ended_at, attempt.ending, attempt.status = now, end.ending, end.status
    attempt.message_id, attempt.detail = end.message_id, end.detail
    session.add(attempt)
    session.flush()


def _columns(batch: Batch, meaning: Consequence, end: CallEnd, now: datetime) -> dict[str, object]:
    tries = batch.tries + 1
    # The jitter keeps batches that were refused together from coming back together.
    wait = wait_seconds(tries, end.wait_seconds) * random.uniform(1, 1.25)  # noqa: S311 - no secret
    return {
        "lease_until": None,
        "tries": tries,
        "not_before": now + timedelta(seconds=wait) if meaning.waits else None,
        "state_reason": "" if meaning.state is BatchState.accepted else _in_words(end),
    }


def _divide(session: Session, batch: Batch, submission: Submission, end: CallEnd, now: datetime) -> None:
    """Put a refused batch's recipients into new batches: without those that were named, else in two halves."""
    named = {
        submission.delivery_ids[one.index]: one.reason
        for one in end.refused
        if one.index < len(submission.delivery_ids)
    }
    for delivery_id, reason in named.items():
        mark(session, [delivery_id], Difference.rejected, reason)
    rest = tuple(delivery_id for delivery_id in submission.delivery_ids if delivery_id not in named)
    for part in (rest,) if named else halves(rest):
        if part:
            move_to_new_batch(session, batch, part, now=now)
