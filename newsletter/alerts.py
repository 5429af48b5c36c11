"""Alerts: what an operator must hear of, written in the transaction that causes it. Beside the outbox.

``notices.alerting`` tells them, by mail and by hooks that are not SendGrid, each way by itself. The same thing within
an hour is counted on the first and not told again: an alert that comes every minute is read by nobody. What was counted
is said when the same is told the next time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    UniqueConstraint,
    case,
    delete,
    update,
)
from sqlmodel import Field, Session, SQLModel, col, select

from subscribers.bulk import rows_changed
from subscribers.models import words_column


class AlertKind(StrEnum):
    """What an alert is about."""

    mailing_finished = "mailing_finished"
    mailing_held = "mailing_held"
    mailing_halted = "mailing_halted"
    provider_away = "provider_away"
    calls_not_made = "calls_not_made"
    key_refused = "key_refused"
    lane_held = "lane_held"
    superseded = "superseded"
    surge = "surge"
    blocked = "blocked"
    complaints_rising = "complaints_rising"
    slot_empty = "slot_empty"
    store_held = "store_held"
    account_changed = "account_changed"
    event_stepped_over = "event_stepped_over"
    lists_refused = "lists_refused"
    request_refused = "request_refused"
    trial = "trial"
    disk_full = "disk_full"
    notices_refused = "notices_refused"


class PostState(StrEnum):
    """Where the telling of an alert by one way stands."""

    waiting = "waiting"
    told = "told"
    given_up = "given_up"


#: Not the same one twice in this time.
QUIET = timedelta(hours=1)
#: What was told longer ago is not spoken of when the same comes again.
REMEMBERED = timedelta(days=1)
#: What could not be told for so long is news to nobody any more.
GIVE_UP_AFTER = timedelta(hours=24)
#: How long the log is kept (docs/retention.md): a year, so that what went wrong at the same time of year can be seen.
KEPT_FOR = timedelta(days=400)


class Alert(SQLModel, table=True):
    """Something that an operator must hear of."""

    __table_args__ = (Index("ix_alert_created", "created_at"),)

    id: int = Field(default=None, primary_key=True)
    kind: AlertKind = Field(sa_column=Column(words_column(AlertKind, "ck_alert_kind"), nullable=False))
    #: What of: a mailing, a provider in it.
    about: str = Field(sa_column=Column(String(100), nullable=False))
    publication_id: int = Field(
        sa_column=Column(Integer, ForeignKey("publication.id", name="fk_alert_publication"), nullable=False)
    )
    live: bool = Field(sa_column=Column(Boolean, nullable=False))
    #: Small facts for its text; never an address. ``cause`` is a short code by which the same is known again.
    facts: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    #: How often it happened again within the hour.
    repeats: int = 0
    created_at: datetime


class AlertPost(SQLModel, table=True):
    """How the telling of an alert by one way went."""

    __tablename__ = "alert_post"
    __table_args__ = (
        UniqueConstraint("alert_id", "way", name="uq_alert_post_way"),
        Index("ix_alert_post_waiting", "state", "not_before"),
    )

    id: int = Field(default=None, primary_key=True)
    alert_id: int = Field(sa_column=Column(Integer, ForeignKey("alert.id", name="fk_alert_post_alert"), nullable=False))
    #: The way by its name (``hooks.Hook.name``); never its address, which is a secret.
    way: str = Field(sa_column=Column(String(60), nullable=False))
    state: PostState = Field(sa_column=Column(words_column(PostState, "ck_alert_post_state"), nullable=False))
    tries: int = 0
    not_before: datetime | None = None
    result: str = Field(default="", sa_column=Column(String(300), nullable=False, server_default=""))
    ended_at: datetime | None = None


@dataclass(frozen=True)
class NewAlert:
    """An alert to be raised."""

    kind: AlertKind
    about: str
    publication_id: int
    live: bool
    facts: Mapping[str, str] = field(default_factory=dict)


def raise_alert(session: Session, new: NewAlert, *, now: datetime) -> int:
    """Have an operator told once this transaction is committed; give the alert's id, which may be an earlier one's."""
    before = _last_alike(session, new, now)
    if before and before.created_at > now - QUIET:
        before.repeats += 1
        session.add(before)
        session.flush()
        return before.id
    since = {"before": str(before.repeats)} if before and before.repeats else {}
    alert = Alert(**{**vars(new), "facts": {**new.facts, **since}}, created_at=now)
    session.add(alert)
    session.flush()
    return alert.id


def _last_alike(session: Session, new: NewAlert, now: datetime) -> Alert | None:
    alike = select(Alert).where(
        Alert.kind == new.kind,
        Alert.about == new.about,
        Alert.publication_id == new.publication_id,
        col(Alert.live).is_(new.live),
        col(Alert.created_at) > now - REMEMBERED,
    )
    # A mailing that halts again for another reason is other news.
    told = session.exec(alike.order_by(col(Alert.id).desc()))
    return next((one for one in told if _cause(one.facts) == _cause(new.facts)), None)


def give_up(session: Session, *, now: datetime) -> int:
    """Give up what no way could be told within a day, such as by one that the settings name no more; tell how many."""
    old = select(Alert.id).where(col(Alert.created_at) < now - GIVE_UP_AFTER)
    waiting = (col(AlertPost.state) == PostState.waiting) & col(AlertPost.alert_id).in_(old)
    result = case((col(AlertPost.result) == "", "nobody told by this way for a day"), else_=col(AlertPost.result))
    values = {"state": PostState.given_up, "ended_at": now, "result": result}
    return rows_changed(session.execute(update(AlertPost).where(waiting).values(**values)))


def purge(session: Session, *, now: datetime) -> int:
    """Delete alerts of more than 400 days ago with how their telling went; tell how many these were."""
    old = col(Alert.created_at) < now - KEPT_FOR
    session.execute(delete(AlertPost).where(col(AlertPost.alert_id).in_(select(Alert.id).where(old))))
    return rows_changed(session.execute(delete(Alert).where(old)))


def _cause(facts: Mapping[str, str]) -> str:
    # A sentence tells numbers, which change while the cause does not; where there is no code it is all there is.
    return facts.get("cause") or facts.get("reason", "")
