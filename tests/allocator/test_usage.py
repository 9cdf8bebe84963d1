"""Sums of claims by day, week and month against a walk through every minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.allocator.cells import day_start
from booking.allocator.span import Span
from booking.allocator.usage import Grain, Share, edges, folded
from tests.allocator import oracle
from tests.allocator.scenes import around, property_test

CHANGES = [
    ("Europe/London", date(2026, 10, 25)),
    ("Europe/London", date(2027, 3, 28)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Australia/Lord_Howe", date(2027, 4, 4)),
    ("America/Havana", date(2026, 11, 1)),
    ("Africa/Cairo", date(2027, 4, 30)),
    ("UTC", date(2028, 2, 29)),
]
"""Zones and days on which their clocks change, and the end of February in a leap year."""
NAMES: dict[Grain, Callable[[datetime], object]] = {
    Grain.DAY: lambda wall: wall.date(),
    Grain.WEEK: lambda wall: wall.isocalendar()[:2],
    Grain.MONTH: lambda wall: (wall.year, wall.month),
}


def walked(zone: str, first: int, last: int, grain: Grain, shares: list[Share]) -> list[Counter[int]]:
    """Core-minutes by key for each cell in turn, counted minute by minute on the wall clock."""
    name = NAMES[grain]
    cells: list[tuple[object, Counter[int]]] = []
    for minute, wall in enumerate(oracle.walls(zone, first, last), start=first):
        if not cells or cells[-1][0] != name(wall):
            cells.append((name(wall), Counter()))
        for share in shares:
            if share.start <= minute < share.end:
                cells[-1][1][share.key] += share.cores
    return [counted for _, counted in cells]


def compare(zone: str, span: Span, grain: Grain, shares: list[Share]) -> None:
    found = edges(ZoneInfo(zone), span, grain)
    assert found[0] <= span.minutes[0] < found[1]
    assert found[-2] < span.minutes[1] <= found[-1]
    sums = folded(found, 3, shares)
    expected = walked(zone, found[0], found[-1], grain, shares)
    assert [[int(sums[key, cell]) for key in range(3)] for cell in range(len(found) - 1)] == [
        [counted[key] for key in range(3)] for counted in expected
    ]


@pytest.mark.parametrize("zone,day", CHANGES)
@pytest.mark.parametrize("grain", list(Grain))
@property_test
@given(data=st.data())
def test_sums_are_those_of_a_walk_through_every_minute(
    zone: str, day: date, grain: Grain, data: st.DataObject
) -> None:
    first, last = around(day, 2, 2)
    minute = st.integers(first - 3000, last + 3000)
    share = st.tuples(st.integers(0, 2), minute, minute, st.integers(1, 10**6))
    drawn = data.draw(st.lists(share, max_size=6))
    shares = [Share(key, min(a, b), max(a, b), cores) for key, a, b, cores in drawn]
    compare(zone, Span.of_minutes(first, last), grain, shares)


@pytest.mark.parametrize(
    "zone,day,hours",
    [
        ("Europe/London", date(2026, 10, 25), 25),
        ("Europe/London", date(2027, 3, 28), 23),
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        ("Australia/Lord_Howe", date(2027, 4, 4), 24.5),
    ],
)
def test_a_core_for_a_day_is_as_many_core_hours_as_the_day_has(zone: str, day: date, hours: float) -> None:
    noon = day_start(ZoneInfo(zone), day) + timedelta(hours=12)
    always = [Share(0, 0, 10**8, 1)]
    for grain, whole in ((Grain.DAY, 0), (Grain.WEEK, 6 * 24)):
        found = edges(ZoneInfo(zone), Span(noon, noon + timedelta(minutes=1)), grain)
        assert folded(found, 1, always).tolist() == [[round((whole + hours) * 60)]]


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    zone = ZoneInfo("Europe/London")
    span = Span(datetime(2026, 12, 30, 12, tzinfo=zone), datetime(2027, 2, 1, tzinfo=zone))

    def days(grain: Grain) -> list[date]:
        return [datetime.fromtimestamp(60 * edge, zone).date() for edge in edges(zone, span, grain)]

    assert days(Grain.WEEK)[:2] == [date(2026, 12, 28), date(2027, 1, 4)]
    assert days(Grain.WEEK)[-1] == date(2027, 2, 1)
    assert days(Grain.MONTH) == [date(2026, 12, 1), date(2027, 1, 1), date(2027, 2, 1)]


def test_nothing_sums_to_nothing() -> None:
    assert folded([0, 60, 120], 2, []).tolist() == [[0, 0], [0, 0]]
    assert folded([0, 60], 0, []).shape == (0, 1)
