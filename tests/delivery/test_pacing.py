"""Pacing is arithmetic: rates are kept, the circuit opens and closes as it says, limits hold and let go."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from newsletter.delivery.batching import Unbatched, partition, place_of, sample, wave_of
from newsletter.delivery.pacing import (
    CATCH_UP,
    LONGEST_RETRY_SECONDS,
    OPENS_AFTER,
    Circuit,
    Counts,
    Wave,
    cohort,
    excess,
    finds_away,
    judge,
    judge_first_wave,
    next_time,
)
from newsletter.delivery.policy import Policy
from newsletter.providers.base import CallEnd, Ending


NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
AWAY = CallEnd(Ending.never_left)
LIMITS = Policy(hold_after=500)


@given(
    rate=st.floats(0.5, 10_000),
    claims=st.lists(st.tuples(st.integers(1, 1000), st.floats(0, 100)), min_size=1, max_size=40),
)
def test_no_more_recipients_are_claimed_than_the_rate_allows(rate, claims):
    """In any time: rate × (time + what may be caught up), and the last request of it."""
    now, not_before, done = NOW, None, []
    for size, pause in claims:
        now = max(now + timedelta(seconds=pause), not_before or now)
        not_before = next_time(not_before, size, rate, now)
        done.append((now, size))
    for first, (start, _) in enumerate(done):
        for last in range(first, len(done)):
            seconds = (done[last][0] - start + CATCH_UP).total_seconds()
            before_the_last = sum(size for _, size in done[first:last])
            assert before_the_last <= rate * seconds + 1


def test_without_a_rate_nothing_waits():
    assert next_time(NOW, 1000, 0, NOW) is None


ENDS = st.sampled_from([CallEnd(ending) for ending in Ending] + [CallEnd(Ending.throttled, 429)])


@given(st.lists(st.tuples(ENDS, st.floats(0, 2000), st.floats(1, 1.25)), max_size=60))
def test_a_circuit_opens_after_five_in_a_row_and_closes_at_the_first_certain_answer(calls):
    circuit, now, in_a_row = Circuit(), NOW, 0
    for end, pause, jitter in calls:
        now += timedelta(seconds=pause)
        circuit = circuit.after(end, now=now, jitter=jitter)
        in_a_row = in_a_row + 1 if finds_away(end) else 0
        assert circuit.failures == in_a_row
        assert (circuit.retry_at is None) is (in_a_row < OPENS_AFTER)
        if circuit.retry_at:
            assert 15 <= (circuit.retry_at - now).total_seconds() <= LONGEST_RETRY_SECONDS * 1.25


def test_calls_that_were_under_way_when_it_opened_do_not_make_the_wait_longer():
    circuit = Circuit()
    for _ in range(OPENS_AFTER + 20):
        circuit = circuit.after(AWAY, now=NOW)
    assert circuit.retry_at == NOW + timedelta(seconds=15)


@pytest.mark.parametrize(
    ("end", "away"),
    [
        (CallEnd(Ending.never_left), True),
        (CallEnd(Ending.never_left, made=False), False),
        (CallEnd(Ending.ambiguous), True),
        (CallEnd(Ending.ambiguous, 500), True),
        (CallEnd(Ending.throttled, 503), True),
        (CallEnd(Ending.throttled, 503, wait_seconds=30), False),
        (CallEnd(Ending.throttled, 429), False),
        (CallEnd(Ending.accepted, 202), False),
        (CallEnd(Ending.unauthorised, 401), False),
        (CallEnd(Ending.recipients_refused, 400), False),
    ],
)
def test_who_answers_for_certain_is_there(end, away):
    assert finds_away(end) is away


@pytest.mark.parametrize("failures", [0, 1, OPENS_AFTER])
def test_a_call_that_was_not_made_leaves_the_circuit_as_it_is(failures):
    circuit = Circuit()
    for _ in range(failures):
        circuit = circuit.after(AWAY, now=NOW)
    assert circuit.after(CallEnd(Ending.never_left, made=False), now=NOW + timedelta(hours=1)) == circuit


def test_six_hours_away_are_a_few_dozen_probes():
    circuit, now, calls = Circuit(), NOW, 0
    while now < NOW + timedelta(hours=6):
        circuit = circuit.after(AWAY, now=now)
        calls += 1
        now = circuit.retry_at or now
    assert calls < 50


@given(st.integers(0, 5000), st.integers(0, 500), st.integers(0, 500), st.integers(0, 50), st.floats(0, 5))
def test_a_lane_is_held_exactly_where_a_limit_is_passed(accepted, hard, blocked, complained, seen):
    counts = Counts(accepted, hard, blocked, complained)
    found = excess(counts, LIMITS)
    over = [
        count / max(accepted, 1) / limit
        for count, limit in ((hard, 0.02), (blocked, 0.05), (complained, 0.001))
        if count >= 2 and count > limit * accepted
    ]
    assert (found.times if found else None) == pytest.approx(max(over) if over else None)
    held = judge({"qq": counts}, LIMITS, {"qq": seen}).lanes
    assert bool(held) is bool(accepted >= 500 and over and max(over) > max(1, 2 * seen))


def test_one_bad_provider_is_held_alone():
    counts = {"qq": Counts(1000, blocked=90), "gmail": Counts(9000, blocked=3)}
    judged = judge(counts, LIMITS, {"qq": 0.0, "gmail": 0.0})
    assert list(judged.lanes) == ["qq"]
    assert judged.of_all is None
    assert judged.lanes["qq"].words == "90 of 1,000 mails were blocked for our reasons (9.00%; the limit is 5.00%)"


def test_a_first_wave_of_which_nothing_was_accepted_is_for_a_person_to_look_at():
    found = judge_first_wave(Counts(), LIMITS, 0.0, heard=True)
    assert found
    assert judge_first_wave(Counts(), LIMITS, found.times, heard=True) is None
    assert judge_first_wave(Counts(100), LIMITS, 0.0, heard=True) is None


def test_a_first_wave_of_which_nothing_was_heard_is_for_a_person_to_look_at():
    found = judge_first_wave(Counts(100), LIMITS, 0.0, heard=False)
    assert found
    assert "no feedback came" in found.words
    assert judge_first_wave(Counts(100), LIMITS, found.times, heard=False) is None


def test_where_the_whole_mailing_passes_a_limit_every_lane_is_held():
    counts = {"qq": Counts(500, hard=60), "gmail": Counts(500)}
    judged = judge(counts, LIMITS, {"qq": 0.0, "gmail": 0.0})
    assert set(judged.lanes) == {"qq", "gmail"}
    assert "all mailbox providers together: 60 of 1,000" in judged.lanes["gmail"].words


@given(st.sets(st.integers(1, 10**6), min_size=1, max_size=300), st.integers(1, 50))
def test_a_sample_is_exactly_as_large_as_wanted_and_always_the_same(ids, size):
    rows = [(one, "qq.com" if one % 3 else "gmail.com") for one in sorted(ids)]
    drawn = sample(rows, size)
    assert drawn == sample(reversed(rows), size)
    for domain in ("qq.com", "gmail.com"):
        theirs = [one for one, where in rows if where == domain]
        first = [one for one in theirs if wave_of(one, domain, drawn) is Wave.first]
        assert len(first) == min(size, len(theirs))


def test_a_sample_is_spread_over_old_and_new_readers():
    drawn = sample([(one, "qq.com") for one in range(1, 10_001)], 1000)
    first = [one for one in range(1, 10_001) if wave_of(one, "qq.com", drawn) is Wave.first]
    assert all(60 < sum(start < one <= start + 1000 for one in first) < 140 for start in range(0, 10_000, 1000))
    assert place_of(1) == place_of(1)


def test_a_batch_has_one_wave():
    page = [Unbatched(one, 1, "qq.com", Wave(one % 3)) for one in range(30)]
    planned = partition(page, 1000, last_page=True)
    assert {(one.wave, len(one.delivery_ids)) for one in planned} == {(wave, 10) for wave in Wave}


def test_the_warm_up_grows_by_weeks_and_ends():
    policy = Policy(warm_up=(500, 1000), warm_up_from=date(2026, 12, 1))
    days = {date(2026, 11, 20): 500, date(2026, 12, 7): 500, date(2026, 12, 8): 1000, date(2026, 12, 15): None}
    assert {day: cohort(policy, day) for day in days} == days
    assert cohort(Policy(), date(2026, 12, 1)) is None


def test_a_warm_up_without_a_first_day_is_refused():
    with pytest.raises(ValidationError, match="warm_up_from"):
        Policy(warm_up=(500,))
