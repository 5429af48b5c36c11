"""Settlement of outcomes that nobody knew: by proof, by the publication's policy after the quiet time, or by a person.

A request is accepted or refused whole (DESIGN §4.4), so one event that carries an attempt proves all of it; also an
attempt that another has followed, where the policy had it sent once more. Called by ``feedback`` for every attempt that
an event named, by the clock, by ``looking_up`` and by operators. What is settled is on record with who did it and why.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, exists, or_, update
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from newsletter.alerts import AlertKind, NewAlert, raise_alert
from newsletter.delivery.accounts import standing_of
from newsletter.delivery.claims import Claim, move_batch
from newsletter.delivery.doubt_models import PROOFS, Decision, Doubt, Settlement
from newsletter.delivery.doubts import follows_its_batch
from newsletter.delivery.evidence import Evidence, all_evidence, evidence_in
from newsletter.delivery.lifecycle import BatchState, Difference, MailingState
from newsletter.delivery.mailings import conclude, find_mailing
from newsletter.delivery.models import Attempt, Batch, Delivery, Mailing
from newsletter.delivery.policy import UnknownPolicy
from newsletter.errors import Refused
from newsletter.providers.base import Ending
from subscribers.actors import CLOCK, Actor, ActorKind


#: A batch whose answers were lost so often is a person's to look at: something is wrong with the way, not the moment.
MOST_CALLS = 3

_PROVIDER = Actor(ActorKind.provider, "sendgrid")
_IN_WORDS = {
    Decision.event: "proven by an event",
    Decision.look_up: "proven by SendGrid's own record",
    Decision.answer: "its answer came late",
    Decision.accepted: "taken for accepted",
    Decision.resend: "mailed once more",
    Decision.give_up: "given up",
}
_STATE_AFTER = {
    Decision.accepted: BatchState.accepted,
    Decision.resend: BatchState.ready,
    Decision.give_up: BatchState.given_up,
}


def prove(session: Session, attempts: Collection[str], *, now: datetime, how: Decision = Decision.event) -> int:
    """Take the batches of these attempts for accepted where that was not known; tell how many attempts it proved.

    A batch whose next call has not begun is not called again. Who has left the batch since is proven one by one, and
    gets nothing from another batch any more. Where a later call was accepted, too, or is under way, they may have it
    twice: ``accounts.resent_in`` counts them.
    """
    if not attempts:
        return 0
    found = session.execute(_unproven(attempts)).all()
    for one in found:
        _note(session, one.batch_id, one.attempt_id, how, _PROVIDER, now)
        claim = Claim(one.batch_id, one.current)
        move_batch(session, claim, BatchState.accepted, lease_until=None, state_reason=_IN_WORDS[how])
        _prove_who_left(session, one.attempt_id)
    for mailing_id in sorted({row.mailing_id for row in found}):
        conclude(session, mailing_id, now=now)
    return len(found)


def _unproven(attempts: Collection[str]) -> Select[*tuple[Any, ...]]:
    """Select those of these attempts that nobody was told of, or after which their batch came to something else."""
    known = (
        (col(Attempt.ending) == Ending.accepted)
        & (col(Batch.state) == BatchState.accepted)
        & (col(Attempt.number) == col(Batch.attempt))
    )
    proven = exists().where(col(Settlement.attempt_id) == col(Attempt.id), col(Settlement.decision).in_(PROOFS))
    return (
        select_columns(
            col(Attempt.id).label("attempt_id"),
            col(Batch.id).label("batch_id"),
            col(Batch.attempt).label("current"),
            col(Batch.mailing_id),
        )
        .join(Batch, col(Batch.id) == col(Attempt.batch_id))
        .where(col(Attempt.id).in_(attempts), or_(col(Attempt.ending).is_(None), ~known), ~proven)
        .order_by(col(Batch.id), col(Attempt.number))
        # Until this is committed nobody claims it, or begins its call.
        .with_for_update(of=Batch)
    )


def _prove_who_left(session: Session, attempt_id: str) -> None:
    left = col(Delivery.id).in_(select_columns(col(Doubt.delivery_id)).where(col(Doubt.attempt_id) == attempt_id))
    theirs = select_columns(col(Delivery.batch_id)).where(left)
    locked = select_columns(col(Batch.id)).where(col(Batch.id).in_(theirs)).order_by(col(Batch.id)).with_for_update()
    session.execute(locked)
    accepted = select_columns(col(Batch.id)).where(col(Batch.id).in_(theirs), col(Batch.state) == BatchState.accepted)
    has_it = col(Delivery.batch_id).in_(accepted) & follows_its_batch()
    proven = update(Delivery).where(left, ~has_it).values(difference=Difference.proven)
    session.execute(proven, execution_options={"synchronize_session": False})


def _note(  # noqa: PLR0913, PLR0917 - the columns of a row
    session: Session, batch_id: int, attempt_id: str, decision: Decision, by: Actor, now: datetime, evidence: str = ""
) -> None:
    row = Settlement(batch_id=batch_id, attempt_id=attempt_id, decision=decision, by=str(by), at=now, evidence=evidence)
    session.add(row)
    session.flush()


def after_quiet(one: Evidence, *, now: datetime, gap_at: datetime | None = None) -> Decision:
    """Tell what the policy of its publication decides for a request whose quiet time is over.

    Args:
        one: The request, with its evidence. What became old since its call is mailed once more on a person's word only.
        now: When this is asked.
        gap_at: When the last call came of which something could not be applied: a proof may stand just there, and
            nobody is mailed once more without a person's word.
    """
    if one.proofs_lost:
        # The silence since the restore proves nothing.
        return Decision.asked
    if one.policy is UnknownPolicy.give_up:
        return Decision.give_up
    may_resend = one.lost_calls < MOST_CALLS and one.mailing_state is not MailingState.cancelled
    may_resend = may_resend and not one.ended_before(gap_at) and not one.is_old(now)
    return Decision.resend if one.policy is UnknownPolicy.resend and may_resend else Decision.asked


@dataclass(frozen=True)
class Settled:
    """What a look at what is due came to, in requests."""

    resent: int = 0
    given_up: int = 0
    asked: int = 0


def what_is_due(
    session: Session, *, live: bool, now: datetime, gap_at: datetime | None = None
) -> list[tuple[Evidence, Decision]]:
    """List the requests whose quiet time is over, each with what the policy decides; nobody is asked twice."""
    found = [
        (one, after_quiet(one, now=now, gap_at=gap_at)) for one in all_evidence(session, live=live) if one.is_quiet
    ]
    return [(one, decision) for one, decision in found if decision is not Decision.asked or one.asked_at is None]


def settle_due(session: Session, *, live: bool, now: datetime, gap_at: datetime | None = None) -> Settled:
    """Do what the policies say with every request whose quiet time is over; who is to be asked is asked once.

    Not while calls of the provider's wait to be applied: a proof may be in them. ``gap_at`` as in :func:`after_quiet`.
    """
    mine = [one.batch_id for one, _ in what_is_due(session, live=live, now=now, gap_at=gap_at)]
    session.exec(select(Batch.id).where(col(Batch.id).in_(mine)).order_by(col(Batch.id)).with_for_update()).all()
    # Looked at once more: another machine may have been at them until they were ours.
    due = [one for one in what_is_due(session, live=live, now=now, gap_at=gap_at) if one[0].batch_id in mine]
    asked = [one for one, decision in due if decision is Decision.asked]
    done = [
        (one, decision)
        for one, decision in due
        if decision is not Decision.asked and _settle(session, one, decision, by=CLOCK, now=now)
    ]
    for mailing_id in sorted({one.mailing_id for one, _ in done}):
        conclude(session, mailing_id, now=now)
    _ask(session, asked, gap_at, now)
    decided = [decision for _, decision in done]
    return Settled(decided.count(Decision.resend), decided.count(Decision.give_up), len(asked))


def settle(  # noqa: PLR0913 - which, how, by whom, when
    session: Session, mailing_id: int, decision: Decision, *, batches: Collection[int] = (), by: Actor, now: datetime
) -> list[Evidence]:
    """Settle a mailing's requests of unknown outcome as a person says; all, or those of some batches. Give them back.

    Raises:
        NotFound: There is no such mailing.
        Refused: A batch is not one whose outcome is unknown, or a cancelled mailing is to mail once more.
    """
    chosen = unsettled(session, mailing_id, batches)
    if decision is Decision.resend and find_mailing(session, mailing_id).state is MailingState.cancelled:
        raise Refused(f"mailing {mailing_id} is cancelled and mails nobody any more: settle as accepted or give-up")
    settled = [one for one in chosen if _settle(session, one, decision, by=by, now=now)]
    conclude(session, mailing_id, now=now)
    return settled


def unsettled(session: Session, mailing_id: int, batches: Collection[int] = ()) -> list[Evidence]:
    """List a mailing's requests of unknown outcome with their evidence; all, or those of some batches.

    Raises:
        NotFound: There is no such mailing.
        Refused: A batch is not one whose outcome is unknown.
    """
    find_mailing(session, mailing_id)
    found = evidence_in(session, mailing_id)
    if others := sorted(set(batches) - {one.batch_id for one in found}):
        listed = ", ".join(map(str, others))
        raise Refused(f"batch {listed}: not one of mailing {mailing_id} whose outcome is unknown; leave out --batch")
    return [one for one in found if not batches or one.batch_id in batches]


def _settle(session: Session, one: Evidence, decision: Decision, *, by: Actor, now: datetime) -> bool:
    """Settle a request, if nobody did meanwhile."""
    still = (col(Batch.state) == BatchState.unknown) & (col(Batch.attempt) == one.number)
    mine = select(Batch.id).where(col(Batch.id) == one.batch_id, still).with_for_update()
    if session.exec(mine).first() is None:
        return False
    reason = f"{_IN_WORDS[decision]}, said {by}"
    claim = Claim(one.batch_id, one.number)
    move_batch(session, claim, _STATE_AFTER[decision], lease_until=None, not_before=None, state_reason=reason)
    _note(session, one.batch_id, one.attempt_id, decision, by, now, one.in_words())
    return True


def _ask(session: Session, unasked: Iterable[Evidence], gap_at: datetime | None, now: datetime) -> None:
    by_mailing: dict[int, list[Evidence]] = {}
    for one in unasked:
        _note(session, one.batch_id, one.attempt_id, Decision.asked, CLOCK, now, one.in_words())
        by_mailing.setdefault(one.mailing_id, []).append(one)
    for mailing_id, requests in by_mailing.items():
        _tell(session, session.get_one(Mailing, mailing_id), requests, _why_asked(requests, gap_at, now), now)


def _why_asked(requests: Collection[Evidence], gap_at: datetime | None, now: datetime) -> str:
    """Say what keeps `resend` from mailing them once more, where that is the policy."""
    told = {
        _HIDDEN: any(one.ended_before(gap_at) for one in requests),
        _OLD: any(one.is_old(now) for one in requests if one.policy is UnknownPolicy.resend),
        _TOO_OFTEN: any(one.lost_calls >= MOST_CALLS for one in requests if one.policy is UnknownPolicy.resend),
    }
    return "".join(words for words, holds in told.items() if holds)


#: More are not readable in an alert; the command shows them all.
_TOLD = 3
_HIDDEN = "; a call of SendGrid's could not be applied whole and may hold a proof: newsletter feedback problems"
_OLD = "; their calls are longer ago than stale_content_minutes: look whether the issue is still true"
_TOO_OFTEN = f"; {MOST_CALLS} calls without an answer: look what is wrong with the way to SendGrid"


def _tell(session: Session, mailing: Mailing, requests: list[Evidence], why: str, now: datetime) -> None:
    """Tell an operator what waits for a decision, with its evidence."""
    people = sum(one.recipients for one in requests)
    known = "; ".join(f"batch {one.batch_id}: {one.in_words()}" for one in requests[:_TOLD])
    more = f"; and {len(requests) - _TOLD} more" if len(requests) > _TOLD else ""
    reason = (
        f"{people:,} recipients of {len(requests):,} requests stay unknown after the quiet time "
        f"({known}{more}{why}): newsletter mailing settle {mailing.id}"
    )
    facts = {"mailing": str(mailing.id), "issue": str(mailing.issue_id), "reason": reason}
    facts["line"] = standing_of(session, mailing).line()
    about = f"mailing {mailing.id}, to be settled"
    raise_alert(session, NewAlert(AlertKind.mailing_held, about, mailing.publication_id, mailing.live, facts), now=now)
