"""When events about requests of ours came: a row a minute, kept longer than the calls themselves.

Written by ``feedback`` in the transaction that applies a call; read by ``evidence``, which tells the quiet time by it.
An event about a request proves that request, so whatever is still unknown was not among those that came: all of them
are events of others.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import case, delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from newsletter.delivery.doubt_models import EventMinute
from subscribers.bulk import rows_changed, table_of


#: Longer than the longest quiet time that a policy can ask for, with its gaps.
KEPT_FOR = timedelta(days=60)


def hear(session: Session, events: int, *, at: datetime) -> None:
    """Note that so many events about requests of ours came in a call that was received then, and is wholly applied."""
    if not events:
        return
    session.flush()
    table = table_of(EventMinute)
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    insert = dialect.insert(table).values(minute=at.replace(second=0, microsecond=0), last_at=at, events=events)
    later = case((insert.excluded.last_at > table.c.last_at, insert.excluded.last_at), else_=table.c.last_at)
    again = {"last_at": later, "events": table.c.events + insert.excluded.events}
    session.execute(insert.on_conflict_do_update(index_elements=["minute"], set_=again))


def heard_since(session: Session, since: datetime) -> Sequence[EventMinute]:
    """List the minutes in which events came after a moment, oldest first."""
    found = select(EventMinute).where(col(EventMinute.last_at) > since).order_by(col(EventMinute.minute))
    return session.exec(found.execution_options(populate_existing=True)).all()


def purge_hearing(session: Session, *, now: datetime) -> int:
    """Forget minutes of long ago; tell how many."""
    return rows_changed(session.execute(delete(EventMinute).where(col(EventMinute.minute) < now - KEPT_FOR)))
