"""Lengths: written, said, and laid along the wall clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.allocator.durations import (
    LONGEST,
    format_duration,
    later,
    measured,
    parse_duration,
    say_duration,
)
from tests.allocator.scenes import DAYS, property_test

LONDON = ZoneInfo("Europe/London")
seconds = st.integers(0, 400 * 86400).map(lambda n: timedelta(seconds=n))


@property_test
@given(seconds)
def test_what_is_written_reads_the_same(length: timedelta) -> None:
    assert parse_duration(format_duration(length)) == length


@pytest.mark.parametrize(
    "text,length",
    [
        ("P14D", timedelta(days=14)),
        ("PT4H", timedelta(hours=4)),
        ("P2W", timedelta(days=14)),
        ("P1DT2H3M4S", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("PT0S", timedelta(0)),
        ("PT36H", timedelta(hours=36)),
        ("P36525D", LONGEST),
    ],
)
def test_iso_durations_are_read(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "14", "P1Y", "P1M", "-P1D", "P1.5D", "p1d", "P1D ", "PT1H1D", "P\u0661D"]
)
def test_what_has_no_fixed_length_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="P14D or PT4H"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["P36526D", "P9999999999999999999D", "P99999W", "PT876601H"])
def test_more_than_a_hundred_years_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="hundred years"):
        parse_duration(text)


@pytest.mark.parametrize(
    "length,text,words",
    [
        (timedelta(days=14), "P14D", "14 days"),
        (timedelta(days=1, hours=1), "P1DT1H", "1 day 1 hour"),
        (timedelta(minutes=90), "PT1H30M", "1 hour 30 minutes"),
        (timedelta(seconds=2), "PT2S", "2 seconds"),
        (timedelta(0), "PT0S", "no time"),
    ],
)
def test_lengths_are_written_and_said(length: timedelta, text: str, words: str) -> None:
    assert format_duration(length) == text
    assert say_duration(length) == words


def test_days_are_days_of_the_wall_clock_or_24_hours_whichever_is_later() -> None:
    spring, autumn = datetime(2027, 3, 27, 12, tzinfo=UTC), datetime(2026, 10, 24, 11, tzinfo=UTC)
    day = timedelta(days=1)
    assert later(LONDON, spring, day) == spring + day
    assert later(LONDON, autumn, day) == autumn + timedelta(hours=25)
    assert later(LONDON, autumn, timedelta(hours=23)) == autumn + timedelta(hours=23)


@property_test
@given(st.sampled_from(DAYS), st.integers(-3000, 0), st.integers(0, 9000))
def test_a_measured_length_is_the_shortest_that_reaches(
    scene: tuple[str, date], before: int, minutes: int
) -> None:
    zone = ZoneInfo(scene[0])
    start = datetime(scene[1].year, scene[1].month, scene[1].day, tzinfo=UTC) + timedelta(minutes=before)
    end = start + timedelta(minutes=minutes)
    length = measured(zone, start, end)
    assert later(zone, start, length) >= end
    if length:
        assert later(zone, start, length - timedelta(minutes=1)) < end


def test_a_long_day_measures_one_day() -> None:
    start = datetime(2026, 10, 24, 23, tzinfo=UTC)
    assert measured(LONDON, start, start + timedelta(hours=25)) == timedelta(days=1)
    assert measured(LONDON, start, start + timedelta(hours=24, minutes=30)) == timedelta(days=1)
