"""The outbox: notices that wait to leave. Written in the transaction that causes them, sent by the worker.

Beside the publications; ``notices`` claims, builds, sends and settles what stands here. A notice holds no address and
no token: both are found when its mail is built, so that who was erased meanwhile is not mailed.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Enum,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    delete,
    func,
    true,
    update,
)
from sqlmodel import Field, Session, SQLModel, col, select

from subscribers.bulk import rows_changed


class NoticeKind(StrEnum):
    """What a notice is about."""

    confirm = "confirm"
    already_subscribed = "already_subscribed"
    welcome = "welcome"
    goodbye = "goodbye"
    sign_in = "sign_in"
    read_again = "read_again"
    confirm_address = "confirm_address"
    address_changed = "address_changed"
    renewal = "renewal"
    plan_changed = "plan_changed"


class NoticeState(StrEnum):
    """Where a notice is. Between ``sending`` and the answer nobody may assume anything."""

    waiting = "waiting"
    sending = "sending"
    accepted = "accepted"
    unknown = "unknown"
    refused = "refused"
    dropped = "dropped"


#: Kinds that anyone can have mailed to any address, by typing it into a form.
BY_STRANGERS = frozenset(
    {
        NoticeKind.confirm,
        NoticeKind.already_subscribed,
        NoticeKind.sign_in,
        NoticeKind.read_again,
        NoticeKind.confirm_address,
    }
)
#: How many of those one mailbox gets at most, from all publications together: who did not find the first mail asks once
#: or twice more in a day, and again on some other day; whoever is bombed with sign-ups gets no fourth, and no eleventh.
LIMITS: tuple[tuple[timedelta, int], ...] = ((timedelta(hours=24), 3), (timedelta(days=30), 10))

#: The facts that the text of each kind needs; an empty one is left out of the mail.
FACTS: Mapping[NoticeKind, frozenset[str]] = {
    # As the form showed them.
    NoticeKind.confirm: frozenset({"plan", "frequency"}),
    NoticeKind.already_subscribed: frozenset(),
    NoticeKind.welcome: frozenset({"plan", "frequency"}),
    NoticeKind.goodbye: frozenset(),
    NoticeKind.sign_in: frozenset(),
    # The mailing by its number, and the title.
    NoticeKind.read_again: frozenset({"mailing_id", "title"}),
    NoticeKind.confirm_address: frozenset(),
    # The event of the ledger whose evidence knows the address before.
    NoticeKind.address_changed: frozenset({"event_id"}),
    # The plan that ends, its last day (ISO 8601), the plan after it, and where to renew (else the publication's own).
    NoticeKind.renewal: frozenset({"plan", "until", "then", "upgrade_url"}),
    NoticeKind.plan_changed: frozenset({"before", "plan"}),
}
#: Kinds whose link confirms a request.
CONFIRMING = frozenset({NoticeKind.confirm, NoticeKind.confirm_address})

ENDED = frozenset({NoticeState.accepted, NoticeState.unknown, NoticeState.refused, NoticeState.dropped})

#: Ended notices are kept so long: the longest limit looks back 30 days, and a question about a mail comes sooner.
KEPT_FOR = timedelta(days=90)

_ADDRESS = re.compile(r"[^\s@]@[^\s@]+\.[^\s@]")


def _words(words: type[StrEnum], name: str) -> Enum:
    return Enum(words, native_enum=False, create_constraint=True, name=name, length=20)


class Notice(SQLModel, table=True):
    """One mail to one reader that waits to leave, or how it ended."""

    __table_args__ = (
        Index("ix_notice_work", "state", "not_before"),
        Index("ix_notice_bucket", "bucket", "created_at"),
        Index("ix_notice_subscription", "subscription_id"),
    )

    id: int = Field(default=None, primary_key=True)
    kind: NoticeKind = Field(sa_column=Column(_words(NoticeKind, "ck_notice_kind"), nullable=False))
    publication_id: int = Field(
        sa_column=Column(Integer, ForeignKey("publication.id", name="fk_notice_publication"), nullable=False)
    )
    subscription_id: int = Field(
        sa_column=Column(Integer, ForeignKey("subscription.id", name="fk_notice_subscription"), nullable=False)
    )
    #: The request that a click on its link confirms.
    opt_in_id: int | None = None
    #: A keyed hash of the mailbox, for the limits.
    bucket: str = Field(sa_column=Column(String(64), nullable=False))
    #: Whether a real reader was meant; a trial with the local SendGrid mails nobody later.
    live: bool
    #: Empty: the publication's own.
    locale: str = Field(sa_column=Column(String(20), nullable=False))
    #: Small facts for its text: names of plans, dates, ids. Never an address or a token.
    detail: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    state: NoticeState = Field(sa_column=Column(_words(NoticeState, "ck_notice_state"), nullable=False))
    reason: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    not_before: datetime | None = None
    #: How many calls ended without a lasting result; sets the length of the next wait.
    tries: int = 0
    #: How often it was claimed; a worker that wakes late finds another number and stops.
    attempt: int = 0
    lease_until: datetime | None = None
    #: The last call, by a random id that events carry as a proof.
    call_id: str = Field(default="", sa_column=Column(String(22), nullable=False, server_default=""))
    #: Of the text part of that call's mail.
    text_sha256: str = Field(default="", sa_column=Column(String(64), nullable=False, server_default=""))
    message_id: str | None = Field(default=None, sa_column=Column(String(120), nullable=True))
    created_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True)
class NoticeOrder:
    """A notice to be sent.

    Attributes:
        bucket: A keyed hash of the mailbox's canonical address, at most 64 characters; asked of kinds with a limit.
        live: Whether real readers are mailed (``Service.live``).
        opt_in_id: The request that its link confirms, for ``confirm`` and ``confirm_address``.
        locale: The reader's; empty for the publication's own.
        detail: The facts that its text needs (``FACTS``).
    """

    kind: NoticeKind
    publication_id: int
    subscription_id: int
    live: bool
    bucket: str = ""
    opt_in_id: int | None = None
    locale: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)


def enqueue(session: Session, order: NoticeOrder, *, now: datetime) -> int | None:
    """Have a notice sent once this transaction is committed; where it is undone, nothing is sent.

    Kinds that a stranger can cause are limited for each mailbox (``LIMITS``), also where two requests come at once; in
    a transaction of one snapshot on PostgreSQL only where nothing was read before.

    Returns:
        The notice's id, or nothing where the mailbox's limit is reached.

    Raises:
        ValueError: The order lacks what its kind needs, or its detail holds an address.
    """
    _check(order)
    if order.kind in BY_STRANGERS and not _has_room(session, order, now):
        return None
    notice = Notice(**{**vars(order), "detail": dict(order.detail)}, state=NoticeState.waiting, created_at=now)
    session.add(notice)
    session.flush()
    return notice.id


def _check(order: NoticeOrder) -> None:
    """Refuse what the worker could not send: nobody would read its complaint."""
    if missing := FACTS[order.kind] - set(order.detail):
        raise ValueError(f"a notice {order.kind} needs {', '.join(sorted(missing))} in its detail")
    if order.kind in CONFIRMING and order.opt_in_id is None:
        raise ValueError(f"a notice {order.kind} needs the request that it confirms")
    if order.kind in BY_STRANGERS and not order.bucket:
        raise ValueError(f"a notice {order.kind} can be caused by strangers and needs a bucket")
    if any(_ADDRESS.search(value) for value in order.detail.values()):
        raise ValueError(f"the detail of a notice {order.kind} holds an address")


def _has_room(session: Session, order: NoticeOrder, now: datetime) -> bool:
    _one_at_a_time(session, order.bucket)
    mine = (col(Notice.bucket) == order.bucket) & col(Notice.live).is_(order.live) & col(Notice.kind).in_(BY_STRANGERS)
    # Those that certainly reached nobody do not count.
    counted = mine & col(Notice.state).not_in((NoticeState.refused, NoticeState.dropped))
    for period, most in LIMITS:
        found = select(func.count()).select_from(Notice).where(counted, col(Notice.created_at) > now - period)
        if session.exec(found).one() >= most:
            return False
    return True


def _one_at_a_time(session: Session, bucket: str) -> None:
    """Let others who ask for the same mailbox wait until this transaction ends; SQLite has one writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        key = int.from_bytes(hashlib.sha256(b"notices to " + bucket.encode()).digest()[:8], signed=True)
        session.execute(select(func.pg_advisory_xact_lock(key)))


def cancel(session: Session, subscription_ids: Sequence[int], *, reason: str, now: datetime) -> int:
    """Drop what still waits for these subscriptions, where their reader left or was erased; tell how many.

    A goodbye is ordered after this, else it is dropped, too.
    """
    return _drop(session, col(Notice.subscription_id).in_(subscription_ids), reason, now)


def drop_waiting(session: Session, *, reason: str, now: datetime) -> int:
    """Drop every notice that waits; tell how many."""
    return _drop(session, true(), reason, now)


def _drop(session: Session, which: ColumnElement[bool], reason: str, now: datetime) -> int:
    gone = {"state": NoticeState.dropped, "reason": reason, "lease_until": None, "ended_at": now}
    return rows_changed(session.execute(update(Notice).where(which, _in(NoticeState.waiting)).values(**gone)))


def ordered_since(session: Session, kind: NoticeKind, subscription_id: int, *, since: datetime) -> bool:
    """Tell whether a notice of a kind was ordered for a subscription since then, unless it certainly left nowhere."""
    mine = (col(Notice.subscription_id) == subscription_id) & (col(Notice.kind) == kind)
    counted = mine & col(Notice.state).not_in((NoticeState.refused, NoticeState.dropped))
    return session.exec(select(Notice.id).where(counted, col(Notice.created_at) > since).limit(1)).first() is not None


def purge(session: Session, *, now: datetime) -> int:
    """Delete what ended more than 90 days ago; tell how many these were."""
    old = col(Notice.state).in_(ENDED) & (col(Notice.ended_at) < now - KEPT_FOR)
    return rows_changed(session.execute(delete(Notice).where(old)))


def list_notices(
    session: Session, *, publication_id: int | None = None, state: NoticeState | None = None, limit: int
) -> list[Notice]:
    """List notices, the newest first."""
    found = select(Notice)
    if publication_id is not None:
        found = found.where(col(Notice.publication_id) == publication_id)
    if state is not None:
        found = found.where(_in(state))
    return list(session.exec(found.order_by(col(Notice.id).desc()).limit(limit)))


def notices_to(session: Session, subscription_ids: Sequence[int]) -> list[Notice]:
    """List every notice of these subscriptions that is still kept, the oldest first."""
    theirs = col(Notice.subscription_id).in_(subscription_ids)
    return list(session.exec(select(Notice).where(theirs).order_by(col(Notice.id))))


def _in(state: NoticeState) -> ColumnElement[bool]:
    return col(Notice.state) == state
