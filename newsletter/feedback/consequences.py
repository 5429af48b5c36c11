"""What follows from what was said of an address: the policy of docs/feedback.md, decided over all facts at once. Pure.

``decide`` looks at the whole history and not at the newest event: so it gives the same whatever order the events came
in. ``applying`` compares what it gives with what was done.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
class History:
    """All that is known of one address.

    Attributes:
        facts: Its events that can have consequences.
        delivered: The mailings that reached it.
    """

    facts: Sequence[Fact]
    delivered: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Decision:
    """Something that ought to be, because of one event.

    Attributes:
        publication_id: Where it holds; nothing: everywhere.
        bounces: What it rests on: it waits while one of these is part of a surge that nobody has decided.
        is_excused: Whether the provider holds back for a bounce that was our fault: then it must not.
    """

    fact: Fact
    deed: Deed
    reason: SuppressionReason | None
    publication_id: int | None = None
    bounces: tuple[Fact, ...] = ()
    is_excused: bool = False


def decide(history: History, limits: Mapping[int, Limits]) -> tuple[Decision, ...]:
    """Tell what ought to be, given everything that was said of an address.

    Args:
        history: What was said, in any order.
        limits: Those of each publication; the defaults where there are none.
    """
    facts = sorted(history.facts)
    bounces = [fact for fact in facts if fact.kind is FeedbackKind.bounced]
    decisions = [one for fact in facts for one in _at_once(fact, bounces)]
    for publication_id, mine in _by_publication(bounces):
        of_it = limits.get(publication_id, Limits())
        decisions += _closed(mine, history.delivered, of_it.disabled_issues)
        decisions += _tired(mine, history.delivered, of_it)
    return tuple(decisions)


def _at_once(fact: Fact, bounces: Sequence[Fact]) -> Iterator[Decision]:
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
            yield _echo(fact, fact.cause, bounces)


#: Between the time of a bounce and the one under which SendGrid's list has it.
_CLOCKS_DIFFER = timedelta(hours=1)


def _echo(fact: Fact, cause: SuppressionReason, bounces: Sequence[Fact]) -> Decision:
    """Weigh what the provider says again of a bounce no heavier than that bounce: SendGrid knows of no surge."""
    before = [one for one in bounces if one.at <= fact.at + _CLOCKS_DIFFER]
    if cause is not SuppressionReason.hard_bounce or not before:
        return Decision(fact, Deed.suppress, cause)
    return Decision(fact, Deed.suppress, cause, bounces=(before[-1],), is_excused=before[-1].bounce_class in OUR_FAULTS)


def _by_publication(bounces: Sequence[Fact]) -> Iterator[tuple[int, list[Fact]]]:
    """Give the bounces that count of each publication's mailings, one a mailing, the earliest mailing first."""
    counted = [
        fact
        for fact in bounces
        if fact.bounce_class in COUNTED
        and not fact.is_dismissed
        and fact.publication_id is not None
        and fact.mailing_id is not None
    ]
    # Of several in one mailing the worst counts, and of those the first.
    counted.sort(key=lambda fact: (fact.publication_id, fact.mailing_id, fact.bounce_class is BounceClass.soft, fact))
    for publication_id, mine in groupby(counted, key=lambda fact: fact.publication_id or 0):
        yield publication_id, [next(of_one) for _, of_one in groupby(mine, key=lambda fact: fact.mailing_id)]


def _closed(facts: Sequence[Fact], delivered: frozenset[int], limit: int) -> Iterator[Decision]:
    """Give up a mailbox that was closed for so many issues in a row."""
    row = _last_row([fact for fact in facts if fact.bounce_class is BounceClass.disabled], delivered)
    for number in range(limit, len(row) + 1):
        yield Decision(row[number - 1], Deed.suppress, SuppressionReason.hard_bounce, bounces=tuple(row[:number]))


def _tired(facts: Sequence[Fact], delivered: frozenset[int], limits: Limits) -> Iterator[Decision]:
    """Pause an address that bounced softly for so many issues in a row; give it up where the probe bounces too."""
    row = _last_row(facts, delivered)
    probed_from = timedelta(days=limits.probe_days) - _ABOUT
    for number in range(limits.soft_issues, len(row) + 1):
        fact, first = row[number - 1], row[limits.soft_issues - 1]
        deed = Deed.pause if fact is first else Deed.suppress
        # What was under way when the pause began is no probe.
        if fact is first or fact.at >= first.at + probed_from:
            reason = SuppressionReason.soft_bounces
            yield Decision(fact, deed, reason, fact.publication_id, bounces=tuple(row[:number]))


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
