"""The copy: an issue, its publication, and the shape of an audience over invented people, in a store of their own.

The real store is only read, in one session, so that the copy is of one moment. Addresses, names, tags and attributes
stay there: whom a filter means is asked of the real store, and the copy holds nobody else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from secrets import token_urlsafe
from typing import Any

from sqlalchemy import ColumnElement, Row, Select
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from newsletter.database import Database
from newsletter.delivery.audience import on_allow_list
from newsletter.delivery.lifecycle import MailingState
from newsletter.delivery.models import Delivery, Mailing
from newsletter.delivery.once import reached_before
from newsletter.delivery.policies import SendingPolicy, policy_of
from newsletter.delivery.policy import Policy
from newsletter.delivery.variants import mailed_before
from newsletter.issues.models import Issue, Revision
from newsletter.issues.shelf import Shelved, latest_revision
from newsletter.publications import Publication, home_of, publication_by_id
from newsletter.rehearsal.people import address, name_like
from subscribers.actors import COMMAND_LINE
from subscribers.bulk import insert_all
from subscribers.filters import EVERYBODY, Filter
from subscribers.hashing import AddressHasher, begin_with_pepper
from subscribers.matching import matches
from subscribers.models import (
    AddressHash,
    Plan,
    PlanInclusion,
    Subscriber,
    Subscription,
    Suppression,
    SuppressionReason,
)
from subscribers.shapes import shapes


CHUNK = 10_000
#: What would make a rehearsal wait; ``pace`` tells what it comes to.
_PACE = frozenset(
    {
        "undo_minutes",
        "requests_in_flight",
        "provider_requests_in_flight",
        "recipients_per_second",
        "provider_per_second",
        "first_wave",
        "warm_up",
    }
)


@dataclass(frozen=True)
class Piece:
    """What is rehearsed: an issue, for whom, and on which side of NOT LIVE it would really go out.

    ``allow_list`` is the installation's: who is not on it stands on none in the copy either.
    """

    issue_id: int
    live: bool
    audience: Filter = EVERYBODY
    again: bool = False
    allow_list: tuple[str, ...] = ()


def copy(  # noqa: PLR0913 - from where, to where, what, and who is told
    real: Session,
    store: Database,
    piece: Piece,
    *,
    hasher: AddressHasher,
    on_chunk: Callable[[int], object],
    now: datetime,
) -> int:
    """Copy what a mailing of the issue needs into an empty store; give how many readers that were.

    Raises:
        NotFound: There is no such issue.
        RefusedFilter: The audience names what the publication does not have.
    """
    shelved = latest_revision(real, piece.issue_id)
    publication = publication_by_id(real, shelved.issue.publication_id)
    # Before anything is written: it may be refused.
    meant = matches(real, piece.audience, home_of(publication))
    earlier = _earlier_mailing(real, shelved, piece, now)
    with store.writing() as session:
        _copy_house(real, session, shelved, publication, now)
        insert_all(session, Mailing, [_as_row(earlier)])
        begin_with_pepper(session, hasher, now=now)
    numbers, last = count(1), 0
    while rows := real.execute(_page(publication.id, meant, piece, after=last)).all():
        with store.writing() as session:
            _write(session, [(next(numbers), row) for row in rows], earlier, hasher)
        last = rows[-1].subscription_id
        on_chunk(len(rows))
    return next(numbers) - 1


def _copy_house(real: Session, session: Session, shelved: Shelved, publication: Publication, now: datetime) -> None:
    """Copy everything that is about no reader; who wrote or approved the issue stays where they are."""
    plans = real.exec(select(Plan).where(Plan.publication_id == publication.id)).all()
    mine = col(PlanInclusion.plan_id).in_([plan.id for plan in plans])
    insert_all(session, Publication, [_as_row(publication)])
    insert_all(session, Plan, [_as_row(plan) for plan in plans])
    insert_all(session, PlanInclusion, [_as_row(one) for one in real.exec(select(PlanInclusion).where(mine))])
    insert_all(session, SendingPolicy, [_unhurried(policy_of(real, publication.id), publication.id, now)])
    nobody = {"created_by": str(COMMAND_LINE), "ready_revision_id": None, "ready_at": None, "ready_by": ""}
    retracted = {"retracted_by": ""}
    insert_all(session, Issue, [_as_row(shelved.issue) | nobody | retracted])
    insert_all(session, Revision, [_as_row(shelved.revision) | {"created_by": str(COMMAND_LINE)}])


def _unhurried(policy: Policy, publication_id: int, now: datetime) -> dict[str, object]:
    said = policy.model_dump(mode="json", exclude_defaults=True, exclude=set(_PACE)) | {"undo_minutes": 0}
    return {"publication_id": publication_id, "said": said, "changed_at": now, "changed_by": str(COMMAND_LINE)}


def _as_row(model: Any) -> dict[str, Any]:
    return {name: value for name, value in model.model_dump().items() if not (name == "id" and value is None)}


def _earlier_mailing(real: Session, shelved: Shelved, piece: Piece, now: datetime) -> Mailing:
    """Make the mailing that stands in for every earlier one of the issue: who has it already, and since when."""
    return Mailing(
        id=1,
        publication_id=shelved.issue.publication_id,
        issue_id=shelved.issue.id,
        revision_id=shelved.revision.id,
        state=MailingState.finished,
        state_reason="stands in for those before the rehearsal",
        due_at=now,
        created_at=now,
        created_by=str(COMMAND_LINE),
        begun_at=mailed_before(real, shelved.revision.id, live=piece.live),
        ended_at=now,
    )


def _page(publication_id: int, meant: ColumnElement[bool], piece: Piece, *, after: int) -> Select[Any]:
    """Select the next readers who are meant, by ascending id; their addresses are compared in SQL and not read."""
    people = shapes(publication_id, after=after, limit=CHUNK).where(meant).subquery()
    shape = [column for column in people.c if column.name not in {"email", "subscriber_id"}]
    has_address = (people.c.email != "").label("has_address")
    listed = on_allow_list(people, piece.allow_list).label("listed")
    reached = reached_before(people, piece.issue_id, live=piece.live).label("reached")
    return select_columns(*shape, has_address, listed, reached).order_by(people.c.subscription_id)


def _write(session: Session, readers: Sequence[tuple[int, Row[Any]]], earlier: Mailing, hasher: AddressHasher) -> None:
    people = [_subscriber(number, row) for number, row in readers]
    hashed = [
        {"subscriber_id": one["id"], "key_id": hasher.key_id, "hash": hasher.hash(str(one["address_key"]))}
        for one, (_, row) in zip(people, readers, strict=True)
        if row.has_address and row.hashed
    ]
    suppressed = {number for number, row in readers if row.suppressed}
    insert_all(session, Subscriber, people)
    insert_all(session, AddressHash, hashed)
    insert_all(session, Subscription, [_subscription(number, row, earlier) for number, row in readers])
    insert_all(
        session,
        Suppression,
        [_suppression(one, hasher, earlier.created_at) for one in hashed if one["subscriber_id"] in suppressed],
    )
    insert_all(session, Delivery, [_delivery(number, earlier) for number, row in readers if row.reached])


def _subscriber(number: int, row: Row[Any]) -> dict[str, object]:
    invented = address(number, row.domain, listed=bool(row.listed)) if row.has_address else None
    return {
        "id": number,
        "address_typed": invented,
        "email": invented,
        "address_key": invented,
        "domain": invented.rpartition("@")[2] if invented else "",
        "name": name_like(row.name, number),
        "locale": row.locale,
        "created_at": row.created_at,
    }


def _subscription(number: int, row: Row[Any], earlier: Mailing) -> dict[str, object]:
    kept = ("plan_id", "state", "created_at", "asked_at", "confirmed_at", "left_at", "paused_until", "plan_until")
    return {
        "id": number,
        "publication_id": earlier.publication_id,
        "subscriber_id": number,
        # As long as a real one; it opens nothing.
        "unsubscribe_id": token_urlsafe(16),
        **{name: getattr(row, name) for name in kept},
    }


def _suppression(hashed: dict[str, object], hasher: AddressHasher, now: datetime) -> dict[str, object]:
    return {
        "publication_id": None,
        "address_hash": hashed["hash"],
        "hash_key_id": hasher.key_id,
        "reason": SuppressionReason.imported,
        "origin": "rehearsal",
        "created_at": now,
        "created_by": str(COMMAND_LINE),
        "lifted_by": "",
    }


def _delivery(number: int, earlier: Mailing) -> dict[str, object]:
    return {
        "mailing_id": earlier.id,
        "issue_id": earlier.issue_id,
        "subscriber_id": number,
        "subscription_id": number,
        "live": False,
        "round": 0,
        "may_have_reached": True,
        "reason": "",
    }
