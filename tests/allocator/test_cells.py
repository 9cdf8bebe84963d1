"""Cells against the oracle: local dates and clock hours of every kind of zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.allocator.cells import (
    Granularity,
    boundaries,
    cell_at,
    day_start,
    is_aligned,
    offsets,
)
from booking.allocator.span import Span, instant_of
from tests.allocator import oracle
from tests.allocator.scenes import DAYS, around, property_test

EVERY_ZONE = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("System"))


def _inner(edges: tuple[int, ...], first: int, last: int) -> list[int]:
    return [edge for edge in edges if first <= edge <= last]


@pytest.mark.parametrize("zone,day", DAYS)
@pytest.mark.parametrize("granularity", list(Granularity))
def test_cells_are_those_of_the_wall_clock(zone: str, day: date, granularity: Granularity) -> None:
    first, last = around(day, 3, 4)
    walk = oracle.day_edges if granularity is Granularity.DAY else oracle.hour_edges
    expected = walk(zone, first, last)
    span = Span.of_minutes(expected[0], expected[-1])
    assert boundaries(ZoneInfo(zone), span, granularity) == list(expected)


@property_test
@given(st.sampled_from(EVERY_ZONE), st.dates(date(2015, 1, 1), date(2037, 12, 30)))
def test_hours_and_days_hold_in_every_zone(zone: str, day: date) -> None:
    first, last = around(day, 1, 1)
    for walk, granularity in ((oracle.day_edges, Granularity.DAY), (oracle.hour_edges, Granularity.HOUR)):
        expected = walk(zone, first, last)
        got = boundaries(ZoneInfo(zone), Span.of_minutes(first, last), granularity)
        assert _inner(tuple(got), first + 1, last - 1) == _inner(expected, first + 1, last - 1)


@pytest.mark.parametrize(
    "zone,day,hours",
    [
        ("Europe/London", date(2027, 3, 28), 23),
        ("Europe/London", date(2026, 10, 25), 25),
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        ("Australia/Lord_Howe", date(2027, 4, 4), 24.5),
        ("Africa/Cairo", date(2027, 4, 30), 23),
        ("Africa/Cairo", date(2026, 10, 29), 25),
        ("America/Havana", date(2026, 11, 1), 25),
    ],
)
def test_a_day_is_the_local_day(zone: str, day: date, hours: float) -> None:
    start = day_start(ZoneInfo(zone), day)
    assert start.tzinfo is UTC
    cell = cell_at(ZoneInfo(zone), start, Granularity.DAY)
    assert cell.start == start
    assert cell.length == timedelta(hours=hours)
    assert cell_at(ZoneInfo(zone), cell.end - timedelta(minutes=1), Granularity.DAY) == cell


def test_an_hour_of_lord_howe_lasts_ninety_minutes_when_the_clock_moves_by_half_an_hour() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    forward = cell_at(zone, datetime(2026, 10, 3, 15, 45, tzinfo=UTC), Granularity.HOUR)
    back = cell_at(zone, datetime(2027, 4, 3, 15, 15, tzinfo=UTC), Granularity.HOUR)
    assert forward.length == back.length == timedelta(minutes=90)


def test_kathmandu_begins_its_hours_at_a_quarter_past() -> None:
    zone = ZoneInfo("Asia/Kathmandu")
    assert is_aligned(zone, datetime(2027, 1, 1, 10, 15, tzinfo=UTC), Granularity.HOUR)
    assert not is_aligned(zone, datetime(2027, 1, 1, 10, 0, tzinfo=UTC), Granularity.HOUR)
    assert is_aligned(zone, datetime(2026, 12, 31, 18, 15, tzinfo=UTC), Granularity.DAY)


def test_the_last_cell_of_a_year_ends_with_the_next_year() -> None:
    zone = ZoneInfo("Europe/London")
    cell = cell_at(zone, datetime(2026, 12, 31, 23, 59, tzinfo=UTC), Granularity.DAY)
    assert cell.end == datetime(2027, 1, 1, tzinfo=UTC)


def test_a_date_that_was_skipped_has_no_cell() -> None:
    zone = ZoneInfo("Pacific/Apia")
    skipped = boundaries(
        zone,
        Span(datetime(2011, 12, 29, 10, tzinfo=UTC), datetime(2012, 1, 1, 10, tzinfo=UTC)),
        Granularity.DAY,
    )
    assert [instant_of(edge).astimezone(zone).day for edge in skipped] == [29, 31, 1, 2]


def test_offsets_before_the_railways_are_cut_to_whole_minutes() -> None:
    span = Span(datetime(1840, 1, 1, tzinfo=UTC), datetime(1840, 1, 2, tzinfo=UTC))
    assert len(boundaries(ZoneInfo("Europe/London"), span, Granularity.DAY)) >= 2


def test_offsets_are_told_piece_by_piece() -> None:
    span = Span(datetime(2027, 3, 27, tzinfo=UTC), datetime(2027, 3, 29, tzinfo=UTC))
    change = int(datetime(2027, 3, 28, 1, tzinfo=UTC).timestamp()) // 60
    assert offsets(ZoneInfo("Europe/London"), span) == [(span.minutes[0], 0), (change, 60)]
