"""Mailings in the store: finding them and moving them from state to state, one compare-and-swap at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, or_, update
from sqlmodel import Session, col, select

from newsletter.alerts import AlertKind, NewAlert, raise_alert
from newsletter.delivery.accounts import batch_states, standing_of
from newsletter.delivery.beside import another, refuse_beside_another
from newsletter.delivery.durations import in_words
from newsletter.delivery.lanes import LANES_HELD, Waiting, held_in_words, lanes_of, what_waits
from newsletter.delivery.lifecycle import MAILING_COMES_FROM, MailingState, conclusion
from newsletter.delivery.models import Mailing
from newsletter.delivery.policies import policy_of
from newsletter.delivery.policy import Policy, UnknownPolicy
from newsletter.delivery.progress import Standing
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


@dataclass(frozen=True)
class Telling:
    """What an operator is told instead of the plain state: a kind of alert of its own, and its facts."""

    kind: AlertKind
    facts: Mapping[str, str] = field(default_factory=dict)


def move(  # noqa: PLR0913 - what, where to, when, on which further condition, and how it is told
    session: Session,
    mailing_id: int,
    to: MailingState,
    *,
    now: datetime,
    reason: str = "",
    telling: Telling | None = None,
    where: ColumnElement[bool] | None = None,
    **also: object,
) -> bool:
    """Move a mailing into a state if the lifecycle allows it from where it is; tell whether it was moved.

    A compare-and-swap: of any number of processes that try, one is told yes. ``where`` is a further condition that must
    hold at that moment, ``also`` are further columns to set. Where it ends, is held or halted, an operator is told; by
    ``telling`` where the cause has words of its own.
    """
    allowed = (col(Mailing.id) == mailing_id) & col(Mailing.state).in_(MAILING_COMES_FROM[to])
    if where is not None:
        allowed &= where
    values = {"state": to, "state_reason": reason, **also}
    if rows_changed(session.execute(update(Mailing).where(allowed).values(**values))) != 1:
        return False
    if to in _TOLD:
        mailing = session.get_one(Mailing, mailing_id, populate_existing=True)
        _tell(session, mailing, telling or Telling(_TOLD[to]), now)
    return True


def _tell(session: Session, mailing: Mailing, telling: Telling, now: datetime) -> None:
    facts = {
        "mailing": str(mailing.id),
        "issue": str(mailing.issue_id),
        "reason": mailing.state_reason,
        "line": standing_of(session, mailing).line(),
        **telling.facts,
    }
    about = f"mailing {mailing.id}"
    alert = NewAlert(telling.kind, about, mailing.publication_id, mailing.live, facts)
    raise_alert(session, alert, now=now)


#: Nothing of it was decided yet: no audience, no call.
NOT_BEGUN = col(Mailing.begun_at).is_(None)


def begin_due(session: Session, *, live: bool, now: datetime) -> list[int]:
    """Begin every scheduled mailing whose time has come; each begins once, however many clocks run (DESIGN §4.1).

    A mailing that was scheduled to reach real readers begins only where real readers can be reached, and the other way
    round (DESIGN §4.11). One that comes too late, whose issue was approved too long ago, or is still on its way by
    another mailing, is held and asks. Where the store is held none does.
    """
    if not store_may_mail(session):
        return []
    due = (col(Mailing.state) == MailingState.scheduled) & (col(Mailing.due_at) <= now)
    # In one order everywhere: machines that begin the same ones do not wait for each other in a circle.
    found = select(Mailing).where(due, col(Mailing.live).is_(live)).order_by(col(Mailing.id))
    return [mailing.id for mailing in session.exec(found).all() if _begin(session, mailing, now)]


def _begin(session: Session, mailing: Mailing, now: datetime) -> bool:
    still_due = col(Mailing.due_at) <= now
    reason = _asks_first(mailing, policy_of(session, mailing.publication_id), now) or _waits_for(session, mailing)
    if reason:
        move(session, mailing.id, MailingState.held, now=now, reason=reason, where=still_due & NOT_BEGUN)
        return False
    return move(session, mailing.id, MailingState.freezing, now=now, where=still_due, begun_at=now)


def _asks_first(mailing: Mailing, policy: Policy, now: datetime) -> str:
    """Tell why a mailing that is due must be looked at by a person before it begins, or nothing."""
    go_on = f"`newsletter mailing resume {mailing.id}` mails it now"
    late = now - mailing.due_at
    # One that was ordered for at once is only too old; one that takes a slot may be put on it after its time.
    has_a_time = mailing.occurrence is not None or mailing.due_at > mailing.created_at
    name, longest = ("late_minutes", policy.late) if has_a_time else ("stale_content_minutes", policy.stale_content)
    if late > longest:
        return f"{in_words(late)} late, and the policy {name} is {longest // timedelta(minutes=1)}; {go_on}"
    age = mailing.due_at - (mailing.ready_at or mailing.due_at)
    if age > policy.stale:
        return f"its issue was ready {in_words(age)} before, and the policy stale_days is {policy.stale_days}; {go_on}"
    return ""


def _waits_for(session: Session, mailing: Mailing) -> str:
    """Say which other mailing of its issue a mailing must not leave anybody out for, or nothing."""
    if (other := another(session, mailing.issue_id, live=mailing.live, but=mailing.id, begun=True)) is None:
        return ""
    return (
        f"mailing {other.id} of the same issue is not over: once it is (`newsletter mailing show {other.id}`), "
        f"`newsletter mailing resume {mailing.id}` mails whom it did not reach"
    )


def hold_the_other_side(session: Session, *, live: bool, now: datetime) -> list[int]:
    """Hold every mailing that is due or under way and was meant for the other side of NOT LIVE; give their ids."""
    due = (col(Mailing.state) == MailingState.scheduled) & (col(Mailing.due_at) <= now)
    under_way = col(Mailing.state).in_((MailingState.freezing, MailingState.running))
    found = select(Mailing.id).where(or_(due, under_way), col(Mailing.live).is_not(live))
    was, is_now = ("NOT LIVE", "LIVE") if live else ("LIVE", "NOT LIVE")
    reason = f"meant for {was}, but the service is {is_now} now"
    return [one for one in session.exec(found).all() if move(session, one, MailingState.held, now=now, reason=reason)]


def conclude(session: Session, mailing_id: int, *, now: datetime) -> MailingState | None:
    """Bring a mailing into the state that its work is in: over, held for doubts or held lanes, or going on again.

    One that nothing but doubts or held lanes had stopped runs again as soon as something is to be done; what else it is
    held for stays to be decided. The rows are counted once more before it counts as finished; an account that does not
    balance, or somebody who stands in no request, halts it. Tells the state that it was brought into, or nothing where
    it stays as it is.
    """
    mailing = session.get(Mailing, mailing_id, populate_existing=True)
    if mailing is None or mailing.state not in {MailingState.running, MailingState.held} or not mailing.frozen_at:
        return None
    states, waits = batch_states(session, mailing_id), what_waits(session, mailing_id)
    end = conclusion(states, in_held_lanes=waits.in_held_lanes, for_later=waits.for_later)
    if end is None:
        goes_on = _is_held_by_its_work(mailing) and move(session, mailing_id, MailingState.running, now=now)
        return MailingState.running if goes_on else None
    standing = standing_of(session, mailing)
    reason = _why_held(session, mailing, standing, waits) if end is MailingState.held else ""
    if end is mailing.state:
        _say_anew(session, mailing, reason)
        return None
    if not standing.balances:
        end, reason = MailingState.halted, f"the account does not balance: {standing.line()}"
    elif end is MailingState.finished and standing.pending:
        end, reason = MailingState.halted, _left_out(mailing, standing)
    ended: dict[str, Any] = {"ended_at": now} if end is MailingState.finished else {}
    return end if move(session, mailing_id, end, now=now, reason=reason, **ended) else None


#: With this begins the reason of a mailing that is held for requests of unknown outcome.
_DOUBT = "outcome unknown"


def _why_held(session: Session, mailing: Mailing, standing: Standing, waits: Waiting) -> str:
    held = held_in_words(mailing.id, lanes_of(session, mailing.id)) if waits.in_held_lanes else ""
    if held and not standing.unknown:
        return held
    how_many = f"{standing.unknown:,} of {standing.recipients:,} recipients"
    unknown = f"{_DOUBT} for {how_many}; {_what_comes(session, mailing)}"
    return f"{unknown}; {held}" if held else unknown


def _left_out(mailing: Mailing, standing: Standing) -> str:
    return (
        f"{standing.pending:,} recipients stand in no request and would be left out: this is an error of ours. "
        f"`newsletter mailing cancel {mailing.id}`, then mail the issue again: it reaches exactly them"
    )


def _is_held_by_its_work(mailing: Mailing) -> bool:
    """Tell whether doubts or held lanes are all that a mailing is held for."""
    return mailing.state is MailingState.held and mailing.state_reason.startswith((_DOUBT, LANES_HELD))


def _say_anew(session: Session, mailing: Mailing, reason: str) -> None:
    """Keep true what a mailing is held for where part of it was decided; nobody is told again."""
    if _is_held_by_its_work(mailing):
        mailing.state_reason = reason
        session.add(mailing)
        session.flush()


def _what_comes(session: Session, mailing: Mailing) -> str:
    policy = policy_of(session, mailing.publication_id)
    after = f"after {policy.quiet_minutes / 60:g} h of quiet time"
    return {
        UnknownPolicy.hold: f"nobody is mailed again; an event may prove them, and {after} you are asked",
        UnknownPolicy.resend: f"an event may prove them; {after} what no event proved is mailed once more, or asks",
        UnknownPolicy.give_up: f"nobody is mailed again; an event may prove them, and {after} they are given up",
    }[policy.unknown]


def resume(session: Session, mailing_id: int, *, live: bool, now: datetime, even_though_old: bool = False) -> Mailing:
    """Let a halted, held or paused mailing go on, once its cause is mended. What is unknown stays so.

    Args:
        session: Where it is written.
        mailing_id: Which mailing.
        live: Whether real readers are mailed now.
        now: When.
        even_though_old: A person has been told how old its content is, and wants it mailed.

    Raises:
        NotFound: There is no such mailing.
        Refused: It is in another state, was meant for the other side of NOT LIVE, its content is too old, its work all
            waits in held lanes, which ``release`` lets go on, or readers still wait in another mailing of the issue.
    """
    mailing = find_mailing(session, mailing_id)
    if mailing.live != live:
        raise Refused(f"mailing {mailing_id} was begun {'LIVE' if mailing.live else 'NOT LIVE'} and can only go on so")
    if mailing.state not in {MailingState.halted, MailingState.paused, MailingState.held}:
        raise Refused(f"mailing {mailing_id} is {mailing.state}: only a halted, held or paused mailing is resumed")
    if not even_though_old and (old := too_old(session, mailing, now=now)):
        raise Refused(f"mailing {mailing_id} was due {old}: look whether it is still true, then say --even-though-old")
    if not mailing.frozen_at:
        refuse_beside_another(session, mailing.issue_id, live=live, but=mailing_id, begun=True)
    waits = what_waits(session, mailing_id)
    if mailing.state is MailingState.held and waits.in_held_lanes and not waits.elsewhere:
        raise Refused(held_in_words(mailing_id, lanes_of(session, mailing_id)))
    onward = MailingState.running if mailing.frozen_at else MailingState.freezing
    # One that was held before its time had not begun yet. That SendGrid was away is forgotten: it is tried at once.
    there: dict[str, Any] = {"failures": 0, "away_since": None, "retry_at": None}
    if not move(session, mailing_id, onward, now=now, begun_at=mailing.begun_at or now, **there):
        raise Refused(f"mailing {mailing_id} was just changed by another: look at it again")
    session.refresh(mailing)
    return mailing


def too_old(session: Session, mailing: Mailing, *, now: datetime) -> str:
    """Say how long ago a mailing was due, in words, where that is longer than its publication wants to be asked for."""
    age = now - mailing.due_at
    if age <= policy_of(session, mailing.publication_id).stale_content:
        return ""
    hours = age.total_seconds() / 3600
    return f"{hours:,.0f} hours ago" if hours < 72 else f"{hours / 24:,.0f} days ago"  # noqa: PLR2004 - three days
