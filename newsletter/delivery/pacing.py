"""Pacing: how fast a mailing goes, when it waits for SendGrid, when it stops by itself, and whom it may reach. Pure.

``openings`` keeps the pace, ``outage`` the circuit, ``waves`` sorts recipients into waves, and ``feedback.protection``
asks here whether a mailbox provider is held. Numbers without a source are our own choice, and said in docs/pace.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum

from newsletter.delivery.policy import Policy
from newsletter.providers.base import CallEnd, Ending


#: What was not used of a rate can be caught up for so long: dispatch threads look again each second only.
CATCH_UP = timedelta(seconds=1)


def next_time(not_before: datetime | None, recipients: int, per_second: float, now: datetime) -> datetime | None:
    """Tell when the next request may be claimed after one with so many recipients; nothing without a rate.

    In any time T at most ``per_second`` × (T + 1 s) recipients are claimed, and the last request of it.
    """
    if not per_second:
        return None
    start = max(not_before, now - CATCH_UP) if not_before else now
    return start + timedelta(seconds=recipients / per_second)


#: So many calls in a row without a certain answer, and the provider counts as away.
OPENS_AFTER = 5
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 15.0, 900.0
#: So many recipients at most try whether the provider is back: should nobody learn what became of them, they are few.
PROBE_SIZE = 10
TOO_MANY_REQUESTS = 429


def finds_away(end: CallEnd) -> bool:
    """Tell whether a call's end speaks for a provider that is away; any certain answer speaks against it.

    A 429, and a 503 that says for how long, come from a provider that is there. A call that was not made says nothing.
    """
    if not end.made:
        return False
    if end.ending is Ending.throttled:
        return end.status != TOO_MANY_REQUESTS and end.wait_seconds is None
    return end.ending in {Ending.never_left, Ending.ambiguous}


@dataclass(frozen=True)
class Circuit:
    """A mailing's circuit breaker: closed at rest, open while the provider is away, half-open for one probe at a time.

    Attributes:
        failures: How many calls in a row found the provider away.
        away_since: When the first of them ended.
        retry_at: No call before, and then one at a time; only set once it has opened.
    """

    failures: int = 0
    away_since: datetime | None = None
    retry_at: datetime | None = None

    def after(self, end: CallEnd, *, now: datetime, jitter: float = 1.0) -> "Circuit":
        """Give the circuit after a call has ended; a certain answer closes it, one that was not made says nothing.

        Waits grow with the time away (half of it, 15 s to 15 min), not with the failures: calls that were under way
        when it opened fail too, and must not make them longer.

        Args:
            end: How the call ended.
            now: When.
            jitter: Factor of the wait, from 1 to 1.25, so that not all come back at once.
        """
        if not end.made:
            return self
        if not finds_away(end):
            return Circuit()
        failures, since = self.failures + 1, self.away_since or now
        if failures < OPENS_AFTER:
            return Circuit(failures, since)
        away = (now - since).total_seconds()
        wait = min(LONGEST_RETRY_SECONDS, max(FIRST_RETRY_SECONDS, away / 2)) * jitter
        return Circuit(failures, since, now + timedelta(seconds=wait))

    def is_over(self, limit: timedelta, now: datetime) -> bool:
        """Tell whether the provider has been away for longer than a mailing waits."""
        return self.retry_at is not None and self.away_since is not None and now - self.away_since > limit


class Wave(IntEnum):
    """Which batches of a lane go when. The numbers are stored."""

    #: At once: everybody, or the sample of the first wave.
    first = 0
    #: Once the feedback on the first wave was looked at.
    rest = 1
    #: Beyond this week's warm-up: no lane opens it.
    later = 2


def cohort(policy: Policy, today: date) -> int | None:
    """Tell how many readers an issue may reach on a day of the warm-up; nothing once that is over, or without one."""
    if not policy.warm_up or policy.warm_up_from is None:
        return None
    week = max(0, (today - policy.warm_up_from).days // 7)
    return policy.warm_up[week] if week < len(policy.warm_up) else None


@dataclass(frozen=True)
class Counts:
    """What came back of the mails that a mailbox provider, or all of them, were handed."""

    accepted: int = 0
    hard: int = 0
    blocked: int = 0
    complained: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.accepted + other.accepted,
            self.hard + other.hard,
            self.blocked + other.blocked,
            self.complained + other.complained,
        )


@dataclass(frozen=True)
class Excess:
    """That a limit was passed: how many times over, and in words with the numbers."""

    times: float
    words: str


#: One bounce or complaint is a share above every line in a small lane, and says nothing.
FEWEST = 2


def excess(counts: Counts, policy: Policy) -> Excess | None:
    """Tell which limit is passed most, or nothing where all are kept."""
    measures = (
        (counts.hard, policy.hold_hard_share, "bounced hard"),
        (counts.blocked, policy.hold_blocked_share, "were blocked for our reasons"),
        (counts.complained, policy.hold_complaint_share, "were complained about"),
    )
    passed = [
        Excess(count / max(counts.accepted, 1) / limit, _in_words(count, counts.accepted, words, limit))
        for count, limit, words in measures
        if count >= FEWEST and count > limit * counts.accepted
    ]
    return max(passed, key=lambda one: one.times, default=None)


def _in_words(count: int, accepted: int, words: str, limit: float) -> str:
    return f"{count:,} of {accepted:,} mails {words} ({count / max(accepted, 1):.2%}; the limit is {limit:.2%})"


#: A lane that a person let go on is held again once it is so many times worse than what that person saw.
WORSE = 2.0


def is_over_the_bar(found: Excess | None, seen: float) -> bool:
    """Tell whether an excess holds a lane of which a person has already let pass what was ``seen`` (0: nothing)."""
    return found is not None and found.times > max(1.0, WORSE * seen)


def judge_first_wave(counts: Counts, policy: Policy, seen: float, *, heard: bool) -> Excess | None:
    """Tell why the rest of a lane must not follow its first wave, or nothing where it may.

    Args:
        counts: What came back of the first wave.
        policy: The limits.
        seen: The excess that a person has let pass.
        heard: Whether any event came at all: where none did, that nothing bounced says nothing.
    """
    found = _nothing_to_look_at(counts, heard=heard) or excess(counts, policy)
    return Excess(found.times, f"first wave: {found.words}") if found and is_over_the_bar(found, seen) else None


def _nothing_to_look_at(counts: Counts, *, heard: bool) -> Excess | None:
    """Tell why a person must look instead, as far above the limit as what that person then lets pass."""
    if not counts.accepted:
        return Excess(WORSE, "nothing of it was accepted")
    return None if heard else Excess(WORSE, "no feedback came (`newsletter doctor` looks at SendGrid's event webhook)")


@dataclass(frozen=True)
class Judgement:
    """Which lanes are held, each with what was found; ``of_all`` where the mailing as a whole is the reason."""

    lanes: Mapping[str, Excess]
    of_all: Excess | None = None


def judge(counts: Mapping[str, Counts], policy: Policy, seen: Mapping[str, float]) -> Judgement:
    """Judge a mailing once enough of it were accepted: which of the lanes in ``seen`` are held.

    Args:
        counts: What came back, by lane.
        policy: The limits.
        seen: The lanes in question, each with the excess that a person has let pass.
    """
    total = sum(counts.values(), Counts())
    if total.accepted < policy.hold_after:
        return Judgement({})
    of_all = excess(total, policy)
    held: dict[str, Excess] = {}
    for lane, let_pass in seen.items():
        own = excess(counts.get(lane, Counts()), policy)
        if is_over_the_bar(of_all, let_pass) and of_all:
            held[lane] = Excess(of_all.times, f"all mailbox providers together: {of_all.words}")
        elif is_over_the_bar(own, let_pass) and own:
            held[lane] = own
    return Judgement(held, of_all if any(is_over_the_bar(of_all, one) for one in seen.values()) else None)
