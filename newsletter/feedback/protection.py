"""Protection: a mailbox provider gets no further mail once its bounces, blocks or complaints pass their limits.

Called by the clock. Counts what ``record`` has kept, lets ``delivery.pacing`` judge, and holds by ``delivery.lanes``; a
person lets go on by ``delivery.releasing``. The first wave is looked at here, too: the rest of a lane follows once its
sample did well, and waits for a person where no event came at all: silence is no sign of health.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, text, update
from sqlmodel import Session, col, select

from newsletter.alerts import AlertKind, NewAlert, raise_alert
from newsletter.delivery.accounts import standing_of
from newsletter.delivery.hearing import heard_since
from newsletter.delivery.lanes import hold_lane, open_wave
from newsletter.delivery.life import first_call
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
    looked_at = [one for one in lanes if one.lane not in held]
    heard = _is_heard(session, looked_at)
    by_first_wave = _look_after_first_wave(session, looked_at, policy, counts, heard=heard, now=now)
    if heard:
        _tell_each(session, mailing, by_first_wave, counts, now)
    held |= by_first_wave
    # Where nothing else is left to do the mailing is held as a whole now, which tells the operator once.
    if held and conclude(session, mailing.id, now=now) is None and by_first_wave and not heard:
        _tell_of_silence(session, mailing, policy, now)
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


def _is_heard(session: Session, lanes: Sequence[Lane]) -> bool:
    """Tell whether an event of any request came since the first call of a mailing whose first wave is looked at."""
    looked_at = [one.mailing_id for one in lanes if one.wave == Wave.first and one.wave_at]
    since = first_call(session, looked_at[0]) if looked_at else None
    return since is None or bool(heard_since(session, since))


def _look_after_first_wave(  # noqa: PLR0913 - which lanes, judged by what, and when
    session: Session,
    lanes: Sequence[Lane],
    policy: Policy,
    counts: Mapping[str, Counts],
    *,
    heard: bool,
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
            found = judge_first_wave(counts.get(lane.lane, Counts()), policy, _seen(lane), heard=heard)
            if found is None:
                open_wave(session, lane.mailing_id, lane.lane)
            elif hold_lane(session, lane.mailing_id, lane.lane, found, now=now):
                held[lane.lane] = found
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


def _tell_of_silence(session: Session, mailing: Mailing, policy: Policy, now: datetime) -> None:
    """Tell once of all lanes: their numbers would only say that nothing came back."""
    reason = (
        f"no feedback came within {policy.look_minutes} minutes after the first wave, so nobody knows how it did: "
        f"`newsletter doctor` looks whether SendGrid's event webhook arrives here; what waits goes on with `newsletter "
        f"mailing release {mailing.id}`"
    )
    facts = {"mailing": str(mailing.id), "issue": str(mailing.issue_id), "reason": reason}
    facts["line"] = standing_of(session, mailing).line()
    about = f"mailing {mailing.id}, first wave"
    raise_alert(session, NewAlert(AlertKind.mailing_held, about, mailing.publication_id, mailing.live, facts), now=now)
