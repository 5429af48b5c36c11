"""Waves in the store: who goes first, who follows, and who waits for a later week of the warm-up.

Between the freeze and its batches; called by ``audience``. Both cuts can be made again after a crash and come out the
same: the sample by the deliveries' own numbers, the warm-up's cohort by plan and by how long somebody has subscribed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, literal, or_, update
from sqlmodel import Session, col, select

from newsletter.alerts import AlertKind, NewAlert, raise_alert
from newsletter.database import Database
from newsletter.delivery.batching import sample, wave_of
from newsletter.delivery.claims import Claim, move_batch
from newsletter.delivery.doubts import follows_its_batch
from newsletter.delivery.lifecycle import BatchState, Difference, MailingState
from newsletter.delivery.mailings import conclude, find_mailing
from newsletter.delivery.models import Batch, Delivery, Mailing
from newsletter.delivery.pacing import Wave, cohort
from newsletter.delivery.policies import policy_of
from newsletter.publications import publication_by_id, zone_of
from subscribers.bulk import rows_changed
from subscribers.models import Plan, Subscriber, Subscription


STREAM = 20_000
SUPERSEDED = "superseded"


@dataclass(frozen=True)
class Waves:
    """How a mailing's deliveries are sorted into waves.

    Attributes:
        samples: The last place of each lane's sample; ``None`` without a first wave.
        is_for_later: In SQL, over subscriptions, whether a reader is beyond this week's cohort.
    """

    samples: Mapping[str, int] | None
    is_for_later: ColumnElement[bool]

    def of(self, delivery_id: int, domain: str, *, for_later: bool) -> Wave:
        """Tell in which wave a delivery goes."""
        return Wave.later if for_later else wave_of(delivery_id, domain, self.samples)


def waves_of(session: Session, mailing_id: int) -> Waves:
    """Sort a frozen mailing into waves, as its publication's policy wants it."""
    mailing = find_mailing(session, mailing_id)
    policy = policy_of(session, mailing.publication_id)
    zone = zone_of(publication_by_id(session, mailing.publication_id))
    size = cohort(policy, (mailing.begun_at or mailing.due_at).astimezone(zone).date())
    is_for_later = literal(value=False) if size is None else _is_beyond(session, mailing_id, size)
    if not policy.first_wave:
        return Waves(None, is_for_later)
    goes_now = (
        select(Delivery.id, Subscriber.domain)
        .join(Subscription, col(Subscription.id) == col(Delivery.subscription_id))
        .join(Subscriber, col(Subscriber.id) == col(Delivery.subscriber_id))
        .where(Delivery.mailing_id == mailing_id, ~is_for_later)
        .execution_options(yield_per=STREAM)
    )
    return Waves(sample(session.exec(goes_now), policy.first_wave), is_for_later)


def _is_beyond(session: Session, mailing_id: int, size: int) -> ColumnElement[bool]:
    """Tell in SQL who does not belong to a cohort of this size: paid plans first, then the longest-standing."""
    position = select(Plan.position).where(Plan.id == Subscription.plan_id).scalar_subquery()
    since = func.coalesce(Subscription.confirmed_at, Subscription.created_at)
    last = session.execute(
        select(position, since, Subscription.id)
        .join(Delivery, col(Delivery.subscription_id) == col(Subscription.id))
        .where(Delivery.mailing_id == mailing_id)
        .order_by(position.desc(), since, col(Subscription.id))
        .offset(size - 1)
        .limit(1)
    ).first()
    if last is None:
        return literal(value=False)
    younger = or_(since > last[1], and_(since == last[1], col(Subscription.id) > last[2]))
    return or_(position < last[0], and_(position == last[0], younger))


def supersede_earlier(database: Database, mailing_id: int, *, clock: Callable[[], datetime]) -> int:
    """Leave out whom earlier mailings of the publication kept for later weeks; tell how many. Safe to call again.

    Only a mailing that was meant for them takes their place: one to everybody, or to the same audience. A correction
    never does. A batch at a time: leaving readers must not wait.
    """
    with database.reading() as session:
        waiting = _left_over(session, mailing_id)
    counts: dict[int, int] = {}
    for earlier_id, batch_id in waiting:
        with database.writing() as session:
            counts[earlier_id] = counts.get(earlier_id, 0) + _supersede(session, batch_id, mailing_id)
    for earlier_id, count in counts.items():
        if not count:
            continue
        with database.writing() as session:
            _tell(session, earlier_id, mailing_id, count, clock())
            conclude(session, earlier_id, now=clock())
    return sum(counts.values())


#: What may still be taken back: no call for it has begun.
_NOT_BEGUN = (BatchState.ready, BatchState.retry_wait)


def _left_over(session: Session, mailing_id: int) -> list[tuple[int, int]]:
    mailing = find_mailing(session, mailing_id)
    if mailing.correction_id is not None or mailing.begun_at is None:
        return []
    # By time: a mailing may have been scheduled before one that began earlier.
    began = col(Mailing.begun_at)
    earlier = or_(began < mailing.begun_at, and_(began == mailing.begun_at, col(Mailing.id) < mailing.id))
    found = (
        select(Batch.mailing_id, Batch.id)
        .join(Mailing, col(Mailing.id) == col(Batch.mailing_id))
        .where(Mailing.publication_id == mailing.publication_id, col(Mailing.live).is_(mailing.live), earlier)
        .where(Batch.wave == Wave.later, col(Batch.state).in_(_NOT_BEGUN))
        .order_by(col(Batch.id))
    )
    if mailing.audience:
        found = found.where(Mailing.audience == mailing.audience)
    return list(session.exec(found).all())


def _supersede(session: Session, batch_id: int, later_id: int) -> int:
    """End a batch whose readers are left out, unless the later mailing was stopped; tell how many they are."""
    if session.get_one(Mailing, later_id, with_for_update={"read": True}).state is not MailingState.freezing:
        return 0
    batch = session.get_one(Batch, batch_id, with_for_update=True)
    reason = f"mailing {later_id} took its place"
    if not move_batch(session, Claim(batch.id, batch.attempt), BatchState.cancelled, state_reason=reason):
        return 0
    theirs = (col(Delivery.mailing_id) == batch.mailing_id) & (col(Delivery.batch_id) == batch.id) & follows_its_batch()
    values = {"difference": Difference.skipped, "reason": SUPERSEDED, "may_have_reached": False}
    return rows_changed(session.execute(update(Delivery).where(theirs).values(**values)))


def _tell(session: Session, earlier_id: int, later_id: int, count: int, now: datetime) -> None:
    earlier = find_mailing(session, earlier_id)
    facts = {
        "mailing": str(earlier_id),
        "issue": str(earlier.issue_id),
        "later": str(later_id),
        "readers": f"{count:,}",
    }
    new = NewAlert(AlertKind.superseded, f"mailing {earlier_id}", earlier.publication_id, earlier.live, facts)
    raise_alert(session, new, now=now)
