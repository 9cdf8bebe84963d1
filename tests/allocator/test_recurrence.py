"""Recurrence: wall-clock times on many dates, as spans."""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.allocator.recurrence import Pattern, Recurrence, spans
from booking.allocator.span import Span
from tests.allocator import oracle
from tests.allocator.scenes import DAYS, around, property_test

LONDON = ZoneInfo("Europe/London")
NIGHT = {"start_time": time(20), "end_time": time(8)}


def recurrence(pattern: Pattern, **fields: Any) -> Recurrence:
    return Recurrence(
        pattern, **{"start_time": time(9), "end_time": time(17), "first": date(2027, 3, 22), **fields}
    )


def utc(day: int, hour: int, minute: int = 0, month: int = 3) -> datetime:
    return datetime(2027, month, day, hour, minute, tzinfo=UTC)


def test_once_is_one_span() -> None:
    assert spans(recurrence(Pattern.ONCE), LONDON) == [Span(utc(22, 9), utc(22, 17))]


def test_every_night_keeps_the_wall_clock_when_clocks_change() -> None:
    nights = spans(recurrence(Pattern.DAILY, **NIGHT, first=date(2027, 3, 26), count=4), LONDON)
    assert [night.length for night in nights] == [timedelta(hours=hours) for hours in (12, 11, 12, 12)]
    assert [night.end.astimezone(LONDON).hour for night in nights] == [8] * 4
    assert nights[0] == Span(utc(26, 20), utc(27, 8))
    assert nights[3] == Span(utc(29, 19), utc(30, 7))


def test_weekends_leave_the_holidays_out() -> None:
    found = spans(
        recurrence(
            Pattern.WEEKLY,
            weekdays=frozenset({5, 6}),
            until=date(2027, 4, 4),
            exceptions=frozenset({date(2027, 3, 28)}),
        ),
        LONDON,
    )
    assert [span.start.date() for span in found] == [date(2027, 3, 27), date(2027, 4, 3), date(2027, 4, 4)]


def test_the_last_date_belongs_to_it() -> None:
    assert len(spans(recurrence(Pattern.DAILY, until=date(2027, 3, 24)), LONDON)) == 3


def test_midnight_to_midnight_is_a_whole_day() -> None:
    whole = recurrence(Pattern.DAILY, start_time=time(0), end_time=time(0), first=date(2027, 3, 27), count=3)
    assert [day.length for day in spans(whole, LONDON)] == [timedelta(hours=hours) for hours in (24, 23, 24)]


def test_a_time_that_does_not_exist_moves_forward_to_the_first_that_does() -> None:
    early = recurrence(Pattern.ONCE, start_time=time(1, 30), end_time=time(3), first=date(2027, 3, 28))
    assert spans(early, LONDON) == [Span(utc(28, 1), utc(28, 2))]
    late = recurrence(Pattern.ONCE, start_time=time(0), end_time=time(1, 30), first=date(2027, 3, 28))
    assert spans(late, LONDON) == [Span(utc(28, 0), utc(28, 1))]


def test_a_time_that_occurs_twice_is_its_first_occurrence() -> None:
    doubled = recurrence(Pattern.ONCE, start_time=time(1, 30), end_time=time(3), first=date(2027, 10, 31))
    assert spans(doubled, LONDON) == [Span(utc(31, 0, 30, 10), utc(31, 3, 0, 10))]
    ending = recurrence(Pattern.ONCE, start_time=time(0), end_time=time(1, 30), first=date(2027, 10, 31))
    assert spans(ending, LONDON) == [Span(utc(30, 23, 0, 10), utc(31, 0, 30, 10))]


def test_what_falls_into_the_missing_hour_is_left_out() -> None:
    daily = recurrence(
        Pattern.DAILY, start_time=time(1, 15), end_time=time(1, 45), first=date(2027, 3, 27), count=3
    )
    assert [span.start.day for span in spans(daily, LONDON)] == [27, 29]
    once = recurrence(Pattern.ONCE, start_time=time(1), end_time=time(2), first=date(2027, 3, 28))
    with pytest.raises(ValueError, match=r"^start_time: .*does not exist"):
        spans(once, LONDON)


@pytest.mark.parametrize(
    "field,fields",
    [
        ("start_time", {"pattern": "once", "start_time": time(9, 0, 1)}),
        ("end_time", {"pattern": "once", "end_time": time(9, tzinfo=UTC)}),
        ("end_time", {"pattern": "once", "end_time": time(9, 0, 0, 1)}),
        ("weekdays", {"pattern": "weekly", "count": 3}),
        ("weekdays", {"pattern": "daily", "count": 3, "weekdays": frozenset({1})}),
        ("weekdays", {"pattern": "weekly", "count": 3, "weekdays": frozenset({7})}),
        ("until", {"pattern": "once", "count": 3}),
        ("until", {"pattern": "once", "until": date(2027, 4, 1)}),
        ("until", {"pattern": "daily"}),
        ("until", {"pattern": "daily", "count": 3, "until": date(2027, 4, 1)}),
        ("until", {"pattern": "daily", "until": date(2027, 3, 21)}),
        ("count", {"pattern": "daily", "count": 0}),
        ("count", {"pattern": "daily", "count": 367}),
    ],
)
def test_a_wrong_field_is_named(field: str, fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"^{field}: "):
        recurrence(Pattern(fields.pop("pattern")), **fields)


def test_a_recurrence_has_at_most_366_occurrences() -> None:
    assert len(spans(recurrence(Pattern.DAILY, count=366), LONDON)) == 366
    with pytest.raises(ValueError, match=r"^until: .*at most 366"):
        spans(recurrence(Pattern.DAILY, until=date(9999, 12, 31)), LONDON)


def test_a_recurrence_without_an_occurrence_is_refused() -> None:
    day = frozenset({date(2027, 3, 22)})
    with pytest.raises(ValueError, match=r"^exceptions: no occurrence is left"):
        spans(recurrence(Pattern.ONCE, exceptions=day), LONDON)
    with pytest.raises(ValueError, match=r"^until: there is no occurrence"):
        spans(recurrence(Pattern.WEEKLY, weekdays=frozenset({6}), until=date(2027, 3, 23)), LONDON)


quarters = st.integers(0, 95).map(lambda quarter: time(quarter // 4, quarter % 4 * 15))


@property_test
@given(st.sampled_from(DAYS), quarters, quarters)
def test_occurrences_run_from_the_first_minute_to_the_first_minute_of_the_wall_clock(
    scene: tuple[str, date], start: time, end: time
) -> None:
    zone, day = scene
    first, last = around(day, 4, 6)
    furthest = list(accumulate((wall.replace(tzinfo=None) for wall in oracle.walls(zone, first, last)), max))

    def reached(moment: datetime) -> int:
        return first + bisect_left(furthest, moment)

    expected = []
    for offset in range(-2, 3):
        begin = datetime.combine(day + timedelta(days=offset), start)
        stop = datetime.combine(begin.date() + timedelta(days=end <= start), end)
        if reached(begin) < reached(stop):
            expected.append(Span.of_minutes(reached(begin), reached(stop)))
    rule = Recurrence(Pattern.DAILY, start, end, day - timedelta(days=2), count=5)
    found = spans(rule, ZoneInfo(zone))
    assert found == expected
    assert all(before.end <= after.start for before, after in pairwise(found))
