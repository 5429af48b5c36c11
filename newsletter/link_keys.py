"""The link keys of a store, by their ids: with others every link in the mails of a quarter would be dead.

Checked before ``serve`` starts, as the peppers are. A key that was replaced may go once no link that it signed works
any more.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Column, String, delete, update
from sqlmodel import Field, Session, SQLModel, col, select

from newsletter.errors import Misconfigured
from subscribers.bulk import insert_missing


#: The longest that a signed link works: reading a mail on the web (``signing.LIFETIMES``).
LINKS_LIVE = timedelta(days=90)


class LinkKey(SQLModel, table=True):
    """A key that links of this store were signed with, by its id."""

    __tablename__ = "link_key"

    id: str = Field(sa_column=Column(String(8), primary_key=True))
    created_at: datetime
    #: Since when another key signs.
    replaced_at: datetime | None = None


def required_link_keys(session: Session, *, now: datetime) -> frozenset[str]:
    """Give the ids of the keys with which links were signed that still work."""
    works = col(LinkKey.replaced_at).is_(None) | (col(LinkKey.replaced_at) > now - LINKS_LIVE)
    return frozenset(session.exec(select(LinkKey.id).where(works)))


def require_same_link_keys(session: Session, key_ids: Sequence[str], *, now: datetime) -> None:
    """Refuse to go on where a key is missing with which links were signed that still work.

    Args:
        session: The store.
        key_ids: The ids of the keys at hand, the oldest first.
        now: The time in UTC.

    Raises:
        Misconfigured: The sentence names the ids that are missing.
    """
    if missing := required_link_keys(session, now=now) - set(key_ids):
        raise Misconfigured(
            f"link keys are missing that signed links in mails: {', '.join(sorted(missing))}. Bring back the "
            "file `link-key` or NEWSLETTER_LINK_KEY that belongs to this store. If a key was taken away on purpose, "
            "`newsletter init --forget-link-keys` lets its links die"
        )


def note_link_keys(session: Session, key_ids: Sequence[str], *, now: datetime) -> None:
    """Note the keys at hand; the last of them signs from now on."""
    insert_missing(session, LinkKey, [{"id": one, "created_at": now} for one in key_ids])
    older = (col(LinkKey.id) != key_ids[-1]) & col(LinkKey.replaced_at).is_(None)
    session.execute(update(LinkKey).where(older).values(replaced_at=now))
    session.execute(update(LinkKey).where(col(LinkKey.id) == key_ids[-1]).values(replaced_at=None))


def keep_link_keys(session: Session, key_ids: Sequence[str]) -> None:
    """Keep these keys and forget every other: the links that those signed are dead."""
    session.execute(delete(LinkKey).where(col(LinkKey.id).not_in(key_ids)))
