"""Pardons: what was taken back of an address, read for the decisions. Between ``removals`` and ``histories``.

An operator takes back consequences; a reader comes back by an own sign-up to what an event of the provider's had ended.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime

from sqlmodel import Session, col, select

from newsletter.feedback.consequences import Pardon
from newsletter.feedback.models import Consequence, Deed, FeedbackEventRow
from newsletter.feedback.removals import Removed, cause_of
from newsletter.providers.feedback import FeedbackKind
from subscribers.models import Subscription, SuppressionReason


#: What tells the consequences of an address apart: the event, the deed, the reason, and the publication or 0.
Key = tuple[int, Deed, str, int]
#: When readers confirmed their subscriptions last: of each subscriber, by publication.
Confirmed = Mapping[int, Mapping[int, datetime]]
_NOT_YET = datetime.max.replace(tzinfo=UTC)


def done_for(session: Session, address_hashes: Collection[str]) -> dict[str, dict[Key, Consequence]]:
    """Read what was done because of these addresses' events."""
    found = select(Consequence).where(col(Consequence.address_hash).in_(address_hashes))
    done: dict[str, dict[Key, Consequence]] = {}
    for row in session.exec(found.order_by(col(Consequence.id)).execution_options(populate_existing=True)):
        done.setdefault(row.address_hash, {})[row.event_id, row.deed, row.reason or "", row.publication_id] = row
    return done


def confirmed_by(session: Session, events: Iterable[FeedbackEventRow]) -> Confirmed:
    """Read when those confirmed last whom the provider says to have left."""
    left = {one.subscriber_id for one in events if one.kind is FeedbackKind.unsubscribed and one.subscriber_id}
    if not left:
        return {}
    found = select(Subscription.subscriber_id, Subscription.publication_id, Subscription.confirmed_at)
    times: dict[int, dict[int, datetime]] = {}
    for subscriber_id, publication_id, at in session.exec(found.where(col(Subscription.subscriber_id).in_(left))):
        if at is not None:
            times.setdefault(subscriber_id, {})[publication_id] = at
    return times


def taken_back(
    rows: Iterable[Consequence], events: Mapping[int, FeedbackEventRow], removed: Removed
) -> Iterator[Pardon]:
    """Give a pardon for each of an address's consequences that a hand took back."""
    for row in rows:
        if row.undone_at is not None:
            event = events[row.event_id]
            until = max(row.undone_at, event.at)
            cause = cause_of(row, event)
            echoes_until = _echoes_until(row.address_hash, cause, until, removed)
            yield Pardon(event.id, row.deed, row.reason, row.publication_id, cause, until, echoes_until)


def came_back(
    events: Iterable[tuple[FeedbackEventRow, int | None]], confirmed: Confirmed, removed: Removed
) -> Iterator[Pardon]:
    """Give a pardon for each event by which a reader had left what the same reader has confirmed since."""
    cause = SuppressionReason.unsubscribed
    for event, publication_id in events:
        times = confirmed.get(event.subscriber_id or 0, {})
        since = [at for here, at in times.items() if publication_id in {None, here} and at > event.at]
        if event.kind is FeedbackKind.unsubscribed and since:
            until = max(since)
            echoes_until = _echoes_until(event.address_hash, cause, until, removed)
            yield Pardon(event.id, Deed.leave, None, publication_id or 0, cause, until, echoes_until)


def _echoes_until(address_hash: str, cause: SuppressionReason | None, since: datetime, removed: Removed) -> datetime:
    """Tell until when the provider may not know of it: until the address is off its list, as was ordered."""
    times = removed.get((address_hash, cause), ()) if cause else ()
    return next((one for one in times if one >= since), _NOT_YET)
