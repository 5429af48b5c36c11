"""The freeze: who is mailed and who is not, decided once, in chunks, when a mailing begins.

After ``scheduling``, before ``dispatch``. Candidates = recipients + exclusions, by the rows themselves. Every chunk
commits its rows together with the cursor, so that a freeze that died goes on where it was; between chunks others may
write, since a reader who leaves must not wait for a million rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Insert, Subquery, case, func, insert, literal, null, or_, update
from sqlalchemy import select as select_columns
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, select

from newsletter.database import Database, lost_a_race
from newsletter.delivery.accounts import account_of
from newsletter.delivery.batching import PlannedBatch, Unbatched, partition
from newsletter.delivery.correction_mail import was_sent
from newsletter.delivery.lifecycle import BatchState, MailingState
from newsletter.delivery.mailings import conclude, find_mailing, move
from newsletter.delivery.models import Batch, Delivery, Exclusion, Lane, Mailing, Variant
from newsletter.delivery.reach import ALREADY_REACHED, journalled
from newsletter.delivery.variants import Workshop, variants_for
from newsletter.delivery.waves import Waves, supersede_earlier, waves_of
from newsletter.errors import NewsletterError
from newsletter.publications import Publication, home_of
from subscribers.audience import candidates
from subscribers.bulk import insert_missing, rows_changed, table_of
from subscribers.errors import RefusedFilter
from subscribers.filters import parse_filter
from subscribers.matching import matches
from subscribers.models import Subscriber, Subscription


CHUNK = 1000
PAGE = 20_000
#: How often a chunk is begun anew where readers of it leave at the same moment.
MOST_RACES = 50


@dataclass(frozen=True)
class FreezeTerms:
    """What an installation adds to a freeze: how it renders, whom it may mail at all, how large its batches are."""

    workshop: Workshop
    allow_list: tuple[str, ...]
    batch_size: int


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
    halted with the reason. Where the process is stopping it ends after the chunk under way, and is gone on with at the
    next start.
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
    while not is_stopping() and _freeze_chunk_in_turn(database, mailing_id, terms, clock):
        pass
    with database.reading() as session:
        waves = waves_of(session, mailing_id)
    while not is_stopping() and _partition_page(database, mailing_id, terms.batch_size, waves, clock()):
        pass
    if is_stopping():
        return
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
) -> bool:
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


def _freeze_chunk(database: Database, mailing_id: int, terms: FreezeTerms, now: datetime) -> bool:
    """Freeze the next thousand subscriptions; tell whether there may be more."""
    # One snapshot for the whole chunk: a reader who leaves between two statements must not fall between two lists.
    with database.writing(one_snapshot=True) as session:
        mailing = session.get(Mailing, mailing_id, with_for_update=True)
        if mailing is None or mailing.state is not MailingState.freezing:
            return False
        mailing.freeze_until = mailing.freeze_until or _last_subscription(session, mailing)
        if (upper := _end_of_chunk(session, mailing)) is None:
            return False
        judged = _judged(mailing, _meant(session, mailing), upper, terms.allow_list, now)
        mailing.candidates += session.execute(select(func.count()).select_from(judged)).scalar_one()
        session.execute(_insert_exclusions(mailing, judged))
        added = session.execute(_insert_deliveries(mailing, judged), execution_options={"preserve_rowcount": True})
        mailing.recipients += rows_changed(added)
        mailing.freeze_cursor = upper
        session.add(mailing)
        return True


def _last_subscription(session: Session, mailing: Mailing) -> int:
    last = select(func.max(Subscription.id)).where(Subscription.publication_id == mailing.publication_id)
    return session.exec(last).one() or 0


def _end_of_chunk(session: Session, mailing: Mailing) -> int | None:
    chunk = (
        select(Subscription.id)
        .where(Subscription.publication_id == mailing.publication_id)
        .where(col(Subscription.id) > mailing.freeze_cursor, col(Subscription.id) <= mailing.freeze_until)
        .order_by(col(Subscription.id))
        .limit(CHUNK)
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
        (_already_reached(mailing, people), ALREADY_REACHED),
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


def _already_reached(mailing: Mailing, people: Subquery) -> ColumnElement[bool]:
    """Tell in SQL whether a candidate has, or may have, what is mailed already (DESIGN §4.2)."""
    if mailing.again:
        return literal(value=False)
    round_ = None if mailing.correction_id is None else _round(mailing)
    return reached_before(people, mailing.issue_id, live=mailing.live, round_=round_)


def reached_before(people: Subquery, issue_id: int, *, live: bool, round_: int | None = None) -> ColumnElement[bool]:
    """Tell in SQL whether a candidate has, or may have, an issue already; with a round, one of its corrections."""
    # A correction is another mail than the issue: each goes once.
    same = col(Delivery.round) >= 0 if round_ is None else col(Delivery.round) == round_
    return (
        select(Delivery.id)
        .where(
            Delivery.issue_id == issue_id,
            same,
            col(Delivery.subscriber_id) == people.c.subscriber_id,
            col(Delivery.live).is_(live),
            col(Delivery.may_have_reached),
        )
        .exists()
    )


def _round(mailing: Mailing) -> int:
    """Give what sets a mailing's deliveries apart among those of its issue: each round reaches a reader once."""
    if mailing.correction_id is not None:
        return -mailing.correction_id
    return mailing.id if mailing.again else 0


def _insert_exclusions(mailing: Mailing, judged: Subquery) -> Insert:
    rows = select_columns(literal(mailing.id), judged.c.subscription_id, judged.c.reason)
    columns = ["mailing_id", "subscription_id", "reason"]
    return insert(table_of(Exclusion)).from_select(columns, rows.where(judged.c.reason.is_not(None)))


def _insert_deliveries(mailing: Mailing, judged: Subquery) -> Insert:
    values: dict[str, ColumnElement[Any]] = {
        "mailing_id": literal(mailing.id),
        "issue_id": literal(mailing.issue_id),
        "live": literal(mailing.live),
        "round": literal(_round(mailing)),
        "may_have_reached": literal(value=True),
        "subscription_id": judged.c.subscription_id,
        "subscriber_id": judged.c.subscriber_id,
    }
    rows = select_columns(*values.values()).where(judged.c.reason.is_(None)).order_by(judged.c.subscription_id)
    return insert(table_of(Delivery)).from_select(list(values), rows)


def _partition_page(database: Database, mailing_id: int, size: int, waves: Waves, now: datetime) -> bool:
    """Put the next page of deliveries into batches; tell whether there was one. The page is read without the writer."""
    with database.reading() as session:
        page = _unbatched(session, mailing_id, waves)
        variants = _variant_of_plan(session, mailing_id)
    for planned in partition(page, size, last_page=len(page) < PAGE):
        variant = variants.get(planned.plan_id) or next(iter(variants.values()))
        with database.writing() as session:
            if not _store_batch(session, mailing_id, variant, planned, now):
                return False
    return bool(page)


def _unbatched(session: Session, mailing_id: int, waves: Waves) -> list[Unbatched]:
    found = (
        select(Delivery.id, Subscription.plan_id, Subscriber.domain, waves.is_for_later)
        .join(Subscription, col(Subscription.id) == col(Delivery.subscription_id))
        .join(Subscriber, col(Subscriber.id) == col(Delivery.subscriber_id))
        .where(Delivery.mailing_id == mailing_id, col(Delivery.batch_id).is_(None))
        .order_by(col(Delivery.id))
        .limit(PAGE)
    )
    return [
        Unbatched(delivery_id, plan_id, domain, waves.of(delivery_id, domain, for_later=bool(for_later)))
        for delivery_id, plan_id, domain, for_later in session.exec(found)
    ]


def _variant_of_plan(session: Session, mailing_id: int) -> dict[int, int]:
    found = select(Variant.plan_id, Variant.id).where(Variant.mailing_id == mailing_id)
    return dict(session.exec(found).all())


def _store_batch(session: Session, mailing_id: int, variant_id: int, planned: PlannedBatch, now: datetime) -> bool:
    """Store a batch with its deliveries; tell whether it was, since the freeze may be paused or cancelled meanwhile."""
    if session.get_one(Mailing, mailing_id, with_for_update={"read": True}).state is not MailingState.freezing:
        return False
    insert_missing(session, Lane, [{"mailing_id": mailing_id, "lane": planned.lane, "wave": 0}])
    batch = Batch(
        mailing_id=mailing_id,
        variant_id=variant_id,
        lane=planned.lane,
        wave=planned.wave,
        state=BatchState.ready,
        created_at=now,
    )
    session.add(batch)
    session.flush()
    mine = col(Delivery.id).in_(planned.delivery_ids) & col(Delivery.batch_id).is_(None)
    taken = rows_changed(session.execute(update(Delivery).where(mine).values(batch_id=batch.id)))
    if taken != len(planned.delivery_ids):
        # Another process partitions the same mailing; what it did stands, and this transaction is undone.
        raise NewsletterError(f"mailing {mailing_id} is being frozen by another process")
    return True


def _let_run(session: Session, mailing_id: int, now: datetime) -> None:
    """Verify the account against the rows and open the mailing for dispatch; one without recipients ends at once."""
    mailing = session.get_one(Mailing, mailing_id, with_for_update=True)
    if mailing.state is not MailingState.freezing:
        # Another process was first; what became of the mailing since is not undone.
        return
    account = account_of(session, mailing)
    if not account.balances:
        excluded = sum(account.exclusions.values())
        reason = f"{account.candidates:,} candidates ≠ {account.standing.line()} + {excluded:,} exclusions"
        move(session, mailing_id, MailingState.halted, now=now, reason=reason)
    elif move(session, mailing_id, MailingState.running, now=now, frozen_at=now):
        conclude(session, mailing_id, now=now)
