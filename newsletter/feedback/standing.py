"""Standing: whether a consequence is to be applied, to wait, or is taken back already. After ``consequences``. Pure."""

from collections.abc import Sequence
from datetime import datetime

from newsletter.feedback.consequences import Decision
from newsletter.feedback.histories import Known, Surges, place_of
from newsletter.feedback.models import Consequence, ConsequenceState, SurgeDecision
from newsletter.providers.feedback import FeedbackKind


#: Consequences that were taken back, each with when its address was off the provider's list (``removals.removed_at``).
Undone = Sequence[tuple[Consequence, datetime | None]]


def state_now(
    decision: Decision, known: Known, row: Consequence | None, undone: Undone, surges: Surges
) -> ConsequenceState:
    """Tell where a consequence ought to stand."""
    if row is not None and (row.state is ConsequenceState.probing or row.undone_at is not None):
        return row.state
    # What stood beside another that was taken back still stands.
    is_new = row is None or row.state is ConsequenceState.undone
    if decision.is_excused or (is_new and any(_is_undone_by(*one, decision) for one in undone)):
        return ConsequenceState.undone
    places = [place_of(known.events[one.event_id]) for one in decision.bounces]
    verdicts = {surges[place] for place in places if place in surges}
    if None in verdicts:
        return ConsequenceState.quarantined
    return ConsequenceState.undone if SurgeDecision.dismissed in verdicts else ConsequenceState.applied


def _is_undone_by(row: Consequence, removed: datetime | None, decision: Decision) -> bool:
    """Tell whether the same was taken back after this event: its echoes must not bring it about again.

    SendGrid goes on saying it until the address is off its list.
    """
    same = (row.deed, row.reason, row.publication_id) == (
        decision.deed,
        decision.reason,
        decision.publication_id or 0,
    )
    if not same or row.undone_at is None:
        return False
    is_echo = decision.fact.kind in {FeedbackKind.dropped, FeedbackKind.listed}
    until = removed if is_echo and removed else row.undone_at
    return decision.fact.at <= until
