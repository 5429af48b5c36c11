"""Removals: addresses to be taken off the provider's lists, since what put them there is not held against them.

Ordered where consequences are taken back: by an operator (``undoing``), by the reader's own sign-up (``lifts``), or
since a surge was dismissed or the provider holds back for less than we do (``levelling``). Carried out by
``pulling.remove_next``.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlmodel import Session, col, select

from newsletter.feedback.models import Consequence, Deed, FeedbackEventRow, ListRemoval
from newsletter.providers.feedback import FeedbackKind
from subscribers.models import SuppressionReason


_LISTS = {
    SuppressionReason.hard_bounce: "bounces",
    SuppressionReason.complaint: "spam_reports",
    SuppressionReason.invalid: "invalid_emails",
    SuppressionReason.unsubscribed: "unsubscribes",
}


def cause_of(row: Consequence, event: FeedbackEventRow) -> SuppressionReason | None:
    """Tell for which reason the provider holds back the address of a consequence; nothing where it does not.

    Who leaves by the provider's own link stands on its list of unsubscribes, though not suppressed here.
    """
    if row.deed is Deed.leave:
        return SuppressionReason.unsubscribed if event.kind is FeedbackKind.unsubscribed else None
    return row.reason if row.reason in _LISTS else None


def order_removal(session: Session, row: Consequence, event: FeedbackEventRow) -> None:
    """Have the address of a consequence taken off the provider's list, unless that is ordered already."""
    if (cause := cause_of(row, event)) is None:
        return
    waiting = (
        select(ListRemoval.id)
        .join(Consequence, col(Consequence.id) == col(ListRemoval.consequence_id))
        .where(
            Consequence.address_hash == row.address_hash,
            ListRemoval.list_name == _LISTS[cause],
            col(ListRemoval.done_at).is_(None),
        )
    )
    if session.exec(waiting.limit(1)).first() is None:
        session.add(ListRemoval(consequence_id=row.id, list_name=_LISTS[cause]))
        session.flush()


#: When addresses were taken off lists, by their hash and what the list is for.
Removed = Mapping[tuple[str, SuppressionReason], list[datetime]]


def removed(session: Session, address_hashes: Collection[str]) -> Removed:
    """Tell when these addresses were taken off the provider's lists, the earliest time first."""
    found = (
        select(Consequence.address_hash, ListRemoval.list_name, ListRemoval.done_at)
        .join(ListRemoval, col(ListRemoval.consequence_id) == col(Consequence.id))
        .where(col(Consequence.address_hash).in_(address_hashes), col(ListRemoval.done_at).is_not(None))
        .order_by(col(ListRemoval.done_at))
    )
    cause_by_list = {name: cause for cause, name in _LISTS.items()}
    times: dict[tuple[str, SuppressionReason], list[datetime]] = {}
    for address_hash, name, done_at in session.exec(found):
        if done_at is not None:
            times.setdefault((address_hash, cause_by_list[name]), []).append(done_at)
    return times
