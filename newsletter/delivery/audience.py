"""The freeze: who is mailed and who is not, decided once, in chunks, when a mailing begins.

After ``scheduling``, before ``dispatch``. Candidates = recipients + exclusions, by the rows themselves. Every chunk
commits its rows together with the cursor, so that a freeze that died goes on where it was; between chunks others may
write, since a reader who leaves must not wait for a million rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Insert, Subquery, case, func, insert, literal, null, or_
from sqlalchemy import select as select_columns
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, select

from newsletter.database import Database, lost_a_race
from newsletter.delivery.accounts import account_of
from newsletter.delivery.correction_mail import was_sent
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.mailings import conclude, find_mailing, move
from newsletter.delivery.models import Delivery, Exclusion, Mailing, Variant
from newsletter.delivery.once import already_reached, round_of, why_not_once_more
from newsletter.delivery.partitioning import Piece, put_into_batches, while_more
from newsletter.delivery.reach import ALREADY_REACHED, journalled
from newsletter.delivery.variants import Workshop, variants_for
from newsletter.delivery.waves import supersede_earlier
from newsletter.errors import NewsletterError
from newsletter.publications import Publication, home_of
from subscribers.audience import candidates
from subscribers.bulk import rows_changed, table_of
from subscribers.errors import RefusedFilter
from subscribers.filters import parse_filter
from subscribers.matching import matches
from subscribers.models import Subscription


CHUNK = 1000
#: How often a chunk is begun anew where readers of it leave at the same moment.
MOST_RACES = 50


@dataclass(frozen=True)
class FreezeTerms:
    """What an installation adds to a freeze: how it renders, whom it may mail at all, how large its batches are."""

    workshop: Workshop
    allow_list: tuple[str, ...]
    batch_size: int
    #: How many subscriptions are frozen in one transaction.
    chunk: int = CHUNK


def freeze(
    database: Database,
    mailing_id: int,
    terms: FreezeTerms,
    *,
    clock: Callable[[], datetime],
    is_stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Freeze a mailing that has begun, and let it run. Safe to call again after a crash, and from several processes.

    A mailing that cannot be rendered, whose audience names what is there no more, or whose account does not balance, is
    halted with the reason. Where the process is stopping, or the mailing is paused meanwhile, it ends after the piece
    under way, and is gone on with at the first tick that finds it freezing.
    """
    try:
        _store_variants(database, mailing_id, terms.workshop)
        with database.reading() as session:
            _meant(session, find_mailing(session, mailing_id))
    except (NewsletterError, RefusedFilter) as error:
        with database.writing() as session:
            move(session, mailing_id, MailingState.halted, now=clock(), reason=str(error))
        return
    # Not before it is certain that it can be mailed, and before anybody is frozen: who is left out there belongs here.
    supersede_earlier(database, mailing_id, clock=clock)
    pieces = while_more(lambda: _freeze_chunk_in_turn(database, mailing_id, terms, clock), is_stopping)
    if pieces is not Piece.none_left:
        return
    if put_into_batches(database, mailing_id, terms.batch_size, clock=clock, is_stopping=is_stopping):
        with database.writing() as session:
            _let_run(session, mailing_id, clock())


def _meant(session: Session, mailing: Mailing) -> ColumnElement[bool]:
    """Give the condition for whom of the publication a mailing is meant.

    Raises:
        RefusedFilter: What it names is there no more.
    """
    publication = session.get_one(Publication, mailing.publication_id)
    meant = matches(session, parse_filter(mailing.audience), home_of(publication))
    return meant if mailing.correction_id is None else meant & was_sent(session, mailing)


def _store_variants(database: Database, mailing_id: int, workshop: Workshop) -> None:
    with database.reading() as session:
        if _has_variants(session, mailing_id):
            return
        variants = variants_for(session, find_mailing(session, mailing_id), workshop)
    with database.writing() as session:
        # Another process may have rendered the same meanwhile.
        if not _has_variants(session, mailing_id):
            session.add_all(variants)


def _has_variants(session: Session, mailing_id: int) -> bool:
    return session.exec(select(Variant.id).where(Variant.mailing_id == mailing_id)).first() is not None


def _freeze_chunk_in_turn(
    database: Database, mailing_id: int, terms: FreezeTerms, clock: Callable[[], datetime]
) -> Piece:
    """Freeze the next chunk; again where a reader of it left meanwhile, which PostgreSQL answers by undoing the chunk.

    Raises:
        sqlalchemy.exc.DBAPIError: It was undone time and again, or for another reason.
    """
    for _ in range(MOST_RACES):
        try:
            return _freeze_chunk(database, mailing_id, terms, clock())
        except DBAPIError as error:
            if not lost_a_race(error):
                raise
    return _freeze_chunk(database, mailing_id, terms, clock())


def _freeze_chunk(database: Database, mailing_id: int, terms: FreezeTerms, now: datetime) -> Piece:
    """Freeze the next thousand subscriptions."""
    # One snapshot for the whole chunk: a reader who leaves between two statements must not fall between two lists.
    with database.writing(one_snapshot=True) as session:
        mailing = session.get(Mailing, mailing_id, with_for_update=True)
        if mailing is None or mailing.state is not MailingState.freezing:
            return Piece.stopped
        mailing.freeze_until = mailing.freeze_until or _last_subscription(session, mailing)
        if (upper := _end_of_chunk(session, mailing, terms.chunk)) is None:
            return Piece.none_left
        judged = _judged(mailing, _meant(session, mailing), upper, terms.allow_list, now)
        mailing.candidates += session.execute(select(func.count()).select_from(judged)).scalar_one()
        session.execute(_insert_exclusions(mailing, judged))
        added = session.execute(_insert_deliveries(mailing, judged), execution_options={"preserve_rowcount": True})
        mailing.recipients += rows_changed(added)
        mailing.freeze_cursor = upper
        session.add(mailing)
        return Piece.done


def _last_subscription(session: Session, mailing: Mailing) -> int:
    last = select(func.max(Subscription.id)).where(Subscription.publication_id == mailing.publication_id)
    return session.exec(last).one() or 0


def _end_of_chunk(session: Session, mailing: Mailing, size: int) -> int | None:
    chunk = (
        select(Subscription.id)
        .where(Subscription.publication_id == mailing.publication_id)
        .where(col(Subscription.id) > mailing.freeze_cursor, col(Subscription.id) <= mailing.freeze_until)
        .order_by(col(Subscription.id))
        .limit(size)
        .subquery()
    )
    end: int | None = session.execute(select(func.max(chunk.c.id))).scalar_one()
    return end


def _judged(
    mailing: Mailing, meant: ColumnElement[bool], upper: int, allow_list: tuple[str, ...], now: datetime
) -> Subquery:
    """Select the candidates of a chunk, each with the reason for its exclusion or null."""
    chunk = candidates(mailing.publication_id, now=now, after=mailing.freeze_cursor, up_to=upper)
    people = chunk.where(meant).subquery()
    entitled = select(Variant.plan_id).where(Variant.mailing_id == mailing.id)
    reason = case(
        (people.c.exclusion.is_not(None), people.c.exclusion),
        (people.c.plan_id.not_in(entitled), "plan"),
        (~on_allow_list(people, allow_list), "not_on_allow_list"),
        (already_reached(mailing, people), why_not_once_more(mailing, people)),
        (journalled(mailing, people.c.subscriber_id), ALREADY_REACHED),
        else_=null(),
    )
    return select_columns(people.c.subscription_id, people.c.subscriber_id, reason.label("reason")).subquery()


def on_allow_list(people: Subquery, allow_list: tuple[str, ...]) -> ColumnElement[bool]:
    """Tell in SQL whether a candidate may be mailed by this installation at all; without a list everyone may."""
    if not allow_list:
        return literal(value=True)
    domains = [entry.removeprefix("@") for entry in allow_list if entry.startswith("@")]
    return or_(func.lower(people.c.email).in_(allow_list), people.c.domain.in_(domains))


def _insert_exclusions(mailing: Mailing, judged: Subquery) -> Insert:
    rows = select_columns(literal(mailing.id), judged.c.subscription_id, judged.c.reason)
    columns = ["mailing_id", "subscription_id", "reason"]
    return insert(table_of(Exclusion)).from_select(columns, rows.where(judged.c.reason.is_not(None)))


def _insert_deliveries(mailing: Mailing, judged: Subquery) -> Insert:
    values: dict[str, ColumnElement[Any]] = {
        "mailing_id": literal(mailing.id),
        "issue_id": literal(mailing.issue_id),
        "live": literal(mailing.live),
        "round": literal(round_of(mailing)),
        "may_have_reached": literal(value=True),
        "subscription_id": judged.c.subscription_id,
        "subscriber_id": judged.c.subscriber_id,
    }
    rows = select_columns(*values.values()).where(judged.c.reason.is_(None)).order_by(judged.c.subscription_id)
    return insert(table_of(Delivery)).from_select(list(values), rows)


def _let_run(session: Session, mailing_id: int, now: datetime) -> None:
    """Verify the account against the rows and open the mailing for dispatch; one without recipients ends at once."""
    mailing = session.get_one(Mailing, mailing_id, with_for_update=True)
    if mailing.state is not MailingState.freezing or not _is_whole(session, mailing):
        # Another process was first, and what became of the mailing since is not undone; or it is not done yet.
        return
    account = account_of(session, mailing)
    if not account.balances:
        excluded = sum(account.exclusions.values())
        reason = f"{account.candidates:,} candidates ≠ {account.standing.line()} + {excluded:,} exclusions"
        move(session, mailing_id, MailingState.halted, now=now, reason=reason)
    elif move(session, mailing_id, MailingState.running, now=now, frozen_at=now):
        conclude(session, mailing_id, now=now)


def _is_whole(session: Session, mailing: Mailing) -> bool:
    """Tell whether everybody of the audience is frozen, and every recipient stands in a batch."""
    unbatched = select(Delivery.id).where(Delivery.mailing_id == mailing.id, col(Delivery.batch_id).is_(None)).limit(1)
    return _end_of_chunk(session, mailing, 1) is None and session.exec(unbatched).first() is None
