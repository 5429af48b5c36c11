"""Surges: an unusual share of a mailing bounced at one mailbox provider. After ``record``, before ``levelling``.

Its readers are not blamed before a person has looked: the consequences of a surge wait until it is decided. A provider
with trouble of its own, or one that has begun to refuse us, answers "no such user" to people who exist.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func
from sqlmodel import Session, col, select

from newsletter.alerts import AlertKind, NewAlert, raise_alert
from newsletter.delivery.lifecycle import BatchState
from newsletter.delivery.models import Attempt, Batch, Mailing
from newsletter.errors import NotFound, Refused
from newsletter.feedback.alone import alone
from newsletter.feedback.applying import Scene
from newsletter.feedback.consequences import Limits
from newsletter.feedback.histories import limits_of_all
from newsletter.feedback.levelling import bring_level
from newsletter.feedback.models import Consequence, ConsequenceState, FeedbackEventRow, Surge, SurgeDecision
from newsletter.feedback.outcomes import OUR_FAULTS
from newsletter.providers.feedback import FeedbackKind
from subscribers.bulk import insert_missing


def watch(session: Session, places: Collection[tuple[int, str]], *, now: datetime) -> set[str]:
    """Look whether bounces surge at these mailings' providers; give the addresses whose consequences now wait.

    A surge that was seen stays one, whatever comes later: the share only grows once a mailing is accepted.
    """
    touched: set[str] = set()
    limits = limits_of_all(session)
    for mailing_id, provider in sorted(places):
        own = limits.get(session.get_one(Mailing, mailing_id).publication_id, Limits())
        if session.get(Surge, (mailing_id, provider)) is None:
            touched |= _look(session, mailing_id, provider, own, now)
        _warn_of_blocks(session, mailing_id, provider, own, now)
        _warn_of_complaints(session, mailing_id, provider, own, now)
    return touched


def _warn_of_blocks(session: Session, mailing_id: int, provider: str, limits: Limits, now: datetime) -> None:
    """Tell an operator where a provider refuses an unusual share for reasons of ours: nobody else can mend that."""
    causes = _our_faults(session, mailing_id, provider)
    blocked = sum(causes.values())
    if blocked < limits.surge_bounces and causes.get("authentication", 0) < _FEWEST:
        return
    accepted = accepted_by(session, mailing_id).get(provider, 0)
    if blocked > limits.surge_share * accepted:
        named = ", ".join(f"{cause} {count}" for cause, count in sorted(causes.items()))
        facts = {"blocked": str(blocked), "accepted": str(accepted), "causes": named}
        _tell(session, AlertKind.blocked, mailing_id, provider, facts, now)


def _our_faults(session: Session, mailing_id: int, provider: str) -> dict[str, int]:
    """Count the deliveries that a provider refused for faults of ours, by the fault."""
    found = (
        select(
            FeedbackEventRow.bounce_class,
            FeedbackEventRow.cause,
            func.count(func.distinct(FeedbackEventRow.delivery_id)),
        )
        .where(*_is_bounce(mailing_id, provider), col(FeedbackEventRow.bounce_class).in_(OUR_FAULTS))
        .group_by(col(FeedbackEventRow.bounce_class), col(FeedbackEventRow.cause))
    )
    return {cause or str(bounce_class): count for bounce_class, cause, count in session.exec(found)}


#: A single one of a small mailing is a share above every line, and says nothing. Of complaints, and of mails that were
#: refused since our domain proves nothing: then all are, and a provider with few readers would never be told of.
_FEWEST = 2


def _warn_of_complaints(session: Session, mailing_id: int, provider: str, limits: Limits, now: datetime) -> None:
    """Tell an operator where a provider's readers complain more than they may."""
    found = select(func.count(func.distinct(FeedbackEventRow.delivery_id))).where(
        FeedbackEventRow.mailing_id == mailing_id,
        FeedbackEventRow.kind == FeedbackKind.complained,
        FeedbackEventRow.provider == provider,
    )
    complained = session.exec(found).one()
    if complained < _FEWEST:
        return
    accepted = accepted_by(session, mailing_id).get(provider, 0)
    if complained > limits.complaint_share * accepted:
        share = f"{complained / accepted:.2%}" if accepted else "100%"
        facts = {"complained": str(complained), "accepted": str(accepted), "share": share}
        facts["limit"] = f"{limits.complaint_share:.1%}"
        _tell(session, AlertKind.complaints_rising, mailing_id, provider, facts, now)


def _look(session: Session, mailing_id: int, provider: str, limits: Limits, now: datetime) -> set[str]:
    bounced = _bounced(session, mailing_id, provider)
    if bounced < limits.surge_bounces:
        return set()
    accepted = accepted_by(session, mailing_id).get(provider, 0)
    if bounced <= limits.surge_share * accepted:
        return set()
    row = {"mailing_id": mailing_id, "provider": provider, "seen_at": now, "bounced": bounced, "accepted": accepted}
    insert_missing(session, Surge, [{**row, "decided_by": ""}])
    facts = {"bounced": str(bounced), "accepted": str(accepted)}
    _tell(session, AlertKind.surge, mailing_id, provider, facts, now)
    return _addresses(session, mailing_id, provider)


def _tell(  # noqa: PLR0913, PLR0917 - what, of which mailing and provider, and when
    session: Session, kind: AlertKind, mailing_id: int, provider: str, facts: Mapping[str, str], now: datetime
) -> None:
    mailing = session.get_one(Mailing, mailing_id)
    known = {"mailing": str(mailing_id), "issue": str(mailing.issue_id), "provider": provider, **facts}
    about = f"mailing {mailing_id}, {provider}"
    raise_alert(session, NewAlert(kind, about, mailing.publication_id, mailing.live, known), now=now)


def _bounced(session: Session, mailing_id: int, provider: str) -> int:
    """Count the deliveries that bounced, for whatever reason."""
    found = select(func.count(func.distinct(FeedbackEventRow.delivery_id))).where(*_is_bounce(mailing_id, provider))
    return session.exec(found).one()


def _addresses(session: Session, mailing_id: int, provider: str) -> set[str]:
    found = select(FeedbackEventRow.address_hash).where(
        *_is_bounce(mailing_id, provider), FeedbackEventRow.address_hash != ""
    )
    return set(session.exec(found))


def _is_bounce(mailing_id: int, provider: str) -> tuple[ColumnElement[bool], ...]:
    return (
        col(FeedbackEventRow.mailing_id) == mailing_id,
        col(FeedbackEventRow.kind) == FeedbackKind.bounced,
        col(FeedbackEventRow.provider) == provider,
    )


def accepted_by(session: Session, mailing_id: int) -> dict[str, int]:
    """Count a mailing's accepted recipients by mailbox provider."""
    current = (col(Attempt.batch_id) == col(Batch.id)) & (col(Attempt.number) == col(Batch.attempt))
    found = (
        select(Batch.lane, func.sum(Attempt.size))
        .join(Attempt, current)
        .where(Batch.mailing_id == mailing_id, Batch.state == BatchState.accepted)
        .group_by(col(Batch.lane))
    )
    return dict(session.exec(found).all())


def surges_of(session: Session) -> list[dict[str, Any]]:
    """List surges, the newest first, each with how many of its consequences wait."""
    waiting = (
        select(FeedbackEventRow.mailing_id, FeedbackEventRow.provider, func.count())
        .join(Consequence, col(Consequence.event_id) == col(FeedbackEventRow.id))
        .where(Consequence.state == ConsequenceState.quarantined)
        .group_by(col(FeedbackEventRow.mailing_id), col(FeedbackEventRow.provider))
    )
    counts = {(mailing_id, provider): count for mailing_id, provider, count in session.exec(waiting)}
    return [
        {
            "mailing": one.mailing_id,
            "provider": one.provider,
            "bounced": one.bounced,
            "accepted": one.accepted,
            "seen_at": one.seen_at,
            "waiting": counts.get((one.mailing_id, one.provider), 0),
            "decision": one.decision,
            "decided_by": one.decided_by,
        }
        for one in session.exec(select(Surge).order_by(col(Surge.seen_at).desc()))
    ]


def find_surge(session: Session, mailing_id: int, provider: str) -> dict[str, Any]:
    """Find one surge, as ``surges_of`` lists it.

    Raises:
        NotFound: No surge was seen there.
    """
    for one in surges_of(session):
        if (one["mailing"], one["provider"]) == (mailing_id, provider):
            return one
    raise NotFound(f"no surge was seen at {provider} in mailing {mailing_id}: `newsletter feedback surges`")


def decide_surge(session: Session, mailing_id: int, provider: str, decision: SurgeDecision, scene: Scene) -> int:
    """Carry out an operator's word on a surge; tell how many consequences it moved.

    Confirmed, they are applied; dismissed, they are undone, and what else this mailing's bounces would lead to.

    Raises:
        NotFound: No surge was seen there.
        Refused: It was decided otherwise already.
    """
    alone(session)
    surge = session.get(Surge, (mailing_id, provider))
    if surge is None:
        raise NotFound(f"no surge was seen at {provider} in mailing {mailing_id}: `newsletter feedback surges`")
    if surge.decision not in {None, decision}:
        raise Refused(f"the surge at {provider} in mailing {mailing_id} was {surge.decision} on {surge.decided_at:%F}")
    surge.decision, surge.decided_at, surge.decided_by = decision, scene.now, str(scene.by)
    session.add(surge)
    session.flush()
    return bring_level(session, _addresses(session, mailing_id, provider), scene)
