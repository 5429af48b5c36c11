"""What operators are told of the slot: that nothing will be mailed at its time, why, and what to do. Beside binding."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from newsletter.alerts import Alert, AlertKind, NewAlert, raise_alert
from newsletter.publications import Publication, zone_of


@dataclass(frozen=True)
class Unfilled:
    """An occurrence at which nothing will be mailed as things stand.

    Attributes:
        about: What the alert is of; the same is not told twice within an hour.
        at: The instant of the occurrence.
        reason: Why.
        issue_id: The issue that stands in the way, where it is one.
    """

    about: str
    at: datetime
    reason: str
    issue_id: int | None = None


def tell_unfilled(session: Session, publication: Publication, one: Unfilled, *, live: bool, now: datetime) -> None:
    """Have an operator told that nothing will be mailed at an occurrence."""
    following = (
        f"newsletter issue check {one.issue_id}; newsletter issue ready {one.issue_id}"
        if one.issue_id
        else "newsletter issue list; newsletter issue ready ID"
    )
    facts = {"when": local_time(one.at, publication), "reason": one.reason, "do": following}
    raise_alert(session, NewAlert(AlertKind.slot_empty, one.about, publication.id, live, facts), now=now)


def was_told(session: Session, publication: Publication, about: str, *, live: bool) -> datetime | None:
    """Tell when an operator was last told something of a publication's slot."""
    told = select(Alert.created_at).where(
        Alert.kind == AlertKind.slot_empty,
        Alert.about == about,
        Alert.publication_id == publication.id,
        col(Alert.live).is_(live),
    )
    return session.exec(told.order_by(col(Alert.id).desc())).first()


def local_time(instant: datetime, publication: Publication) -> str:
    """Write an instant as the publication's clocks show it."""
    return instant.astimezone(zone_of(publication)).strftime("%a %Y-%m-%d %H:%M %Z")
