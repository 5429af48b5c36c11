"""Standing: whether a consequence is to be applied, to wait, or is taken back already. After ``consequences``. Pure."""

from collections.abc import Collection

from newsletter.feedback.consequences import Decision, Pardon
from newsletter.feedback.histories import Known, Surges, place_of
from newsletter.feedback.models import Consequence, ConsequenceState, SurgeDecision


#: What can be taken back.
STANDS = frozenset({ConsequenceState.applied, ConsequenceState.quarantined, ConsequenceState.probing})


def state_now(
    decision: Decision, row: Consequence | None, known: Known, surges: Surges, standing: Collection[int]
) -> ConsequenceState:
    """Tell where a consequence ought to stand.

    Args:
        decision: What ought to be.
        row: What was done of it, where something was.
        known: What is known of the address.
        surges: Every surge.
        standing: The events of which something stands that is no echo.
    """
    if row is not None and (row.state is ConsequenceState.probing or row.undone_at is not None):
        return row.state
    if decision.is_excused or any(_is_pardoned(decision, row, one, standing) for one in known.history.pardons):
        return ConsequenceState.undone
    places = [place_of(known.events[one.event_id]) for one in decision.bounces]
    verdicts = {surges[place] for place in places if place in surges}
    if None in verdicts:
        return ConsequenceState.quarantined
    return ConsequenceState.undone if SurgeDecision.dismissed in verdicts else ConsequenceState.applied


def _is_pardoned(decision: Decision, row: Consequence | None, pardon: Pardon, standing: Collection[int]) -> bool:
    """Tell whether what was taken back is this, or the same of the time before."""
    # What stood beside another that was taken back still stands.
    is_new = row is None or row.state is ConsequenceState.undone
    if decision.is_echo:
        falls = is_new if decision.ground is None else decision.ground.event_id not in standing
        return falls and decision.reason is pardon.cause and decision.fact.at <= pardon.echoes_until
    same = (pardon.deed, pardon.reason, pardon.publication_id) == (
        decision.deed,
        decision.reason,
        decision.publication_id or 0,
    )
    return same and decision.fact.at <= pardon.until and (is_new or pardon.event_id == decision.fact.event_id)
