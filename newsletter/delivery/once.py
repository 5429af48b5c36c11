"""Once an issue: in SQL, who has, or may have, what a mailing brings already (DESIGN §4.2). Used by the freeze."""

from sqlalchemy import ColumnElement, String, Subquery, cast, func, literal, or_
from sqlmodel import col, select

from newsletter.delivery.lifecycle import AT_WORK
from newsletter.delivery.models import Batch, Delivery, Mailing
from newsletter.delivery.reach import ALREADY_REACHED


def already_reached(mailing: Mailing, people: Subquery) -> ColumnElement[bool]:
    """Tell whether a candidate has, may have, or will have from another mailing, what is mailed."""
    if mailing.again:
        return literal(value=False)
    return reached_before(people, mailing.issue_id, live=mailing.live, round_=_round_that_counts(mailing))


def why_not_once_more(mailing: Mailing, people: Subquery) -> ColumnElement[str]:
    """Say why a candidate for whom :func:`already_reached` holds is left out: has it, or waits for it elsewhere."""
    unbatched = col(Delivery.batch_id).is_(None) & col(Mailing.ended_at).is_(None)
    same = _same(people, mailing.issue_id, live=mailing.live, round_=_round_that_counts(mailing))
    waits_in = (
        select(literal("waits in mailing ").concat(cast(col(Delivery.mailing_id), String)))
        .join(Mailing, col(Mailing.id) == col(Delivery.mailing_id))
        .join(Batch, col(Batch.id) == col(Delivery.batch_id), isouter=True)
        .where(same, or_(unbatched, col(Batch.state).in_(AT_WORK)))
        .limit(1)
        .scalar_subquery()
    )
    return func.coalesce(waits_in, ALREADY_REACHED)


def reached_before(people: Subquery, issue_id: int, *, live: bool, round_: int | None = None) -> ColumnElement[bool]:
    """Tell whether a candidate has, or may have, an issue already; with a round, one of its corrections."""
    return select(Delivery.id).where(_same(people, issue_id, live=live, round_=round_)).exists()


def round_of(mailing: Mailing) -> int:
    """Give what sets a mailing's deliveries apart among those of its issue: each round reaches a reader once."""
    if mailing.correction_id is not None:
        return -mailing.correction_id
    return mailing.id if mailing.again else 0


def _round_that_counts(mailing: Mailing) -> int | None:
    return None if mailing.correction_id is None else round_of(mailing)


def _same(people: Subquery, issue_id: int, *, live: bool, round_: int | None) -> ColumnElement[bool]:
    # A correction is another mail than the issue: each goes once.
    same_round = col(Delivery.round) >= 0 if round_ is None else col(Delivery.round) == round_
    return (
        (col(Delivery.issue_id) == issue_id)
        & same_round
        & (col(Delivery.subscriber_id) == people.c.subscriber_id)
        & col(Delivery.live).is_(live)
        & col(Delivery.may_have_reached)
    )
