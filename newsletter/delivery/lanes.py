"""Lanes in the store: how far each mailbox provider's share of a mailing is, what holds it, and what waits behind it.

``feedback.protection`` holds lanes and opens their next wave, a person lets them go on (``releasing``), ``mailings``
asks what is left to do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, text, update
from sqlmodel import Session, col, select

from newsletter.delivery.doubts import follows_its_batch
from newsletter.delivery.lifecycle import Difference
from newsletter.delivery.models import WAITS, Batch, Delivery, Lane
from newsletter.delivery.pacing import Excess, Wave
from subscribers.bulk import rows_changed


@dataclass(frozen=True)
class Waiting:
    """How many batches wait to be claimed: in lanes that are held, beyond the warm-up, and elsewhere."""

    in_held_lanes: int = 0
    for_later: int = 0
    elsewhere: int = 0


def what_waits(session: Session, mailing_id: int) -> Waiting:
    """Count the batches of a mailing that wait, by what they wait for."""
    where = case(
        (col(Batch.wave) == Wave.later, "for_later"),
        (col(Lane.held_at).is_not(None), "in_held_lanes"),
        else_="elsewhere",
    )
    found = (
        select(where, func.count())
        .select_from(Batch)
        .join(Lane, (col(Lane.mailing_id) == col(Batch.mailing_id)) & (col(Lane.lane) == col(Batch.lane)), isouter=True)
        .where(Batch.mailing_id == mailing_id, text(f"batch.state {WAITS}"))
        .group_by(where)
    )
    return Waiting(**dict(session.exec(found).all()))


@dataclass(frozen=True)
class LaneView:
    """A lane as people see it; ``waiting`` are recipients that could go if nothing held them."""

    lane: str
    wave: int
    wave_at: datetime | None
    not_before: datetime | None
    held_at: datetime | None
    held_for: str
    excess: float
    released_by: str
    waiting: int
    for_later: int


def lanes_of(session: Session, mailing_id: int) -> list[LaneView]:
    """List a mailing's lanes with how many recipients wait in each, the largest first."""
    waiting = _recipients_waiting(session, mailing_id)
    rows = session.exec(select(Lane).where(Lane.mailing_id == mailing_id)).all()
    views = [
        LaneView(
            one.lane,
            one.wave,
            one.wave_at,
            one.not_before,
            one.held_at,
            one.held_for,
            one.excess,
            one.released_by,
            waiting.get((one.lane, False), 0),
            waiting.get((one.lane, True), 0),
        )
        for one in rows
    ]
    return sorted(views, key=lambda one: (-one.waiting - one.for_later, one.lane))


def _recipients_waiting(session: Session, mailing_id: int) -> Mapping[tuple[str, bool], int]:
    is_later = (col(Batch.wave) == Wave.later).label("later")
    found = (
        select(Batch.lane, is_later, func.count())
        .join(Delivery, (col(Delivery.mailing_id) == mailing_id) & (col(Delivery.batch_id) == col(Batch.id)))
        .where(Batch.mailing_id == mailing_id, text(f"batch.state {WAITS}"), follows_its_batch())
        .group_by(col(Batch.lane), is_later)
    )
    return {(lane, bool(later)): count for lane, later, count in session.exec(found)}


def superseded_in(session: Session, mailing_id: int) -> int:
    """Count the recipients whom the warm-up had left for later, and a newer mailing has taken over."""
    left = (col(Batch.wave) == Wave.later) & (col(Delivery.difference) == Difference.skipped)
    found = (
        select(func.count())
        .select_from(Batch)
        .join(Delivery, (col(Delivery.mailing_id) == mailing_id) & (col(Delivery.batch_id) == col(Batch.id)))
        .where(Batch.mailing_id == mailing_id, left)
    )
    return session.exec(found).one()


#: How the reason of a mailing begins that is held since nothing is left but held lanes.
LANES_HELD = "held: "


def held_in_words(mailing_id: int, lanes: Sequence[LaneView]) -> str:
    """Say which lanes are held, why, and what lets them go on."""
    held = [one for one in lanes if one.held_at]
    why = dict.fromkeys(one.held_for for one in held)
    grouped = ((", ".join(one.lane for one in held if one.held_for == reason), reason) for reason in why)
    causes = "; ".join(f"{names}: {reason}" for names, reason in grouped)
    waiting = sum(one.waiting for one in held)
    return f"{LANES_HELD}{causes}; {waiting:,} recipients wait: `newsletter mailing release {mailing_id}`"


def hold_lane(session: Session, mailing_id: int, lane: str, found: Excess, *, now: datetime) -> bool:
    """Hold a lane, or keep in words how it stands where it is held already; tell whether it was held just now."""
    mine = (col(Lane.mailing_id) == mailing_id) & (col(Lane.lane) == lane)
    fresh = update(Lane).where(mine, col(Lane.held_at).is_(None))
    if rows_changed(session.execute(fresh.values(held_at=now, held_for=found.words, excess=found.times))) == 1:
        return True
    worse = update(Lane).where(mine, col(Lane.held_at).is_not(None), col(Lane.excess) < found.times)
    session.execute(worse.values(held_for=found.words, excess=found.times))
    return False


def open_wave(session: Session, mailing_id: int, lane: str) -> None:
    """Let everybody of a lane follow its first wave."""
    mine = (col(Lane.mailing_id) == mailing_id) & (col(Lane.lane) == lane)
    session.execute(update(Lane).where(mine, col(Lane.wave) == Wave.first).values(wave=Wave.rest))
