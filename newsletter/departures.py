"""Departures: what ends with a subscription when its reader leaves, by whatever way. Between ``web`` and the outbox."""

from datetime import datetime, timedelta

from sqlmodel import Session

from newsletter.outbox import NoticeKind, NoticeOrder, cancel, enqueue, ordered_since
from subscribers.actors import READER
from subscribers.leaving import LeavingChannel, leave


#: Leaving and taking it back in turns must not fill a mailbox.
GOODBYES_APART = timedelta(hours=24)


def depart(session: Session, unsubscribe_id: str, channel: LeavingChannel, *, live: bool, now: datetime) -> bool:
    """End the subscription with what waits to be mailed to it; tell whether it was this call that did.

    An id that nobody has ends nothing. ``live`` says on which side of NOT LIVE a goodbye is mailed.
    """
    departure = leave(session, unsubscribe_id, channel=channel, by=READER, now=now)
    if departure is None or not departure.is_new:
        return False
    cancel(session, [departure.subscription_id], reason="the reader left", now=now)
    told = ordered_since(session, NoticeKind.goodbye, departure.subscription_id, since=now - GOODBYES_APART)
    if channel is LeavingChannel.page and not told:
        # A mail program's button is silence itself; who came to the page gets the way back in writing, once a day.
        goodbye = NoticeOrder(
            NoticeKind.goodbye, departure.publication_id, departure.subscription_id, live, locale=departure.locale
        )
        enqueue(session, goodbye, now=now)
    return True
