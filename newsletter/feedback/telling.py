"""Telling: what operators must hear of the account, and of feedback itself. Beside ``surges``, which tells of mailings.

None of it is of one publication: the operators of each are told.
"""

from collections.abc import Collection, Mapping

from sqlmodel import Session, col, select

from newsletter.alerts import AlertKind, NewAlert, raise_alert
from newsletter.feedback.applying import Scene
from newsletter.feedback.models import FeedbackEventRow
from newsletter.providers.feedback import ACCOUNT_CHANGED
from newsletter.publications import Publication


_LONGEST_ABOUT = 100


def tell_of_account(session: Session, new_events: Collection[int], scene: Scene) -> None:
    """Tell of what the provider did to the account, as new events say: it may have stopped it."""
    changes = select(FeedbackEventRow).where(
        col(FeedbackEventRow.id).in_(new_events), FeedbackEventRow.said == ACCOUNT_CHANGED
    )
    for event in session.exec(changes.order_by(col(FeedbackEventRow.id))):
        facts = {"change": event.text or "?", "when": f"{event.at:%Y-%m-%d %H:%M} UTC"}
        _tell(session, AlertKind.account_changed, f"account: {event.text}", facts, scene)


def tell_of_stepped_over(session: Session, call_id: int, number: int, error: str, scene: Scene) -> None:
    """Tell of an event that could not be applied; more of them within the hour are counted on the first."""
    facts = {"call": str(call_id), "number": str(number), "error": error}
    _tell(session, AlertKind.event_stepped_over, "events", facts, scene)


def tell_of_lists(session: Session, doing: str, why: str, scene: Scene) -> None:
    """Tell that the provider's lists cannot be kept level, and why: a missing scope is named."""
    _tell(session, AlertKind.lists_refused, doing, {"doing": doing, "reason": why}, scene)


def _tell(session: Session, kind: AlertKind, about: str, facts: Mapping[str, str], scene: Scene) -> None:
    for publication_id in session.exec(select(Publication.id).order_by(col(Publication.id))):
        alert = NewAlert(kind, about[:_LONGEST_ABOUT], publication_id, bool(scene.live), facts)
        raise_alert(session, alert, now=scene.now)
