"""Alerting: alerts leave by every way that the settings name, each by itself, and how that went is kept.

After ``alerts``, beside the notices. A way that fails is tried again, later each time, for a day; that SendGrid refuses
everything keeps no hook from telling so. A worker that dies tells the same once more at worst; hooks know its number.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from secrets import token_urlsafe
from typing import Any

import requests
import structlog
import urllib3
from sqlalchemy import ColumnElement, func, update
from sqlmodel import Session, col, select

from newsletter.alerts import Alert, AlertPost, PostState
from newsletter.database import Database
from newsletter.notices.hooks import Hook, call_of, refusal_in
from newsletter.providers.base import Ending, Message, Provider, Recipient
from newsletter.publications import Publication, publication_by_id
from subscribers.bulk import insert_missing, rows_changed


log = structlog.get_logger(__name__)

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 10.0, 3600.0
GIVE_UP_AFTER = timedelta(hours=24)
#: While one worker tells by a way, no other does.
_LEASE = timedelta(minutes=2)
_TIMEOUT, _ANSWER_LIMIT = 10.0, 20_000


@dataclass(frozen=True)
class AlertDesk:
    """What alerts are told with.

    Attributes:
        addresses: To whom they are mailed.
        hooks: The other ways.
        words: What is said, by language and kind.
        live: Whether real mail leaves; else hooks on this machine only are called.
    """

    database: Database
    provider: Provider
    addresses: Sequence[str]
    hooks: Sequence[Hook]
    words: Mapping[str, Mapping[str, Any]]
    live: bool
    clock: Callable[[], datetime]

    @property
    def ways(self) -> dict[str, "Hook | None"]:
        """The ways by their names; mail has no hook."""
        mail: dict[str, Hook | None] = {"mail": None} if self.addresses else {}
        return mail | {f"hook {number} ({one.kind})": one for number, one in enumerate(self.hooks, start=1)}


def tell_next(desk: AlertDesk) -> bool:
    """Tell the next alert by the next way that it was not told by; say whether there was one."""
    if not desk.ways:
        return False
    with desk.database.reading() as session:
        # Only looks, so that an idle worker never keeps a writer waiting.
        if not _is_work(session, desk):
            return False
    with desk.database.writing() as session:
        _order(session, desk)
        claimed = _claim(session, desk)
        if claimed is None:
            return False
        post_id, alert, way = claimed
        publication = publication_by_id(session, alert.publication_id)
    hook = desk.ways[way]
    text = text_of(alert, publication, desk.words)
    failure = _by_mail(desk, publication, text) if hook is None else _by_hook(desk, hook, alert, publication, text)
    with desk.database.writing() as session:
        _settle(session, post_id, alert, failure, now=desk.clock())
    return True


def _is_work(session: Session, desk: AlertDesk) -> bool:
    """Tell whether an alert was not yet handed to every way, or waits to be told now."""
    ordered = (
        select(AlertPost.alert_id)
        .where(col(AlertPost.way).in_(list(desk.ways)))
        .group_by(col(AlertPost.alert_id))
        .having(func.count() >= len(desk.ways))
    )
    new = select(Alert.id).where(_is_fresh(desk), col(Alert.id).not_in(ordered)).limit(1)
    waiting = select(AlertPost.id).where(_is_due(desk)).limit(1)
    return any(session.exec(found).first() is not None for found in (new, waiting))


def _is_fresh(desk: AlertDesk) -> ColumnElement[bool]:
    """Tell in SQL which alerts of this side of NOT LIVE are still worth telling."""
    return (col(Alert.created_at) > desk.clock() - GIVE_UP_AFTER) & col(Alert.live).is_(desk.live)


def _is_due(desk: AlertDesk) -> ColumnElement[bool]:
    due = col(AlertPost.not_before).is_(None) | (col(AlertPost.not_before) <= desk.clock())
    return (col(AlertPost.state) == PostState.waiting) & due & col(AlertPost.way).in_(list(desk.ways))


def _order(session: Session, desk: AlertDesk) -> None:
    """Have each fresh alert of this side of NOT LIVE told by every way there is."""
    alerts = session.exec(select(Alert.id).where(_is_fresh(desk))).all()
    rows: list[dict[str, object]] = [
        {"alert_id": one, "way": way, "state": PostState.waiting, "tries": 0, "result": ""}
        for one in alerts
        for way in desk.ways
    ]
    insert_missing(session, AlertPost, rows)


def _claim(session: Session, desk: AlertDesk) -> tuple[int, Alert, str] | None:
    now = desk.clock()
    found = (
        select(AlertPost, Alert)
        .join(Alert, col(Alert.id) == col(AlertPost.alert_id))
        .where(_is_due(desk))
        .order_by(col(AlertPost.id))
        .limit(1)
    )
    if (row := session.exec(found).first()) is None:
        return None
    post, alert = row
    mine = (col(AlertPost.id) == post.id) & (col(AlertPost.tries) == post.tries)
    values = {"tries": post.tries + 1, "not_before": now + _LEASE}
    claimed = rows_changed(session.execute(update(AlertPost).where(mine).values(**values)))
    return (post.id, alert, post.way) if claimed else None


def _settle(session: Session, post_id: int, alert: Alert, failure: str, *, now: datetime) -> None:
    post = session.get_one(AlertPost, post_id, populate_existing=True)
    post.result = failure[:300] or "told"
    if not failure:
        post.state, post.ended_at = PostState.told, now
    else:
        wait = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(post.tries - 1, 16))
        post.not_before = now + timedelta(seconds=wait)
        if post.not_before > alert.created_at + GIVE_UP_AFTER:
            post.state, post.ended_at = PostState.given_up, now
        log.warning("an operator could not be told", alert=alert.id, way=post.way, why=failure[:100])
    session.add(post)


@dataclass(frozen=True)
class Told:
    """What people read of an alert."""

    title: str
    lines: Sequence[str]

    @property
    def plain(self) -> str:
        """All of it, in lines."""
        return "\n".join((self.title, *self.lines))


def text_of(alert: Alert, publication: Publication, words: Mapping[str, Mapping[str, Any]]) -> Told:
    """Write an alert in its publication's language."""
    own = words["zh" if publication.locale.lower().startswith("zh") else "en"]
    said = own[alert.kind]
    facts = _Facts({**alert.facts, "publication": publication.name, "about": alert.about})
    again = [own["again"].format(repeats=alert.repeats)] if alert.repeats else []
    side = [] if alert.live else [own["not_live"]]
    following = f"{own['next']}: {said['next'].format_map(facts)}"
    return Told(said["title"].format_map(facts), (said["text"].format_map(facts), *again, following, *side))


class _Facts(dict[str, str]):
    """Facts of an alert; one that is missing keeps nobody from hearing of the rest."""

    def __missing__(self, name: str) -> str:
        return "?"


def _by_mail(desk: AlertDesk, publication: Publication, told: Told) -> str:
    """Mail an alert; tell what went wrong, or nothing."""
    html = "".join(f"<p>{escape(line)}</p>" for line in told.lines)
    call_id = token_urlsafe(16)
    message = Message(
        sender=publication.sender,
        sender_name=publication.name,
        reply_to=publication.reply_to or publication.sender,
        subject=told.title,
        html=f"<!doctype html><html><body><h1>{escape(told.title)}</h1>{html}</body></html>",
        text=told.plain + "\n",
        recipients=tuple(Recipient(one, "", {}, {}, {"alert": call_id}) for one in desk.addresses),
        headers={"Auto-Submitted": "auto-generated"},
    )
    end = desk.provider.submit(message)
    return "" if end.ending is Ending.accepted else f"{end.ending}: {end.status or 'no answer'} {end.detail}"


def _by_hook(desk: AlertDesk, hook: Hook, alert: Alert, publication: Publication, told: Told) -> str:
    """Post an alert to a hook; tell what went wrong, or nothing. Neither address nor secret is in what is told."""
    facts: dict[str, Any] = {"kind": alert.kind, "publication": publication.code, "about": alert.about, **alert.facts}
    facts |= {"live": alert.live, "repeats": alert.repeats, "at": alert.created_at.isoformat()}
    call = call_of(hook, told.plain, facts, alert.id, now=desk.clock())
    with requests.Session() as session:
        # While NOT LIVE only this machine is called, past every proxy.
        session.trust_env = desk.live
        try:
            with session.post(
                call.url,
                data=call.body,
                headers=dict(call.headers),
                timeout=_TIMEOUT,
                allow_redirects=False,
                stream=True,
            ) as answer:
                return refusal_in(hook, answer.status_code, answer.raw.read(_ANSWER_LIMIT, decode_content=True))
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return f"not reached: {type(error).__name__}"
