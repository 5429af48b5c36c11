"""The weekly slot against an oracle that knows nothing of it: minute after minute, as the zone's clocks show it."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from newsletter.delivery.occurrences import Occurrence, Slot, exists, instant_of, occurrence_on, occurrences


#: Both hemispheres, half-hour and quarter-hour offsets, a change of half an hour and one of two, changes at midnight,
#: a month without (Morocco), countries that left out a day (Samoa, Tokelau), and the two ends of the date line.
ZONES = (
    "Asia/Shanghai",
    "America/New_York",
    "Europe/Berlin",
    "Europe/Dublin",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "Asia/Gaza",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Pacific/Apia",
    "Pacific/Fakaofo",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Africa/Casablanca",
    "America/Santiago",
    "Antarctica/Troll",
    "UTC",
)
MINUTE = timedelta(minutes=1)
MIDNIGHT = time(0, 0)

zones = st.sampled_from(ZONES).map(ZoneInfo)
moments = st.datetimes(datetime(1995, 1, 1), datetime(2044, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
times = st.times().map(lambda one: one.replace(second=0, microsecond=0))
#: Around midnight and the hours in which clocks change, where it matters.
odd_times = st.one_of(times, st.sampled_from([time(0, 0), time(0, 30), time(1, 30), time(2, 30), time(23, 59)]))


def shown(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)


def first_minute_not_before(wall: datetime, zone: ZoneInfo) -> datetime:
    """Walk through the minutes until the zone's clocks show the time, or have jumped over it."""
    # No place is further than 14 hours from UTC, and none has put its clocks back by more than some hours since 1995.
    minute = wall.replace(tzinfo=UTC) - timedelta(hours=20)
    while shown(minute, zone) < wall:
        minute += MINUTE
    return minute


@st.composite
def around_a_change(draw: st.DrawFn) -> tuple[datetime, ZoneInfo]:
    """A local time within hours of a clock change, where there is one in that year, else any."""
    zone, start = draw(zones), draw(moments)
    offset = start.astimezone(zone).utcoffset()
    for hours in range(0, 24 * 366, 6):
        later = start + timedelta(hours=hours)
        if later.astimezone(zone).utcoffset() != offset:
            break
    wall = shown(later, zone).replace(second=0, microsecond=0)
    return wall + timedelta(minutes=draw(st.integers(-8 * 60, 2 * 60))), zone


@given(around_a_change())
@example((datetime(2026, 11, 1, 1, 30), ZoneInfo("America/New_York")))  # noqa: DTZ001 - twice on that day
@example((datetime(2026, 3, 8, 2, 30), ZoneInfo("America/New_York")))  # noqa: DTZ001 - left out on that day
@example((datetime(2011, 12, 30, 9, 0), ZoneInfo("Pacific/Apia")))  # noqa: DTZ001 - a day that Samoa left out
@settings(max_examples=150, deadline=None)
def test_the_first_of_two_and_the_next_of_none(case):
    wall, zone = case
    instant = instant_of(wall, zone)
    assert instant == first_minute_not_before(wall, zone)
    assert (shown(instant, zone) == wall) == exists(wall, zone)


@pytest.mark.parametrize(
    ("zone", "wall", "instant"),
    [
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30Z"),
        ("America/New_York", "2026-03-08T02:30", "2026-03-08T07:00Z"),
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30Z"),
        ("Europe/Berlin", "2026-03-29T02:00", "2026-03-29T01:00Z"),
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30Z"),
        ("Pacific/Apia", "2011-12-30T09:00", "2011-12-30T10:00Z"),
        ("Asia/Shanghai", "2026-11-30T09:00", "2026-11-30T01:00Z"),
    ],
)
def test_times_that_were_looked_up(zone, wall, instant):
    assert instant_of(datetime.fromisoformat(wall), ZoneInfo(zone)) == datetime.fromisoformat(instant)


@given(zones, st.integers(0, 6), odd_times, moments, st.integers(1, 60))
@settings(max_examples=80, deadline=None)
def test_every_week_has_one_occurrence_on_its_own_day(zone, weekday, at, since, days):
    slot, until = Slot(weekday, at, zone), since + timedelta(days=days)
    found = occurrences(slot, {}, since=since, until=until)
    expected = []
    # A wider span of days than can matter, each asked by itself.
    for offset in range(-3, days + 4):
        day = shown(since, zone).date() + timedelta(days=offset)
        instant = first_minute_not_before(datetime.combine(day, at), zone) if day.weekday() == weekday else since
        if since < instant <= until:
            expected.append((day, instant))
    assert [(one.planned, one.at) for one in found] == expected
    assert not any(one.skipped or one.moved_to for one in found)


@given(zones, st.integers(0, 6), odd_times, moments, st.lists(st.integers(1, 40), min_size=1, max_size=6))
@settings(max_examples=80, deadline=None)
def test_looking_again_and_again_finds_each_once(zone, weekday, at, since, steps):
    """Whoever asks for the spans between looks, however they are cut, is told each occurrence once."""
    slot, start = Slot(weekday, at, zone), since
    pieces: list[Occurrence] = []
    for days in steps:
        end = start + timedelta(days=days, minutes=days)
        pieces += occurrences(slot, {}, since=start, until=end)
        start = end
    assert tuple(pieces) == occurrences(slot, {}, since=since, until=start)
    assert len({one.planned for one in pieces}) == len(pieces)


@given(zones, st.integers(0, 6), odd_times, moments, st.data())
@settings(max_examples=80, deadline=None)
def test_exceptions_change_nothing_but_their_own_date(zone, weekday, at, since, data):
    slot, until = Slot(weekday, at, zone), since + timedelta(days=56)
    regular = {one.planned: one for one in occurrences(slot, {}, since=since, until=until)}
    planned = data.draw(st.sampled_from(sorted(regular)))
    moved = datetime.combine(planned, time(10)) + timedelta(days=data.draw(st.integers(-3, 30)))
    skipped = {one.planned: one for one in occurrences(slot, {planned: None}, since=since, until=until)}
    assert skipped[planned].skipped
    assert skipped[planned].at == regular[planned].at
    elsewhere = {one.planned: one for one in occurrences(slot, {planned: moved}, since=since, until=until)}
    for day in regular.keys() - {planned}:
        assert skipped[day] == elsewhere[day] == regular[day]
    assert (planned in elsewhere) == (since < instant_of(moved, zone) <= until)
    known = occurrence_on(slot, {planned: moved}, planned)
    assert known is not None
    assert (known.at, known.moved_to) == (instant_of(moved, zone), moved)


def test_what_was_moved_far_is_found_where_it_comes():
    slot = Slot(0, time(9), ZoneInfo("Asia/Shanghai"))
    moved = {date(2026, 12, 21): datetime(2027, 1, 5, 10)}  # noqa: DTZ001 - local
    january = {"since": datetime(2027, 1, 4, 12, tzinfo=UTC), "until": datetime(2027, 1, 6, tzinfo=UTC)}
    (found,) = occurrences(slot, moved, **january)
    assert (found.planned, found.at) == (date(2026, 12, 21), datetime(2027, 1, 5, 2, tzinfo=UTC))


def test_exceptions_of_days_without_an_occurrence_are_none():
    slot, tuesday = Slot(0, MIDNIGHT, ZoneInfo("UTC")), date(2026, 12, 1)
    week = {"since": datetime(2026, 11, 30, 12, tzinfo=UTC), "until": datetime(2026, 12, 6, tzinfo=UTC)}
    assert occurrences(slot, {tuesday: None}, **week) == ()
    assert occurrence_on(slot, {tuesday: None}, tuesday) is None
