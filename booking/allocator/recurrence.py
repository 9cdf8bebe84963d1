"""Recurrence: every night for a week, each weekend of a term, as spans.

The times are times of the wall clock, also where clocks change. One that does not exist moves forward
to the first that does; one that occurs twice is its first occurrence, both as a start and as an end. So
a night of a clock change is an hour shorter or longer, and an occurrence that falls wholly into the
hour that does not exist is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import islice
from zoneinfo import ZoneInfo

from dateutil.rrule import DAILY, WEEKLY, rrule

from booking.allocator.span import Span

MOST_OCCURRENCES = 366
_ANY_WEEKDAY = range(7)


class Pattern(StrEnum):
    """On which dates a recurrence begins."""

    ONCE = "once"
    DAILY = "daily"
    WEEKLY = "weekly"


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A pattern of dates, and the wall-clock times at which each occurrence starts and ends.

    An occurrence that ends at or before the time it starts ends on the next date: 20:00 to 08:00 is a
    night, 00:00 to 00:00 a whole day. `weekdays` count from Monday = 0 and belong to `weekly` only; `until`
    is the last date that may begin an occurrence, included; `count` is how many dates the pattern has
    before `exceptions` are taken out. One of the two bounds a pattern that is not `once`.

    :raises ValueError: naming the field that is wrong.
    """

    pattern: Pattern
    start_time: time
    end_time: time
    first: date
    weekdays: frozenset[int] = frozenset()
    until: date | None = None
    count: int | None = None
    exceptions: frozenset[date] = frozenset()

    def __post_init__(self) -> None:
        _check_times(self)
        _check_weekdays(self)
        _check_bound(self)

    def dates(self) -> list[date]:
        """The dates on which occurrences begin, exceptions taken out.

        :raises ValueError: if there are more than 366, or none.
        """
        found = list(islice(self._pattern_dates(), MOST_OCCURRENCES + 1))
        if len(found) > MOST_OCCURRENCES:
            raise ValueError(f"until: a recurrence has at most {MOST_OCCURRENCES} occurrences")
        kept = [day for day in found if day not in self.exceptions]
        if not kept:
            raise ValueError(
                "exceptions: no occurrence is left" if found else "until: there is no occurrence"
            )
        return kept

    def _pattern_dates(self) -> Iterator[date]:
        if self.pattern is Pattern.ONCE:
            return iter([self.first])
        # rrule counts on naive datetimes: here they are dates, and the clock comes later.
        rule = rrule(
            WEEKLY if self.pattern is Pattern.WEEKLY else DAILY,
            dtstart=datetime.combine(self.first, time()),
            until=None if self.until is None else datetime.combine(self.until, time()),
            count=self.count,
            byweekday=sorted(self.weekdays) or None,
        )
        return (moment.date() for moment in rule)


def _check_times(recurrence: Recurrence) -> None:
    for name, value in (("start_time", recurrence.start_time), ("end_time", recurrence.end_time)):
        if value.tzinfo is not None or value.second or value.microsecond:
            raise ValueError(f"{name}: a whole minute of the wall clock is needed, without an offset")


def _check_weekdays(recurrence: Recurrence) -> None:
    weekly = recurrence.pattern is Pattern.WEEKLY
    if weekly and not recurrence.weekdays:
        raise ValueError("weekdays: a weekly recurrence needs at least one")
    if not weekly and recurrence.weekdays:
        raise ValueError("weekdays: only a weekly recurrence has them")
    if not recurrence.weekdays <= set(_ANY_WEEKDAY):
        raise ValueError("weekdays: Monday is 0 and Sunday is 6")


def _check_bound(recurrence: Recurrence) -> None:
    until, count = recurrence.until, recurrence.count
    if recurrence.pattern is Pattern.ONCE:
        if until is not None or count is not None:
            raise ValueError("until: what happens once has neither a last date nor a count")
        return
    if (until is None) == (count is None):
        raise ValueError("until: either a last date or a count is needed")
    if until is not None and until < recurrence.first:
        raise ValueError("until: the last date is before the first")
    if count is not None and not 1 <= count <= MOST_OCCURRENCES:
        raise ValueError(f"count: from 1 to {MOST_OCCURRENCES} occurrences")


def spans(recurrence: Recurrence, zone: ZoneInfo) -> list[Span]:
    """The spans of a recurrence in a zone, in order, without overlaps: none is longer than a day of the
    wall clock, and a later time of the wall clock is never an earlier instant.

    :raises ValueError: naming the field if there are too many or none.
    """
    overnight = timedelta(days=recurrence.end_time <= recurrence.start_time)
    found = []
    for day in recurrence.dates():
        start = _instant(zone, day, recurrence.start_time)
        end = _instant(zone, day + overnight, recurrence.end_time)
        if start < end:
            found.append(Span(start, end))
    if not found:
        raise ValueError("start_time: that time does not exist on that date")
    return found


def _instant(zone: ZoneInfo, day: date, at: time) -> datetime:
    """The first instant at which the wall clock has reached that time of that date."""
    wall = datetime.combine(day, at, tzinfo=zone)
    early, late = wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC)
    if late >= early:
        return early
    # In a gap fold=0 reads the offset before it and fold=1 the one after; the gap lies between them.
    return _gap_end(zone, late, early)


def _gap_end(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first minute in `(before, after]` with the offset that holds at `after`."""
    minute = timedelta(minutes=1)
    low, high = 0, (after - before) // minute
    offset = after.astimezone(zone).utcoffset()
    while low < high:
        middle = (low + high) // 2
        if (before + middle * minute).astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle + 1
    return before + high * minute
