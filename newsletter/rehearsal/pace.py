"""How long a mailing takes by the publication's policy, from what a rehearsal without it measured. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from newsletter.delivery.pacing import cohort
from newsletter.delivery.policy import Policy


MINUTE = 60.0


@dataclass(frozen=True)
class Measured:
    """What a rehearsal at full speed measured: recipients by lane, the seconds from first call to last, the threads."""

    lanes: Mapping[str, int]
    seconds: float
    threads: int

    def seconds_alone(self, lane: str) -> float:
        """Tell how long a lane's requests would take one after the other."""
        recipients = sum(self.lanes.values())
        share = self.lanes.get(lane, 0) / recipients if recipients else 0.0
        return self.seconds * self.threads * share


@dataclass(frozen=True)
class Pace:
    """How long the calls take, and for how many readers.

    Attributes:
        seconds: From the first call to the last.
        bound_by: The term of the policy that sets it; empty: how fast requests are answered.
        mailed: Whom the warm-up lets the issue reach.
        left_over: Whom it does not.
    """

    seconds: float
    bound_by: str
    mailed: int
    left_over: int


def pace_of(policy: Policy, measured: Measured, *, today: date) -> Pace:
    """Tell how long it takes by a policy, on a day in the publication's zone.

    The terms run beside each other, so that the slowest counts; the look after the first wave is waited for on top.
    """
    recipients = sum(measured.lanes.values())
    limit = cohort(policy, today)
    mailed = recipients if limit is None else min(limit, recipients)
    share = mailed / recipients if recipients else 0.0
    slowest, bound_by = max((seconds * share, term) for term, seconds in _terms(policy, measured, recipients))
    looks = policy.first_wave and any(count * share > policy.first_wave for count in measured.lanes.values())
    seconds = slowest + (policy.look_minutes * MINUTE if looks else 0.0)
    return Pace(seconds, bound_by, mailed, recipients - mailed)


def _terms(policy: Policy, measured: Measured, recipients: int) -> list[tuple[str, float]]:
    terms = [("", measured.seconds)]
    if 0 < policy.requests_in_flight < measured.threads:
        terms.append(("requests_in_flight", measured.seconds * measured.threads / policy.requests_in_flight))
    terms += [
        (f"provider_requests_in_flight {lane}", measured.seconds_alone(lane) / most)
        for lane, most in policy.provider_requests_in_flight.items()
    ]
    if policy.recipients_per_second:
        terms.append(("recipients_per_second", recipients / policy.recipients_per_second))
    terms += [
        (f"provider_per_second {lane}", measured.lanes.get(lane, 0) / rate)
        for lane, rate in policy.provider_per_second.items()
    ]
    return terms
