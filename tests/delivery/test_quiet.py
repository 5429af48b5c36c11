"""Quiet time passes only while others are heard."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as some

from newsletter.delivery.quiet import LONGEST_GAP, quiet_time


THEN = datetime(2026, 11, 23, tzinfo=UTC)
MOMENTS = some.integers(-(10**5), 10**6).map(lambda seconds: THEN + timedelta(seconds=seconds))
ARRIVALS = some.lists(MOMENTS, max_size=50)


def hours(*moments: float) -> list[datetime]:
    return [THEN + timedelta(hours=one) for one in moments]


def test_nothing_passes_while_nobody_is_heard():
    assert quiet_time(THEN, []) == timedelta()
    assert quiet_time(THEN, hours(-3, -2, 0)) == timedelta()


def test_events_close_together_let_all_the_time_between_them_pass():
    assert quiet_time(THEN, hours(0.5, 1, 1.75)) == timedelta(hours=1.75)


def test_of_a_long_silence_an_hour_counts():
    assert quiet_time(THEN, hours(48)) == timedelta(hours=1)
    assert quiet_time(THEN, hours(0.5, 48, 48.25)) == timedelta(hours=1.75)


@given(ARRIVALS)
def test_no_more_passes_than_time_did_nor_than_an_hour_an_arrival(arrivals):
    after = {one for one in arrivals if one > THEN}
    passed = quiet_time(THEN, arrivals)
    assert timedelta() <= passed <= min(max(after, default=THEN) - THEN, LONGEST_GAP * len(after))
    assert bool(passed) is bool(after)


@given(ARRIVALS, some.randoms())
def test_order_and_repetition_change_nothing(arrivals, chance):
    shuffled = [*arrivals, *arrivals[:5]]
    chance.shuffle(shuffled)
    assert quiet_time(THEN, shuffled) == quiet_time(THEN, arrivals)


@given(ARRIVALS, MOMENTS)
def test_one_more_arrival_never_takes_time_away(arrivals, another):
    assert quiet_time(THEN, [*arrivals, another]) >= quiet_time(THEN, arrivals)


@given(ARRIVALS, some.integers(0, 10**5))
def test_a_call_that_ended_later_has_had_no_more_of_it(arrivals, seconds):
    assert quiet_time(THEN + timedelta(seconds=seconds), arrivals) <= quiet_time(THEN, arrivals)
