"""Exporting: a publication's readers as rows of a CSV file that spreadsheets show and ``importing`` reads back.

Tombstones of the erased have no address and are left out. Who left stands in the file with that state: importing it
elsewhere must be able to tell them from readers.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import ColumnElement
from sqlmodel import Session

from subscribers.formulas import neutralised
from subscribers.roster import SubscriptionView, list_subscriptions


COLUMNS = ("email", "name", "plan", "plan_until", "state", "locale", "joined")
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
        yield from (_cells(view) for view in page if view.email)
        after = page[-1].id


def _cells(view: SubscriptionView) -> tuple[str, ...]:
    joined = _utc(view.confirmed_at or view.created_at)
    plain = (view.email, view.name, view.plan, str(view.plan_until or ""), str(view.state), view.locale, joined)
    return tuple(neutralised(cell) for cell in plain)


def _utc(moment: datetime) -> str:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
