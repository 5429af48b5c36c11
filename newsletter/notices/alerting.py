"""Alerting: alerts leave by every way that the settings name, each by itself, and how that went is kept.

After ``alerts``, beside the notices. A way that fails is tried again, later each time, for a day; each has a worker of
its own, so that SendGrid keeps no hook from telling that it refuses everything, or hangs. A worker that dies tells the
same once more at worst, as does an answer that is lost; hooks know the alert's number.
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
from sqlalchemy import ColumnElement, update
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from newsletter.alerts import GIVE_UP_AFTER, Alert, AlertPost, PostState
from newsletter.database import Database
from newsletter.notices.hooks import Hook, call_of, refusal_in
from newsletter.providers.base import Ending, Message, Provider, Recipient
from newsletter.publications import Publication, publication_by_id
from subscribers.bulk import insert_missing, rows_changed


log = structlog.get_logger(__name__)

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 10.0, 3600.0
#: No answer is waited for longer, by whichever way.
PATIENCE_SECONDS = 10.0
#: A way that is new hears what was raised in this time before it; what others were told earlier is no news.
NEWS_FOR = timedelta(hours=1)
#: While one worker tells an alert by a way, no other does.
_LEASE = timedelta(minutes=2)
_ANSWER_LIMIT = 20_000


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
        return mail | {one.name: one for one in self.hooks}


def tell_next(desk: AlertDesk, way: str) -> bool:
    """Tell the next alert that waits for one of the desk's ways; say whether there was one."""
    with desk.database.reading() as session:
        # Only looks, so that an idle worker never keeps a writer waiting.
        if not _is_work(session, desk, way):
            return False
    with desk.database.writing() as session:
        _order(session, desk)
        if (claimed := _claim(session, desk, way)) is None:
            return False
        post_id, alert = claimed
        publication = publication_by_id(session, alert.publication_id)
    failure = _tell(desk, desk.ways[way], alert, publication)
    with desk.database.writing() as session:
        _settle(session, post_id, alert, failure, now=desk.clock())
    return True


def _is_work(session: Session, desk: AlertDesk, way: str) -> bool:
    """Tell whether an alert was not yet handed to a way, or waits to be told by it now."""
    handed = select(AlertPost.id).where(col(AlertPost.alert_id) == col(Alert.id), AlertPost.way == way).exists()
    new = select(Alert.id).where(_is_news(desk), ~handed).limit(1)
    waiting = _of_posts().where(_is_due(desk, way)).limit(1)
    return session.exec(new).first() is not None or session.exec(waiting).first() is not None


def _of_posts() -> SelectOfScalar[AlertPost]:
    return select(AlertPost).join(Alert, col(Alert.id) == col(AlertPost.alert_id))


def _is_fresh(desk: AlertDesk) -> ColumnElement[bool]:
    """Tell in SQL which alerts of this side of NOT LIVE are still worth telling."""
    return (col(Alert.created_at) >= desk.clock() - GIVE_UP_AFTER) & col(Alert.live).is_(desk.live)


def _is_news(desk: AlertDesk) -> ColumnElement[bool]:
    """Tell in SQL which alerts a way that was handed none of them hears: the recent, and those handed to nobody."""
    handed = select(AlertPost.id).where(col(AlertPost.alert_id) == col(Alert.id)).exists()
    return _is_fresh(desk) & ((col(Alert.created_at) > desk.clock() - NEWS_FOR) | ~handed)


def _is_due(desk: AlertDesk, way: str) -> ColumnElement[bool]:
    due = col(AlertPost.not_before).is_(None) | (col(AlertPost.not_before) <= desk.clock())
    return _is_fresh(desk) & (col(AlertPost.state) == PostState.waiting) & due & (col(AlertPost.way) == way)


def _order(session: Session, desk: AlertDesk) -> None:
    """Have each alert that is news told by every way there is."""
    alerts = session.exec(select(Alert.id).where(_is_news(desk))).all()
    rows: list[dict[str, object]] = [
        {"alert_id": one, "way": way, "state": PostState.waiting, "tries": 0, "result": ""}
        for one in alerts
        for way in desk.ways
    ]
    insert_missing(session, AlertPost, rows)


def _claim(session: Session, desk: AlertDesk, way: str) -> tuple[int, Alert] | None:
    # What was never tried goes first: news must not wait behind what fails again and again.
    found = _of_posts().where(_is_due(desk, way)).order_by(col(AlertPost.tries), col(AlertPost.id)).limit(1)
    if (post := session.exec(found).first()) is None:
        return None
    mine = (col(AlertPost.id) == post.id) & (col(AlertPost.tries) == post.tries)
    values = {"tries": post.tries + 1, "not_before": desk.clock() + _LEASE}
    claimed = rows_changed(session.execute(update(AlertPost).where(mine).values(**values)))
    return (post.id, session.get_one(Alert, post.alert_id)) if claimed else None


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
    again += [own["before"].format_map(facts)] if "before" in facts else []
    side = [] if alert.live else [own["not_live"]]
    following = f"{own['next']}: {said['next'].format_map(facts)}"
    return Told(said["title"].format_map(facts), (said["text"].format_map(facts), *again, following, *side))


class _Facts(dict[str, str]):
    """Facts of an alert; one that is missing keeps nobody from hearing of the rest."""

    def __missing__(self, name: str) -> str:
        return "?"


def _tell(desk: AlertDesk, hook: Hook | None, alert: Alert, publication: Publication) -> str:
    """Tell an alert by a hook, or else by mail; tell what went wrong, or nothing."""
    try:
        text = text_of(alert, publication, desk.words)
        return _by_hook(desk, hook, alert, publication, text) if hook else _by_mail(desk, publication, text)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a try that failed, and ends with the others
        # Only the name: the text of some errors holds the address, which is a secret.
        return f"it could not be told: {type(error).__name__}"


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
                timeout=PATIENCE_SECONDS,
                allow_redirects=False,
                stream=True,
            ) as answer:
                return refusal_in(hook, answer.status_code, answer.raw.read(_ANSWER_LIMIT, decode_content=True))
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return f"not reached: {type(error).__name__}"
