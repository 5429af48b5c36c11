"""Protection: a mailbox provider gets no further mail once its bounces, blocks or complaints pass their limits.

Called by the clock. Counts what ``record`` has kept, lets ``delivery.pacing`` judge, and holds by ``delivery.lanes``; a
person lets go on by ``delivery.releasing``. The first wave is looked at here, too: the rest of a lane follows once its
sample did well.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, text, update
from sqlmodel import Session, col, select

from newsletter.alerts import AlertKind, NewAlert, raise_alert
from newsletter.delivery.lanes import hold_lane, open_wave
from newsletter.delivery.lifecycle import AT_WORK, MailingState
from newsletter.delivery.mailings import conclude
from newsletter.delivery.models import WAITS, Batch, Lane, Mailing
from newsletter.delivery.pacing import Counts, Excess, Wave, judge, judge_first_wave
from newsletter.delivery.policies import policy_of
from newsletter.delivery.policy import Policy
from newsletter.feedback.models import FeedbackEventRow
from newsletter.feedback.outcomes import BounceClass
from newsletter.feedback.surges import accepted_by
from newsletter.providers.feedback import FeedbackKind


def protect(session: Session, *, live: bool, now: datetime) -> list[tuple[int, str]]:
    """Look at every mailing with work left: hold what passes its limits, open what did well; give what was held."""
    found = select(Mailing).where(
        col(Mailing.state).in_((MailingState.running, MailingState.held)), col(Mailing.live).is_(live)
    )
    return [(one.id, lane) for one in session.exec(found).all() for lane in _protect(session, one, now)]


def _protect(session: Session, mailing: Mailing, now: datetime) -> list[str]:
    lanes = _lanes_with_work(session, mailing.id)
    if not lanes:
        return []
    policy = policy_of(session, mailing.publication_id)
    counts = counts_of(session, mailing.id)
    judged = judge(counts, policy, {one.lane: _seen(one) for one in lanes})
    held = {lane: what for lane, what in judged.lanes.items() if hold_lane(session, mailing.id, lane, what, now=now)}
    if judged.of_all is None:
        _tell_each(session, mailing, held, counts, now)
    held |= _look_after_first_wave(
        session, mailing, [one for one in lanes if one.lane not in held], policy, counts, now
    )
    if held:
        # Where nothing else is left to do the mailing is held as a whole now, which tells the operator once.
        conclude(session, mailing.id, now=now)
    return sorted(held)


def _seen(lane: Lane) -> float:
    """Give the excess that a person has let pass; a lane that is held still has none."""
    return lane.excess if lane.held_at is None else 0.0


def _lanes_with_work(session: Session, mailing_id: int) -> Sequence[Lane]:
    waits = (
        select(Batch.id)
        .where(Batch.mailing_id == Lane.mailing_id, Batch.lane == Lane.lane, Batch.wave < Wave.later)
        .where(text(f"batch.state {WAITS}"))
        .exists()
    )
    found = select(Lane).where(Lane.mailing_id == mailing_id, waits).execution_options(populate_existing=True)
    return session.exec(found).all()


def counts_of(session: Session, mailing_id: int) -> dict[str, Counts]:
    """Count by mailbox provider what was accepted of a mailing, and what came back of it."""
    events = (
        select(
            FeedbackEventRow.provider,
            FeedbackEventRow.kind,
            FeedbackEventRow.bounce_class,
            func.count(func.distinct(FeedbackEventRow.delivery_id)),
        )
        .where(FeedbackEventRow.mailing_id == mailing_id)
        .group_by(FeedbackEventRow.provider, FeedbackEventRow.kind, FeedbackEventRow.bounce_class)  # type: ignore[arg-type]
    )
    counts = {lane: Counts(accepted) for lane, accepted in accepted_by(session, mailing_id).items()}
    for provider, kind, bounce_class, count in session.exec(events):
        what = _counted(FeedbackKind(kind), BounceClass(bounce_class) if bounce_class else None, count)
        counts[provider] = counts.get(provider, Counts()) + what
    return counts


def _counted(kind: FeedbackKind, bounce_class: BounceClass | None, count: int) -> Counts:
    if kind is FeedbackKind.complained:
        return Counts(complained=count)
    if kind is not FeedbackKind.bounced:
        return Counts()
    return Counts(
        hard=count if bounce_class is BounceClass.hard else 0,
        blocked=count if bounce_class is BounceClass.blocked else 0,
    )


def _look_after_first_wave(  # noqa: PLR0913, PLR0917 - which lanes, judged by what, and when
    session: Session,
    mailing: Mailing,
    lanes: Sequence[Lane],
    policy: Policy,
    counts: Mapping[str, Counts],
    now: datetime,
) -> dict[str, Excess]:
    """Let the rest of each lane follow whose first wave did well; hold and give the others."""
    held: dict[str, Excess] = {}
    for lane in lanes:
        if lane.wave != Wave.first or lane.held_at or _is_under_way(session, lane):
            continue
        if lane.wave_at is None:
            _begin_to_look(session, lane, now)
        elif now - lane.wave_at >= policy.look:
            found = judge_first_wave(counts.get(lane.lane, Counts()), policy, _seen(lane))
            if found is None:
                open_wave(session, mailing.id, lane.lane)
            elif hold_lane(session, mailing.id, lane.lane, found, now=now):
                held[lane.lane] = found
    _tell_each(session, mailing, held, counts, now)
    return held


def _is_under_way(session: Session, lane: Lane) -> bool:
    """Tell whether somebody of the first wave is still to be mailed."""
    found = select(Batch.id).where(
        Batch.mailing_id == lane.mailing_id,
        Batch.lane == lane.lane,
        Batch.wave == Wave.first,
        col(Batch.state).in_(AT_WORK),
    )
    return session.exec(found.limit(1)).first() is not None


def _begin_to_look(session: Session, lane: Lane, now: datetime) -> None:
    mine = (col(Lane.mailing_id) == lane.mailing_id) & (col(Lane.lane) == lane.lane)
    session.execute(update(Lane).where(mine, col(Lane.wave_at).is_(None)).values(wave_at=now))


def _tell_each(
    session: Session, mailing: Mailing, held: Mapping[str, Excess], counts: Mapping[str, Counts], now: datetime
) -> None:
    for lane, found in held.items():
        seen = counts.get(lane, Counts())
        facts = {
            "mailing": str(mailing.id),
            "issue": str(mailing.issue_id),
            "provider": lane,
            "reason": found.words,
            **{name: f"{getattr(seen, name):,}" for name in ("accepted", "hard", "blocked", "complained")},
        }
        about = f"mailing {mailing.id}, {lane}"
        raise_alert(session, NewAlert(AlertKind.lane_held, about, mailing.publication_id, mailing.live, facts), now=now)
