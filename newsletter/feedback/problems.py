"""Problems: what a person should look at of what the provider said, and of what it refused. Read-only."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, func, select

from newsletter.feedback.models import EventCall, FeedbackEventRow, ListRemoval


#: So long ago a call is of late.
OF_LATE = timedelta(days=7)
#: What only stumbled is mended by the second try.
_STUMBLES = 1


def problems_of(session: Session, limit: int) -> Sequence[dict[str, Any]]:
    """List calls and events that could not be read or applied, or are about nobody of ours, each the newest first."""
    calls = select(EventCall).where(col(EventCall.problem) != "").order_by(col(EventCall.id).desc()).limit(limit)
    events = select(FeedbackEventRow).where(col(FeedbackEventRow.problem) != "")
    newest = events.order_by(col(FeedbackEventRow.id).desc()).limit(limit)
    return [
        *(
            {"received_at": one.received_at, "said": "call", "provider": "", "problem": one.problem, "text": ""}
            for one in session.exec(calls)
        ),
        *(
            {
                "received_at": one.received_at,
                "said": one.said,
                "provider": one.provider,
                "problem": one.problem,
                "text": one.text,
            }
            for one in session.exec(newest)
        ),
    ]


def problems_of_late(session: Session, *, now: datetime) -> int:
    """Count the events of the last week's calls that a person should see: also routine about nobody of ours."""
    counted = select(func.sum(EventCall.problems)).where(col(EventCall.received_at) > now - OF_LATE)
    return session.exec(counted).one() or 0


def waiting_removals(session: Session, limit: int) -> Sequence[dict[str, Any]]:
    """List what is still to be taken off the provider's lists, the oldest first, each with what went wrong last."""
    waiting = select(ListRemoval).where(col(ListRemoval.done_at).is_(None)).order_by(col(ListRemoval.id)).limit(limit)
    return [
        {
            "id": one.id,
            "consequence": one.consequence_id,
            "list": one.list_name,
            "tries": one.tries,
            "next_try": one.not_before,
            "result": one.result,
        }
        for one in session.exec(waiting)
    ]


def refused_removals(session: Session) -> str:
    """Say how many addresses the provider refuses to take off its lists, and why; nothing where it refuses none."""
    refused = col(ListRemoval.done_at).is_(None) & (col(ListRemoval.tries) > _STUMBLES)
    count = session.exec(select(func.count()).select_from(ListRemoval).where(refused)).one()
    if not count:
        return ""
    last = session.exec(select(ListRemoval.result).where(refused).order_by(col(ListRemoval.id).desc()).limit(1)).one()
    return f"{last} ({count:,} waiting)"
