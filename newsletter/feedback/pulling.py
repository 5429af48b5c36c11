"""Pulling: SendGrid's own lists, read page by page, so that both sides hold back the same addresses. After ``ingest``.

Only ever added to: an address that is missing there may have been purged by age. Windows overlap by a day, since
entries come late, and pages by some entries, since our own removals move them up; how far a list was read is kept after
each page: an interrupted pull goes on where it was.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlmodel import Session, col, select

from newsletter.database import Database
from newsletter.feedback.alone import alone
from newsletter.feedback.applying import Scene
from newsletter.feedback.ingest import apply_events
from newsletter.feedback.models import Consequence, ListPull, ListRemoval
from newsletter.providers.feedback import FeedbackEvent, FeedbackKind
from newsletter.providers.sendgrid_account import AccountAPI, AccountRefused
from newsletter.providers.sendgrid_events import storable
from subscribers.models import AddressHash, Subscriber


LISTS = ("bounces", "blocks", "invalid_emails", "spam_reports", "unsubscribes")
PAGE = 500
#: So many entries of a page come again with the next: one that is deleted there meanwhile moves up what is behind it.
SHARED = 100
OVERLAP = timedelta(days=1)
_READ, _DELETE = "suppression.read", "suppression.delete"


@dataclass(frozen=True)
class Pulled:
    """What was read of a list: how many entries, and how many of them were news."""

    list_name: str
    entries: int
    news: int


class Stopping(Exception):
    """The machine stops: no other page is asked for, and the next pull goes on here."""


def pull(
    database: Database,
    api: AccountAPI,
    scene: Scene,
    *,
    on_page: Callable[[int], object],
    is_stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Pulled]:
    """Read every list from where it was left; ``on_page`` is told how many entries each page had.

    Raises:
        AccountRefused: The key lacks a scope, or SendGrid was not reached; what was read until then is kept.
        Stopping: ``is_stopping`` said so before a page; what was read until then is kept.
    """

    def read(window: ListPull) -> Sequence[object]:
        if is_stopping():
            raise Stopping
        return _page(api, window)

    for name in LISTS:
        entries = news = 0
        until = -1
        # What an interrupted pull left ends where that began: what came since is read in the same run.
        while until < int(scene.now.timestamp()):
            until = _open_window(database, name, scene.now)
            _read_window(database, name, read, scene, on_page)
            closed = _close_window(database, name, until, scene.now)
            entries, news = entries + closed.entries, news + closed.news
        yield Pulled(name, entries, news)


def _open_window(database: Database, name: str, now: datetime) -> int:
    """Begin a new window, unless the last one was left unread; tell where it ends."""
    with database.writing() as session:
        window = session.get(ListPull, name) or ListPull(list_name=name)
        if window.is_done:
            # A clock that was ahead has read no further than until now.
            window.since = max(0, min(window.until, int(now.timestamp())) - int(OVERLAP.total_seconds()))
            window.until, window.place, window.is_done = int(now.timestamp()), 0, False
            window.entries = window.news = 0
        session.add(window)
        return window.until


def _read_window(
    database: Database,
    name: str,
    read: Callable[[ListPull], Sequence[object]],
    scene: Scene,
    on_page: Callable[[int], object],
) -> None:
    while page := read(window := _window(database, name)):
        _take(database, window, page, scene)
        on_page(len(page))
        if len(page) < PAGE:
            break


def _window(database: Database, name: str) -> ListPull:
    with database.reading() as session:
        return session.get_one(ListPull, name)


def _page(api: AccountAPI, window: ListPull) -> Sequence[object]:
    found = api.get(
        "suppression",
        window.list_name,
        scope=_READ,
        start_time=window.since,
        end_time=window.until,
        limit=PAGE,
        offset=_offset(window),
    )
    if not isinstance(found, list):
        raise AccountRefused(f"SendGrid's list {window.list_name} cannot be read: it is no array")
    return found


def _offset(window: ListPull) -> int:
    return max(0, window.place - SHARED)


def _take(database: Database, read: ListPull, page: Sequence[object], scene: Scene) -> None:
    """Apply a page, and go on behind it, unless another pull has gone on meanwhile."""
    events = [_event(read.list_name, entry) for entry in page]
    with database.writing() as session:
        alone(session)
        applied = apply_events(session, events, scene, received_at=scene.now)
        window = session.get_one(ListPull, read.list_name)
        if (window.since, window.until, window.place) != (read.since, read.until, read.place):
            return
        window.place = _offset(window) + len(page)
        window.entries = max(window.entries, window.place)
        window.news += applied.news
        session.add(window)


def _close_window(database: Database, name: str, until: int, now: datetime) -> Pulled:
    """Note that a window was read, unless another pull has begun the next one meanwhile."""
    with database.writing() as session:
        window = session.get_one(ListPull, name)
        if window.until == until:
            window.is_done, window.finished_at = True, now
        session.add(window)
        return Pulled(name, window.entries, window.news)


def _event(name: str, entry: object) -> FeedbackEvent:
    if not isinstance(entry, dict):
        return FeedbackEvent(FeedbackKind.listed, name, problem=f"an entry that is a {type(entry).__name__}")
    created = entry.get("created")
    known = isinstance(created, int) and 0 < created < 2**33
    return FeedbackEvent(
        FeedbackKind.listed,
        name,
        address=storable(entry.get("email"), 320),
        at=datetime.fromtimestamp(created, UTC) if known and isinstance(created, int) else None,
        status=storable(entry.get("status"), 120),
        bounce_type="bounce" if name == "bounces" else "",
        text=storable(entry.get("reason"), 2000),
        problem="" if known else "no readable time",
    )


#: Seconds between tries to take an address off a list, doubled each time, up to an hour.
_FIRST_WAIT, _LONGEST_WAIT = 10.0, 3600.0
#: Global unsubscribes are taken back elsewhere than they are listed.
_PATHS = {"unsubscribes": ("asm", "suppressions", "global")}


def remove_next(database: Database, api: AccountAPI, *, now: datetime) -> bool:
    """Take the next address off SendGrid's list whose consequence was undone; tell whether there was one.

    One that is not there any more is done, too. What is refused is tried again later: it is an operator's word.
    """
    with database.reading() as session:
        found = _next_removal(session, now)
    if found is None:
        return False
    removal, email = found
    result, done = "nobody of this address is stored any more", True
    if email:
        try:
            api.delete(*_PATHS.get(removal.list_name, ("suppression", removal.list_name)), email, scope=_DELETE)
            result = "taken off"
        except AccountRefused as refusal:
            done = refusal.status == 404  # noqa: PLR2004 - not on the list
            result = "was not on the list" if done else str(refusal)
    with database.writing() as session:
        row = session.get_one(ListRemoval, removal.id)
        row.tries, row.result = row.tries + 1, result
        wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(row.tries, 16))
        row.done_at, row.not_before = (now, None) if done else (None, now + timedelta(seconds=wait))
        session.add(row)
    return True


def _next_removal(session: Session, now: datetime) -> tuple[ListRemoval, str | None] | None:
    """Give the next removal that may be tried, with the address, where its hash is still somebody's."""
    due = col(ListRemoval.not_before).is_(None) | (col(ListRemoval.not_before) <= now)
    found = (
        select(ListRemoval, Subscriber.email)
        .join(Consequence, col(Consequence.id) == col(ListRemoval.consequence_id))
        .join(AddressHash, col(AddressHash.hash) == col(Consequence.address_hash), isouter=True)
        .join(Subscriber, col(Subscriber.id) == col(AddressHash.subscriber_id), isouter=True)
        .where(col(ListRemoval.done_at).is_(None), due)
        .order_by(col(ListRemoval.id))
        .limit(1)
    )
    return session.exec(found).first()
