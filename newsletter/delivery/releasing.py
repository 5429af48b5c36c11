"""Releasing: a person has seen why mailbox providers are held, and lets them go on. After ``feedback.protection``."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import update
from sqlmodel import Session, col

from newsletter.delivery.lanes import LaneView, lanes_of
from newsletter.delivery.mailings import conclude, find_mailing
from newsletter.delivery.models import Lane
from newsletter.errors import Refused
from subscribers.actors import Actor


def held_lanes(session: Session, mailing_id: int, providers: Collection[str] = ()) -> list[LaneView]:
    """List the held lanes of a mailing, or those of them that are named.

    Raises:
        NotFound: There is no such mailing.
        Refused: None is held, or one that was named is not.
    """
    find_mailing(session, mailing_id)
    held = {one.lane: one for one in lanes_of(session, mailing_id) if one.held_at}
    if not held:
        raise Refused(f"nothing is held in mailing {mailing_id}: `newsletter mailing show {mailing_id}`")
    if unheld := sorted(set(providers) - set(held)):
        raise Refused(f"{', '.join(unheld)} is not held in mailing {mailing_id}; held: {', '.join(sorted(held))}")
    return [one for name, one in held.items() if not providers or name in providers]


def release(
    session: Session, mailing_id: int, *, by: Actor, now: datetime, providers: Collection[str] = ()
) -> list[LaneView]:
    """Let held lanes go on, all or those named; give them as they stood.

    What the person saw is kept: a lane is held again only once it is twice as bad (``pacing.WORSE``).

    Raises:
        NotFound: There is no such mailing.
        Refused: None is held, or one that was named is not.
    """
    held = held_lanes(session, mailing_id, providers)
    mine = (col(Lane.mailing_id) == mailing_id) & col(Lane.lane).in_([one.lane for one in held])
    session.execute(update(Lane).where(mine).values(held_at=None, held_for="", released_by=str(by)))
    session.flush()
    session.expire_all()
    # Where it was held for something else as well (SendGrid away, before its time), that is still to be decided.
    conclude(session, mailing_id, now=now)
    return held
