"""The states of mailings and batches, and what follows the end of a call. Pure: the tables of DESIGN §5 as data.

Every change of a state in the database is a compare-and-swap whose ``from`` states come from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from newsletter.providers.base import Ending


class MailingState(StrEnum):
    """Where a mailing is. Paused by a person, held by a rule, halted by an error that stops everything."""

    draft = "draft"
    scheduled = "scheduled"
    freezing = "freezing"
    running = "running"
    finished = "finished"
    paused = "paused"
    held = "held"
    halted = "halted"
    cancelled = "cancelled"


class BatchState(StrEnum):
    """Where a batch is. Between ``submitting`` and the answer nobody may assume anything."""

    ready = "ready"
    claimed = "claimed"
    submitting = "submitting"
    accepted = "accepted"
    retry_wait = "retry_wait"
    unknown = "unknown"
    rejected = "rejected"
    split = "split"  # type: ignore[assignment]  # the word of the ledger, though str has a method of that name
    cancelled = "cancelled"
    given_up = "given_up"


class Difference(StrEnum):
    """What sets a delivery apart from its batch."""

    skipped = "skipped"
    rejected = "rejected"
    moved = "moved"
    proven = "proven"


#: From which states a mailing may come into a state.
MAILING_COMES_FROM: Mapping[MailingState, frozenset[MailingState]] = {
    MailingState.scheduled: frozenset({MailingState.draft}),
    MailingState.freezing: frozenset(
        {MailingState.scheduled, MailingState.paused, MailingState.held, MailingState.halted}
    ),
    MailingState.running: frozenset(
        {MailingState.freezing, MailingState.paused, MailingState.held, MailingState.halted}
    ),
    MailingState.finished: frozenset({MailingState.running, MailingState.held}),
    # One that is paused, held or halted while it freezes goes on freezing.
    MailingState.paused: frozenset({MailingState.running, MailingState.freezing}),
    # Before it runs it is held where it comes too late, was prepared too long ago, or was meant for the other side of
    # NOT LIVE.
    MailingState.held: frozenset({MailingState.running, MailingState.scheduled, MailingState.freezing}),
    # A mailing that cannot be frozen or rendered halts too: nothing has left yet, and an operator must look.
    MailingState.halted: frozenset({MailingState.running, MailingState.freezing, MailingState.held}),
    MailingState.cancelled: frozenset(
        {
            MailingState.draft,
            MailingState.scheduled,
            MailingState.freezing,
            MailingState.running,
            MailingState.paused,
            MailingState.held,
            MailingState.halted,
        }
    ),
}

#: From which states a batch may come into a state.
BATCH_COMES_FROM: Mapping[BatchState, frozenset[BatchState]] = {
    BatchState.claimed: frozenset({BatchState.ready, BatchState.retry_wait}),
    # A crash in `claimed` is safe to retry: the call had not begun. From `unknown` by settlement or late repair.
    BatchState.ready: frozenset({BatchState.claimed, BatchState.submitting, BatchState.unknown}),
    BatchState.submitting: frozenset({BatchState.claimed}),
    # Also by a proof of any attempt, which stops one that was to follow it. Nothing that came later can contradict a
    # proof; only of a batch that was split nobody is left in it.
    BatchState.accepted: frozenset(BatchState) - {BatchState.accepted, BatchState.split},
    # The late repair: the worker that made the attempt learns its end after the sweep took it for dead.
    BatchState.retry_wait: frozenset({BatchState.submitting, BatchState.unknown}),
    BatchState.unknown: frozenset({BatchState.submitting}),
    BatchState.rejected: frozenset({BatchState.submitting, BatchState.unknown}),
    BatchState.split: frozenset({BatchState.submitting, BatchState.unknown}),
    # Nobody was left to mail at the last look.
    BatchState.cancelled: frozenset({BatchState.claimed, BatchState.ready, BatchState.retry_wait}),
    BatchState.given_up: frozenset({BatchState.unknown}),
}

#: States in which a batch will still be worked on.
AT_WORK = frozenset({BatchState.ready, BatchState.claimed, BatchState.submitting, BatchState.retry_wait})


@dataclass(frozen=True)
class Consequence:
    """What an ended call means for its batch.

    ``divides`` puts whom the provider did not name into smaller batches; ``halts`` stops the whole mailing; ``tells``
    is set where an operator must hear of it.
    """

    state: BatchState
    waits: bool = False
    divides: bool = False
    halts: bool = False
    tells: bool = False


#: The class table of DESIGN §5, one row an ending.
CONSEQUENCES: Mapping[Ending, Consequence] = {
    Ending.never_left: Consequence(BatchState.ready, waits=True),
    Ending.accepted: Consequence(BatchState.accepted),
    Ending.throttled: Consequence(BatchState.retry_wait, waits=True),
    Ending.recipients_refused: Consequence(BatchState.split, divides=True),
    Ending.too_large: Consequence(BatchState.split, divides=True),
    Ending.unauthorised: Consequence(BatchState.ready, halts=True, tells=True),
    Ending.ambiguous: Consequence(BatchState.unknown, tells=True),
    Ending.refused: Consequence(BatchState.rejected, tells=True),
}


def consequence_of(ending: Ending, *, size: int) -> Consequence:
    """Tell what an ended call means for its batch.

    Args:
        ending: How the call ended.
        size: How many recipients the request had; one alone cannot be divided and is rejected instead.
    """
    row = CONSEQUENCES[ending]
    return CONSEQUENCES[Ending.refused] if row.divides and size == 1 else row


FIRST_WAIT_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 300.0
LONGEST_ASKED_SECONDS = 3600.0


def wait_seconds(tries: int, asked: float | None) -> float:
    """Tell how long a batch waits before its next try, in seconds.

    Args:
        tries: How many tries have ended without success, this one included.
        asked: What the provider asked for, which is honoured up to an hour.
    """
    if not asked:
        # Also where the limit is said to be reset already: our clock may be ahead of the provider's.
        return min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(tries - 1, 16))
    return min(LONGEST_ASKED_SECONDS, max(FIRST_WAIT_SECONDS, asked))


def conclusion(batches: Mapping[BatchState, int], *, in_held_lanes: int = 0, for_later: int = 0) -> MailingState | None:
    """Tell how a running mailing ends, given how many batches are in each state; nothing while work is left.

    A mailing with unknown outcomes is held: a person or a proof must decide what became of them. So is one whose work
    all waits in held lanes. What is left for later weeks of a warm-up is work until another mailing takes its place.

    Args:
        batches: How many batches are in each state.
        in_held_lanes: How many of those at work wait in lanes that are held.
        for_later: How many others of those at work wait beyond this week's warm-up.
    """
    if sum(batches.get(state, 0) for state in AT_WORK) > in_held_lanes + for_later:
        return None
    if in_held_lanes or batches.get(BatchState.unknown):
        return MailingState.held
    return None if for_later else MailingState.finished
