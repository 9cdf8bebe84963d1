"""The hours a local date really has: 23, 24 or 25, each a choice of the form.

A choice is the local time `HH:MM`; the second of two equal ones ends in `/2`. The end of the day is `24:00`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from booking.allocator.cells import Granularity, boundaries, day_start
from booking.allocator.span import Span, instant_of

DAY_END = "24:00"


@dataclass(frozen=True)
class Hour:
    """One edge of an hour of a day: what the form sends, what people read, and the instant."""

    value: str
    label: str
    at: datetime


@lru_cache(maxsize=256)
def edges(zone: ZoneInfo, day: date) -> Sequence[Hour]:
    """Every edge of the hours of a local date, in order; the last is its end."""
    start, end = day_start(zone, day), day_start(zone, day + timedelta(days=1))
    instants = [instant_of(minute) for minute in boundaries(zone, Span(start, end), Granularity.HOUR)]
    walls = [instant.astimezone(zone) for instant in instants[:-1]]
    times = [f"{wall:%H:%M}" for wall in walls]
    hours = []
    for index, (wall, time) in enumerate(zip(walls, times, strict=True)):
        twice = times.count(time) > 1
        second = twice and times.index(time) < index
        hours.append(
            Hour(f"{time}/2" if second else time, f"{time} {wall:%Z}" if twice else time, instants[index])
        )
    return (*hours, Hour(DAY_END, DAY_END, instants[-1]))


def starts(zone: ZoneInfo, day: date) -> Sequence[Hour]:
    """The hours at which a span may start on that date."""
    return edges(zone, day)[:-1]


def ends(zone: ZoneInfo, day: date) -> Sequence[Hour]:
    """The hours at which a span may end on that date."""
    return edges(zone, day)[1:]


def instant(zone: ZoneInfo, day: date, value: str) -> datetime | None:
    """The instant of a choice; None if that date has no such hour."""
    return next((hour.at for hour in edges(zone, day) if hour.value == value), None)


def start_choice(zone: ZoneInfo, at: datetime) -> tuple[date, str]:
    """The date and choice that start at an instant."""
    day = at.astimezone(zone).date()
    return day, next((hour.value for hour in starts(zone, day) if hour.at == at), "00:00")


def end_choice(zone: ZoneInfo, at: datetime) -> tuple[date, str]:
    """The date and choice that end at an instant: midnight is the 24:00 of the day before."""
    day = (at - timedelta(minutes=1)).astimezone(zone).date()
    return day, next((hour.value for hour in ends(zone, day) if hour.at == at), DAY_END)


def lengths(zone: ZoneInfo, day: date) -> Sequence[timedelta]:
    """How long each hour of a date is."""
    return [after.at - before.at for before, after in pairwise(edges(zone, day))]
