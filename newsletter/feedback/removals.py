"""Removals: addresses to be taken off the provider's lists, since what put them there is not held against them.

Ordered where consequences are undone: by an operator (``undoing``), or since a surge was dismissed or the fault was
ours (``applying``). Carried out by ``pulling.remove_next``.
"""

from datetime import UTC, datetime

from sqlmodel import Session, col, select

from newsletter.feedback.models import Consequence, ListRemoval
from subscribers.models import SuppressionReason


_LISTS = {
    SuppressionReason.hard_bounce: "bounces",
    SuppressionReason.complaint: "spam_reports",
    SuppressionReason.invalid: "invalid_emails",
    SuppressionReason.unsubscribed: "unsubscribes",
}
_NOT_YET = datetime.max.replace(tzinfo=UTC)


def order_removal(session: Session, row: Consequence) -> None:
    """Have the address of an undone consequence taken off the provider's list, unless that is ordered already."""
    name = _LISTS.get(row.reason) if row.reason else None
    if name is None:
        return
    waiting = (
        select(ListRemoval.id)
        .join(Consequence, col(Consequence.id) == col(ListRemoval.consequence_id))
        .where(
            Consequence.address_hash == row.address_hash,
            ListRemoval.list_name == name,
            col(ListRemoval.done_at).is_(None),
        )
    )
    if session.exec(waiting.limit(1)).first() is None:
        session.add(ListRemoval(consequence_id=row.id, list_name=name))
        session.flush()


def removed_at(session: Session, row: Consequence) -> datetime | None:
    """Tell when the address of an undone consequence was taken off the list: for ever ahead while it is not.

    Returns:
        The time, or nothing where no removal was ordered for it.
    """
    ordered = select(ListRemoval).where(ListRemoval.consequence_id == row.id)
    removal = session.exec(ordered.order_by(col(ListRemoval.id).desc()).limit(1)).first()
    return None if removal is None else removal.done_at or _NOT_YET
