"""How long a mailing takes by its publication's policy: the slowest term counts."""

from datetime import date

import pytest

from newsletter.delivery.policy import Policy
from newsletter.rehearsal.pace import Measured, pace_of


DAY = date(2026, 11, 24)
MEASURED = Measured({"qq": 6000, "gmail": 3000, "other": 1000}, seconds=20.0, threads=4)


@pytest.mark.parametrize(
    ("said", "seconds", "bound_by"),
    [
        ({}, 20, ""),
        ({"recipients_per_second": 100}, 100, "recipients_per_second"),
        ({"recipients_per_second": 5000}, 20, ""),
        ({"provider_per_second": {"qq": 5, "gmail": 1000}}, 1200, "provider_per_second qq"),
        ({"provider_per_second": {"apple": 1}}, 20, ""),
        ({"requests_in_flight": 1}, 80, "requests_in_flight"),
        ({"requests_in_flight": 64}, 20, ""),
        ({"provider_requests_in_flight": {"qq": 1}}, 48, "provider_requests_in_flight qq"),
        ({"provider_requests_in_flight": {"qq": 3, "apple": 1}}, 20, ""),
        ({"first_wave": 500, "look_minutes": 30}, 1820, ""),
        ({"first_wave": 6000}, 20, ""),
    ],
)
def test_the_slowest_term_sets_the_pace(said, seconds, bound_by):
    pace = pace_of(Policy.model_validate(said), MEASURED, today=DAY)
    assert (pace.seconds, pace.bound_by, pace.mailed, pace.left_over) == (seconds, bound_by, 10_000, 0)


@pytest.mark.parametrize(
    ("begun", "mailed"),
    [(DAY, 500), (date(2026, 11, 18), 500), (date(2026, 11, 17), 2000), (date(2026, 11, 10), 10_000)],
)
def test_a_warm_up_lets_its_weeks_share_through(begun, mailed):
    policy = Policy(warm_up=(500, 2000), warm_up_from=begun, recipients_per_second=100)
    pace = pace_of(policy, MEASURED, today=DAY)
    assert (pace.mailed, pace.left_over, pace.seconds) == (mailed, 10_000 - mailed, mailed / 100)


def test_a_mailing_to_nobody_takes_no_time():
    pace = pace_of(Policy(recipients_per_second=1), Measured({}, 0.0, 4), today=DAY)
    assert (pace.seconds, pace.mailed) == (0, 0)
