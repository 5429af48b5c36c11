"""Lifts: suppressions that another hand lifted: the reader's by signing up once more, or `suppressions lift`.

People know nothing of the provider's lists, so this looks from above: before ``histories`` are read.
"""

from collections.abc import Collection

from sqlalchemy import ColumnElement, func
from sqlalchemy import select as select_columns
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from newsletter.feedback.models import Consequence, ConsequenceState, Deed, FeedbackEventRow
from newsletter.feedback.removals import order_removal
from subscribers.models import Suppression


def note_lifts(session: Session, address_hashes: Collection[str]) -> None:
    """Take note of consequences whose suppression was lifted: they are taken back by whoever did, as of then."""
    lifted, standing = aliased(Suppression), aliased(Suppression)
    found = (
        select_columns(Consequence, FeedbackEventRow, lifted)
        .join(FeedbackEventRow, col(FeedbackEventRow.id) == col(Consequence.event_id))
        .join(lifted, _is_its_own(lifted))
        .where(
            col(Consequence.address_hash).in_(address_hashes),
            col(Consequence.state) == ConsequenceState.applied,
            col(Consequence.deed) != Deed.leave,
            ~select_columns(col(standing.id)).where(_is_its_own(standing), col(standing.lifted_at).is_(None)).exists(),
        )
        .order_by(col(lifted.id))
    )
    last = {row.id: (row, event, lift) for row, event, lift in session.execute(found)}
    for row, event, lift in last.values():
        row.state, row.undone_at, row.undone_by = ConsequenceState.undone, lift.lifted_at, lift.lifted_by
        row.suppression_id = None
        session.add(row)
        session.flush()
        order_removal(session, row, event)


def _is_its_own(suppression: type[Suppression]) -> ColumnElement[bool]:
    """Tell in SQL whether a suppression is for what a consequence suppresses."""
    return (
        (col(suppression.address_hash) == col(Consequence.address_hash))
        & (col(suppression.reason) == col(Consequence.reason))
        & (func.coalesce(suppression.publication_id, 0) == col(Consequence.publication_id))
    )
