"""Levelling: what was done is brought level with what ought to be, an address at a time. After ``consequences``.

What ought to be is decided over the whole history, so a later event can also take something back: a pause after four
soft bounces in a row is none where a late event says that the mail in between arrived.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlmodel import Session, select

from newsletter.feedback.alone import alone
from newsletter.feedback.applying import Scene, carry_out, revert
from newsletter.feedback.consequences import Decision, decide
from newsletter.feedback.histories import Known, Surges, histories, limits_of_all
from newsletter.feedback.lifts import note_lifts
from newsletter.feedback.models import Consequence, ConsequenceState, Surge
from newsletter.feedback.pardons import Key
from newsletter.feedback.removals import order_removal
from newsletter.feedback.standing import STANDS, state_now
from subscribers.addresses import parse_address


#: A surge may touch more addresses than a statement can name.
_AT_ONCE = 500


def bring_level(session: Session, address_hashes: Collection[str], scene: Scene) -> int:
    """Bring the consequences of these addresses level with what was said of them; tell how many changed."""
    limits = limits_of_all(session)
    surges = {(row.mailing_id, row.provider): row.decision for row in session.exec(select(Surge))}
    changes = 0
    hashes = sorted(address_hashes)
    for some in (hashes[first : first + _AT_ONCE] for first in range(0, len(hashes), _AT_ONCE)):
        note_lifts(session, some)
        for _, known in sorted(histories(session, some, surges).items()):
            changes += _Level(session, known, surges, scene).bring(decide(known.history, limits))
    return changes


def follow_lift(session: Session, address: str, scene: Scene) -> None:
    """Have the provider follow where a reader has come back, or an operator has lifted a suppression.

    Whoever applies feedback finds it out in any case, but only by the mail that the provider drops.
    """
    alone(session)
    bring_level(session, list(scene.hasher.hashes(parse_address(address).key).values()), scene)


@dataclass(frozen=True)
class _Level:
    """What one address is brought level with."""

    session: Session
    known: Known
    surges: Surges
    scene: Scene

    def bring(self, decisions: Collection[Decision]) -> int:
        """Do what ought to be and is not done, and take back what ought not to be; tell how much that was."""
        standing: set[int] = set()
        changes = 0
        # An echo stands and falls with what it says again.
        for decision in sorted(decisions, key=lambda one: one.is_echo):
            row = self.known.done.get(_key(decision))
            state = state_now(decision, row, self.known, self.surges, standing)
            if state in STANDS and not decision.is_echo:
                standing.add(decision.fact.event_id)
            changes += self._move(row, decision, state)
        return changes + self._take_away({_key(one) for one in decisions})

    def _move(self, row: Consequence | None, decision: Decision, state: ConsequenceState) -> int:
        if row is None:
            row = self._begun(decision, state)
        elif row.state is state:
            return 0
        elif row.state is ConsequenceState.applied:
            self._revert(row)
        row.state = state
        self.session.add(row)
        self.session.flush()
        event = self.known.events[row.event_id]
        if state is ConsequenceState.applied:
            carry_out(self.session, row, event, self.scene)
        if state is ConsequenceState.undone:
            order_removal(self.session, row, event)
        return 1

    def _begun(self, decision: Decision, state: ConsequenceState) -> Consequence:
        event = self.known.events[decision.fact.event_id]
        return Consequence(
            event_id=event.id,
            deed=decision.deed,
            reason=decision.reason,
            publication_id=decision.publication_id or 0,
            address_hash=event.address_hash,
            subscriber_id=event.subscriber_id or self.known.subscriber_id,
            state=state,
            at=self.scene.now,
        )

    def _take_away(self, ought: Collection[Key]) -> int:
        """Take back what has lost its ground. What was taken back already stays so."""
        lost = [row for key, row in self.known.done.items() if key not in ought]
        gone = [row for row in lost if row.state is not ConsequenceState.undone]
        for row in gone:
            if row.state is ConsequenceState.applied:
                self._revert(row)
            self.session.delete(row)
            self.session.flush()
        return len(gone)

    def _revert(self, row: Consequence) -> None:
        revert(self.session, row, by=self.scene.by, now=self.scene.now)


def _key(decision: Decision) -> Key:
    return decision.fact.event_id, decision.deed, decision.reason or "", decision.publication_id or 0
