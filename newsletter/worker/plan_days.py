"""The days of plans: those that are over end, and readers hear of those that will. Called by the clock.

Days are those of each publication's zone. Nothing is locked where there is nothing to do, which is nearly always.
"""

from collections.abc import Iterator
from datetime import date, datetime

from sqlmodel import Session

from newsletter.database import Database
from newsletter.outbox import NoticeKind, NoticeOrder, enqueue
from newsletter.publications import Publication, list_publications, zone_of
from subscribers.actors import CLOCK
from subscribers.plan_changes import EndedPlan, EndingPlan, any_ending, any_over, due_renewal_notices, end_plans


def end_what_is_over(database: Database, *, live: bool, now: datetime) -> int:
    """End every plan that is over by now, a thousand readers a transaction, and have them told; give how many.

    Afterwards none is left, also where other machines end the same at this moment.
    """
    ended = 0
    for publication, today in _days(database, now):
        while _is_any_over(database, publication, today):
            with database.writing() as session:
                over = end_plans(session, publication.id, today=today, by=CLOCK, now=now)
                _order(session, [_of_end(one, publication, live=live) for one in over], now)
                ended += len(over)
    return ended


def tell_who_ends_soon(database: Database, *, live: bool, now: datetime) -> int:
    """Have readers told whose plan ends soon, once for each end, a thousand a transaction; give how many."""
    told = 0
    for publication, today in _days(database, now):
        while _is_any_ending(database, publication, today):
            with database.writing() as session:
                ending = due_renewal_notices(session, publication.id, today=today)
                _order(session, [_of_renewal(one, publication, live=live) for one in ending], now)
                told += len(ending)
    return told


def _order(session: Session, orders: list[NoticeOrder], now: datetime) -> None:
    for order in orders:
        enqueue(session, order, now=now)


def _of_end(one: EndedPlan, publication: Publication, *, live: bool) -> NoticeOrder:
    detail = {"before": one.before, "plan": one.plan}
    kind = NoticeKind.plan_changed
    return NoticeOrder(kind, publication.id, one.subscription_id, live, locale=one.locale, detail=detail)


def _of_renewal(one: EndingPlan, publication: Publication, *, live: bool) -> NoticeOrder:
    detail = {"plan": one.plan, "until": str(one.until), "then": one.then, "upgrade_url": one.upgrade_url}
    kind = NoticeKind.renewal
    return NoticeOrder(kind, publication.id, one.subscription_id, live, locale=one.locale, detail=detail)


def _days(database: Database, now: datetime) -> Iterator[tuple[Publication, date]]:
    with database.reading() as session:
        publications = list_publications(session)
    yield from ((one, now.astimezone(zone_of(one)).date()) for one in publications)


def _is_any_over(database: Database, publication: Publication, today: date) -> bool:
    with database.reading() as session:
        return any_over(session, publication.id, today=today)


def _is_any_ending(database: Database, publication: Publication, today: date) -> bool:
    with database.reading() as session:
        return any_ending(session, publication.id, today=today)
