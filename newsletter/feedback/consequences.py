"""What follows from what was said of an address: the policy of docs/feedback.md, decided over all facts at once. Pure.

``decide`` looks at the whole history and not at the newest event: so it gives the same whatever order the events came
in. ``levelling`` compares what it gives with what was done.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby

from newsletter.feedback.models import Deed
from newsletter.feedback.outcomes import OUR_FAULTS, BounceClass
from newsletter.providers.feedback import FeedbackKind
from subscribers.models import SuppressionReason


@dataclass(frozen=True)
class Limits:
    """A publication's limits; the defaults are for a weekly issue, with what peers do beside them in docs/feedback.md.

    Attributes:
        soft_issues: After so many issues in a row that bounced softly the address is paused; 4 are a month.
        disabled_issues: After so many issues in a row to a mailbox that is closed it is given up.
        probe_days: After so many days of pause one issue tries the address again.
        surge_share: A larger share of one provider's mails that bounced is a surge.
        surge_bounces: So many bounces are needed for one, however large their share.
        complaint_share: A larger share of complaints is told to the operator; Gmail's line is 0.1 %.
    """

    soft_issues: int = 4
    disabled_issues: int = 2
    probe_days: int = 30
    surge_share: float = 0.05
    surge_bounces: int = 20
    complaint_share: float = 0.001


#: What SendGrid drops, by the reason it gives (case aside), and what its lists say of an address.
_CAUSES: Mapping[str, SuppressionReason] = {
    "bounced address": SuppressionReason.hard_bounce,
    "spam reporting address": SuppressionReason.complaint,
    "unsubscribed address": SuppressionReason.unsubscribed,
    "invalid": SuppressionReason.invalid,
    "invalid address": SuppressionReason.invalid,
    "bounces": SuppressionReason.hard_bounce,
    "spam_reports": SuppressionReason.complaint,
    "unsubscribes": SuppressionReason.unsubscribed,
    "invalid_emails": SuppressionReason.invalid,
}


#: The bounces that count one an issue.
COUNTED = frozenset({BounceClass.soft, BounceClass.disabled})


def cause_of(said: str) -> SuppressionReason | None:
    """Tell for which reason the provider itself holds an address back; nothing where the mail was at fault."""
    return _CAUSES.get(said.strip().lower())


@dataclass(frozen=True, order=True)
class Fact:
    """One event of an address, as far as it decides anything.

    Attributes:
        at: When it happened.
        mark: What tells it from others of the same second, whatever order they came in.
        event_id: Our row of it.
        publication_id: Of which publication the mail was; nothing where that is not known.
        mailing_id: Of which mailing; a higher number is a later one.
        cause: For which reason the provider holds the address back, where it does.
        bounce_class: What a bounce means; where an address is listed, what the words there mean.
        is_dismissed: Whether it belongs to a surge of which an operator said that nobody is to blame.
    """

    at: datetime
    event_id: int = field(compare=False)
    kind: FeedbackKind = field(compare=False)
    publication_id: int | None = field(default=None, compare=False)
    mailing_id: int | None = field(default=None, compare=False)
    bounce_class: BounceClass | None = field(default=None, compare=False)
    cause: SuppressionReason | None = field(default=None, compare=False)
    mark: str = ""
    is_dismissed: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Pardon:
    """That a hand took back what an event had led to: an operator's, or the reader's by signing up once more.

    Attributes:
        event_id: Which event it was that is not held against the address any more.
        cause: Which of the provider's lists it is of (``removals.cause_of``); nothing where it is of none.
        until: Nothing that happened until then leads to the same.
        echoes_until: Nor what the provider says again until then: it does so until the address is off its list.
    """

    event_id: int
    deed: Deed
    reason: SuppressionReason | None
    publication_id: int
    cause: SuppressionReason | None
    until: datetime
    echoes_until: datetime


@dataclass(frozen=True)
class History:
    """All that is known of one address.

    Attributes:
        facts: Its events that can have consequences.
        delivered: The mailings that reached it.
        pardons: What was taken back.
    """

    facts: Sequence[Fact]
    delivered: frozenset[int] = frozenset()
    pardons: Sequence[Pardon] = ()


@dataclass(frozen=True)
class Decision:
    """Something that ought to be, because of one event.

    Attributes:
        publication_id: Where it holds; nothing: everywhere.
        bounces: What it rests on: it waits while one of these is part of a surge that nobody has decided.
        ground: What an echo says again: it stands and falls with that.
        is_excused: Whether the provider holds back for less than what we hold back for: then it must not.
    """

    fact: Fact
    deed: Deed
    reason: SuppressionReason | None
    publication_id: int | None = None
    bounces: tuple[Fact, ...] = ()
    ground: Fact | None = None
    is_excused: bool = False

    @property
    def is_echo(self) -> bool:
        """Whether the provider only says again that it holds the address back."""
        return self.fact.kind in {FeedbackKind.dropped, FeedbackKind.listed}


def decide(history: History, limits: Mapping[int, Limits]) -> tuple[Decision, ...]:
    """Tell what ought to be, given everything that was said of an address.

    Args:
        history: What was said, in any order.
        limits: Those of each publication; the defaults where there are none.
    """
    facts = sorted(history.facts)
    decisions: list[Decision] = []
    for publication_id, mine in _by_publication(_counted(facts, history.pardons)):
        of_it = limits.get(publication_id, Limits())
        decisions += _closed(mine, history.delivered, of_it.disabled_issues)
        decisions += _tired(mine, history.delivered, of_it)
    given_up = [one for one in decisions if one.reason is SuppressionReason.hard_bounce]
    decisions += [one for fact in facts for one in _at_once(fact, facts, given_up)]
    return tuple(decisions)


def _at_once(fact: Fact, facts: Sequence[Fact], given_up: Sequence[Decision]) -> Iterator[Decision]:
    """Give what a single event leads to by itself."""
    match fact.kind:
        case FeedbackKind.complained:
            yield Decision(fact, Deed.suppress, SuppressionReason.complaint)
            yield Decision(fact, Deed.leave, None)
        case FeedbackKind.unsubscribed:
            yield Decision(fact, Deed.leave, None, fact.publication_id)
        case FeedbackKind.bounced if fact.bounce_class is BounceClass.hard:
            yield Decision(fact, Deed.suppress, SuppressionReason.hard_bounce, bounces=(fact,))
        case FeedbackKind.dropped | FeedbackKind.listed if fact.cause:
            yield _echo(fact, fact.cause, facts, given_up)


#: Between the time of a bounce and the one under which SendGrid's list has it.
_CLOCKS_DIFFER = timedelta(hours=1)


#: What the provider says again when it holds an address back for a reason.
_SAID_BEFORE: Mapping[SuppressionReason, FeedbackKind] = {
    SuppressionReason.hard_bounce: FeedbackKind.bounced,
    SuppressionReason.complaint: FeedbackKind.complained,
    SuppressionReason.unsubscribed: FeedbackKind.unsubscribed,
}


def _echo(fact: Fact, cause: SuppressionReason, facts: Sequence[Fact], given_up: Sequence[Decision]) -> Decision:
    """Weigh what the provider says again no heavier than what it said first."""
    kind = _SAID_BEFORE.get(cause)
    before = [one for one in facts if one.kind is kind and one.at <= fact.at + _CLOCKS_DIFFER]
    again = Decision(fact, Deed.suppress, cause, ground=before[-1] if before else None)
    return _echo_of_bounce(again, given_up) if cause is SuppressionReason.hard_bounce else again


def _echo_of_bounce(again: Decision, given_up: Sequence[Decision]) -> Decision:
    """Weigh what SendGrid makes of any bounce at once: it knows of no surge, no fault of ours and no second time."""
    bounce = again.ground
    if bounce is None:
        # The bounce was not told here: what is listed has its words.
        return replace(again, is_excused=again.fact.bounce_class in OUR_FAULTS)
    if bounce.bounce_class in COUNTED and bounce.publication_id is not None:
        # Since the address was given up for bounces of its own, the provider may say so.
        if heavier := next((one for one in given_up if not bounce < one.fact), None):
            return replace(again, ground=heavier.fact, bounces=heavier.bounces)
        return replace(again, bounces=(bounce,), is_excused=True)
    return replace(again, bounces=(bounce,), is_excused=bounce.bounce_class in OUR_FAULTS)


def _counted(facts: Sequence[Fact], pardons: Sequence[Pardon]) -> list[Fact]:
    """Give the bounces that count one an issue: not what a surge was dismissed for, nor what was taken back."""
    bounces = {
        fact.event_id: fact
        for fact in facts
        if fact.kind is FeedbackKind.bounced and fact.bounce_class in COUNTED and not fact.is_dismissed
    }
    taken_back = [(one, bounces[one.event_id]) for one in pardons if one.event_id in bounces]
    return [one for one in bounces.values() if not any(_has_carried(one, *back) for back in taken_back)]


def _has_carried(bounce: Fact, pardon: Pardon, last: Fact) -> bool:
    """Tell whether a consequence that was taken back rested on a bounce; ``last`` is the one that brought it about."""
    carries = pardon.reason is SuppressionReason.soft_bounces or bounce.bounce_class is BounceClass.disabled
    return carries and bounce.publication_id == last.publication_id and bounce.at <= pardon.until


def _by_publication(counted: Iterable[Fact]) -> Iterator[tuple[int, list[Fact]]]:
    """Give the bounces that count of each publication's mailings, one a mailing, the earliest mailing first."""
    ours = [fact for fact in counted if fact.publication_id is not None and fact.mailing_id is not None]
    # Of several in one mailing the worst counts, and of those the first.
    ours.sort(key=lambda fact: (fact.publication_id, fact.mailing_id, fact.bounce_class is BounceClass.soft, fact))
    for publication_id, mine in groupby(ours, key=lambda fact: fact.publication_id or 0):
        yield publication_id, [next(of_one) for _, of_one in groupby(mine, key=lambda fact: fact.mailing_id)]


def _closed(facts: Sequence[Fact], delivered: frozenset[int], limit: int) -> Iterator[Decision]:
    """Give up a mailbox that was closed for so many issues in a row."""
    row = _last_row([fact for fact in facts if fact.bounce_class is BounceClass.disabled], delivered)[:limit]
    if len(row) == limit:
        yield Decision(row[-1], Deed.suppress, SuppressionReason.hard_bounce, bounces=tuple(row))


def _tired(facts: Sequence[Fact], delivered: frozenset[int], limits: Limits) -> Iterator[Decision]:
    """Pause an address that bounced softly for so many issues in a row; give it up where the probe bounces too."""
    row = _last_row(facts, delivered)
    if len(row) < limits.soft_issues:
        return
    paused, reason = row[: limits.soft_issues], SuppressionReason.soft_bounces
    last = paused[-1]
    yield Decision(last, Deed.pause, reason, last.publication_id, tuple(paused))
    # What was under way when the pause began is no probe.
    probed_from = last.at + timedelta(days=limits.probe_days) - _ABOUT
    if probe := next((one for one in row[limits.soft_issues :] if one.at >= probed_from), None):
        yield Decision(probe, Deed.suppress, reason, probe.publication_id, (*paused, probe))


#: The pause begins by our clock, and bounces are dated by SendGrid's.
_ABOUT = timedelta(days=1)


def _last_row(facts: Sequence[Fact], delivered: frozenset[int]) -> list[Fact]:
    """Give the bounces since the last delivery that lies between or after them."""
    row: list[Fact] = []
    for fact in facts:
        mailing = fact.mailing_id or 0
        if row and any((row[-1].mailing_id or 0) < reached < mailing for reached in delivered):
            row = []
        row.append(fact)
    return [] if row and any(reached > (row[-1].mailing_id or 0) for reached in delivered) else row
