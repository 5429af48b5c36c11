"""Exporting: a publication's readers as rows of a CSV file that spreadsheets show and ``importing`` reads back.

Tombstones of the erased have no address and are left out. Who left stands in the file with that state, and who must not
be mailed with that word: importing it elsewhere must be able to tell them from readers.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import cast

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col, select

from subscribers.formulas import neutralised
from subscribers.models import Subscriber
from subscribers.roster import SubscriptionView, list_subscriptions
from subscribers.suppression import is_suppressed


COLUMNS = ("email", "name", "plan", "plan_until", "state", "suppressed", "locale", "joined")
#: Rows read at a time, so that memory stays flat.
PAGE = 1000


def export_rows(
    session: Session, publication_id: int, *, where: ColumnElement[bool] | None = None
) -> Iterator[tuple[str, ...]]:
    """Give the readers of a publication, oldest first, as cells under ``COLUMNS`` that no spreadsheet runs.

    ``where`` is a condition on subscriptions, as ``matching`` makes them.
    """
    after = 0
    while page := list_subscriptions(session, publication_id, where=where, after=after, limit=PAGE):
        held = _suppressed(session, publication_id, page)
        yield from (_cells(view, suppressed=view.subscriber_id in held) for view in page if view.email)
        after = page[-1].id


def _suppressed(session: Session, publication_id: int, page: Sequence[SubscriptionView]) -> set[int]:
    """Tell who of a page is mailed nothing, whatever the state says."""
    mine = col(Subscriber.id).in_([view.subscriber_id for view in page])
    held = is_suppressed(publication_id, cast("Mapped[int]", col(Subscriber.id)))
    return set(session.exec(select(Subscriber.id).where(mine, held)))


def _cells(view: SubscriptionView, *, suppressed: bool) -> tuple[str, ...]:
    joined = _utc(view.confirmed_at or view.created_at)
    plan, until = view.plan, str(view.plan_until or "")
    held = "suppressed" if suppressed else ""
    plain = (view.email, view.name, plan, until, str(view.state), held, view.locale, joined)
    return tuple(neutralised(cell) for cell in plain)


def _utc(moment: datetime) -> str:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
