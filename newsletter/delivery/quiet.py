"""The quiet time of a request whose outcome nobody knows: how long its events could have come, and did not. Pure.

Silence proves something only while others are heard: where no events come at all, the way they come is broken, and
waiting teaches nothing (DESIGN §4.4). After ``hearing``, which knows when events came; before ``settlement``.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta


#: Between two arrivals no more than this counts; a longer gap is no sign that events would have come in it.
LONGEST_GAP = timedelta(hours=1)


def quiet_time(since: datetime, arrivals: Iterable[datetime], *, longest_gap: timedelta = LONGEST_GAP) -> timedelta:
    """Tell how much quiet time has passed for a request.

    Args:
        since: When its call ended.
        arrivals: When events about other requests came; in any order.
        longest_gap: How much of the time between two arrivals counts at most.

    Returns:
        Never more than the time from ``since`` to the last arrival: after that nothing counts.
    """
    passed, last = timedelta(), since
    for arrival in sorted(one for one in arrivals if one > since):
        passed += min(arrival - last, longest_gap)
        last = arrival
    return passed
