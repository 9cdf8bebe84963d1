"""Cells: the local days and clock hours of any IANA zone, as minutes since the Unix epoch.

A day cell runs from the first instant of a local date to the first of the next: 23, 24 or 25 hours,
24.5 at Lord Howe. An hour cell runs from one instant whose local minute is 0 to the next: 60 minutes,
other lengths only where a zone shifts by part of an hour.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from booking.allocator.span import EPOCH, Span, instant_of, minute_of

_DAY = 24 * 60
_QUARTER = 15
_MINUTE = timedelta(minutes=1)


class Granularity(StrEnum):
    """The grid an answer is folded to, and the grid bookings of a pool are aligned to."""

    DAY = "day"
    HOUR = "hour"


def day_start(zone: ZoneInfo, day: date) -> datetime:
    """The first instant of a local date, in UTC.

    Where midnight does not exist, `fold=0` reads it with the offset before the gap, which is the
    gap's own instant; where it occurs twice, `fold=0` is the first.
    """
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _offset(zone: ZoneInfo, minute: int) -> int:
    """Minutes east of UTC, rounded down where the zone's history has seconds."""
    offset = instant_of(minute).astimezone(zone).utcoffset() or timedelta(0)
    return offset // timedelta(minutes=1)


def _year_days(zone: ZoneInfo, year: int) -> list[int]:
    first = date(year, 1, 1)
    count = (date(year + 1, 1, 1) - first).days
    starts = {minute_of(_whole(day_start(zone, first + timedelta(days=n)))) for n in range(count)}
    return sorted(starts)


def _whole(instant: datetime) -> datetime:
    """Zones before the railways have offsets with seconds; cells there begin on the minute before."""
    return instant.replace(second=0, microsecond=0)


def _shifts(zone: ZoneInfo, start: int, end: int) -> list[int]:
    """The minutes in `(start, end]` at which the offset changes, by quarters of an hour.

    Every change of the present rules of the tz database falls on a quarter of an hour in UTC.
    """
    shifts = []
    for day in range(start, end, _DAY):
        stop = min(day + _DAY, end)
        if _offset(zone, day) == _offset(zone, stop) and _offset(zone, (day + stop) // 2) == _offset(
            zone, stop
        ):
            continue
        previous = _offset(zone, day)
        for minute in range(day + _QUARTER, stop + 1, _QUARTER):
            if (offset := _offset(zone, minute)) != previous:
                shifts.append(minute)
                previous = offset
    return shifts


def offsets(zone: ZoneInfo, span: Span) -> list[tuple[int, int]]:
    """The pieces of constant offset: (first minute, minutes east of UTC), in order."""
    first, last = span.minutes
    return [(minute, _offset(zone, minute)) for minute in (first, *_shifts(zone, first, last))]


def _year_hours(zone: ZoneInfo, year: int) -> list[int]:
    start, end = minute_of(datetime(year, 1, 1, tzinfo=UTC)), minute_of(datetime(year + 1, 1, 1, tzinfo=UTC))
    pieces = [start, *_shifts(zone, start, end), end]
    hours: list[int] = []
    for first, last in pairwise(pieces):
        phase = (first + _offset(zone, first)) % 60
        hours.extend(range(first + (60 - phase) % 60, last, 60))
    return sorted(set(hours))


@lru_cache(maxsize=512)
def _year(zone: ZoneInfo, year: int, granularity: Granularity) -> tuple[int, ...]:
    """The starts of the cells of one year (of local dates for days, of UTC for hours); cached because
    400 local midnights cost twenty times the query that uses them."""
    return tuple(_year_days(zone, year) if granularity is Granularity.DAY else _year_hours(zone, year))


@lru_cache(maxsize=256)
def _starts(zone: ZoneInfo, first: int, last: int, granularity: Granularity) -> tuple[int, ...]:
    return tuple(
        sorted({minute for year in range(first, last + 1) for minute in _year(zone, year, granularity)})
    )


def boundaries(zone: ZoneInfo, span: Span, granularity: Granularity) -> list[int]:
    """The edges of the whole cells that the span touches: n cells have n + 1 edges, in minutes.

    Both ends are widened to the edges of their cells.
    """
    starts = _starts(zone, span.start.year - 1, span.end.year + 1, granularity)
    first, last = span.minutes
    return list(starts[bisect_right(starts, first) - 1 : bisect_left(starts, last) + 1])


def cell_at(zone: ZoneInfo, instant: datetime, granularity: Granularity) -> Span:
    """The cell that holds the instant."""
    return Span.of_minutes(*_cell(zone, (instant - EPOCH) // _MINUTE, granularity))


def is_aligned(zone: ZoneInfo, instant: datetime, granularity: Granularity) -> bool:
    """Whether the instant is the edge of a cell."""
    minute, rest = divmod(instant - EPOCH, _MINUTE)
    return not rest and _cell(zone, minute, granularity)[0] == minute


def _cell(zone: ZoneInfo, minute: int, granularity: Granularity) -> tuple[int, int]:
    """Both edges of the cell that holds the minute."""
    year = instant_of(minute).year
    starts = _starts(zone, year - 1, year + 1, granularity)
    following = bisect_right(starts, minute)
    return starts[following - 1], starts[following]
