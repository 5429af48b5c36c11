"""Bodies: for how long the raw bodies of calls are kept, and whom they hold no longer. Beside ``ingest``."""

import json
import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import func, or_, update
from sqlmodel import Session, col, select

from newsletter.feedback.models import EventCall
from subscribers.bulk import rows_changed


#: Long enough to look into what went wrong, and longer than SendGrid's own 24 hours of tries.
KEPT_FOR = timedelta(days=7)
#: Where something could not be applied, its body is all there is of it: time to mend a fault of ours.
KEPT_UNAPPLIED_FOR = timedelta(days=30)


def purge(session: Session, *, now: datetime) -> int:
    """Empty the raw bodies of calls that are done with and older than a week; tell how many.

    One of which something could not be applied stays for thirty days, or until it was applied anew.
    """
    received, is_whole = col(EventCall.received_at), col(EventCall.problem) == ""
    old = or_(is_whole & (received < now - KEPT_FOR), received < now - KEPT_UNAPPLIED_FOR)
    done = col(EventCall.applied_at).is_not(None) & (func.length(EventCall.body) > 0)
    emptied = update(EventCall).where(done, old).values(body=b"")
    return rows_changed(session.execute(emptied))


def forget_addresses(session: Session, addresses: Iterable[str]) -> int:
    """Take addresses out of the raw bodies that are still kept; tell how many bodies these were.

    A body that was applied is emptied whole. One that waits, or of which something could not be applied, keeps its
    other events: the address in it becomes one that nobody has, of the same length.
    """
    needles = {form for one in addresses for form in _written(one.lower())}
    pattern = re.compile(b"|".join(re.escape(one) for one in sorted(needles, key=len, reverse=True)), re.IGNORECASE)
    kept = select(EventCall.id).where(func.length(EventCall.body) > 0).order_by(col(EventCall.id))
    touched = 0
    for call_id in session.exec(kept).all() if needles else ():
        call = session.get_one(EventCall, call_id)
        if pattern.search(call.body):
            touched += 1
            is_done = call.applied_at and not call.problem
            call.body = b"" if is_done else pattern.sub(lambda found: b"x" * len(found[0]), call.body)
            session.add(call)
            session.flush()
        session.expunge(call)
    return touched


def _written(text: str) -> tuple[bytes, ...]:
    """Write a text as JSON may have it: as it is, in ASCII, and in ASCII that is safe in HTML, as Go writes it."""
    ascii_only = json.dumps(text)[1:-1].encode()
    return text.encode(), ascii_only, ascii_only.replace(b"&", b"\\u0026")
