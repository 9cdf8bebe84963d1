"""Windows of time as somebody names them: dates and instants, in a zone."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta

from booking.allocator.cells import day_start
from booking.allocator.span import Span, floor_minute
from booking.errors import Invalid

_LONGEST = relativedelta(years=11)
_SURELY_NO_LONGER = timedelta(days=11 * 365)


def known_zone(name: str) -> ZoneInfo:
    """The IANA zone of that name.

    :raises Invalid: if there is none.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Invalid({"timezone": [f"{name!r} is not an IANA time zone"]}) from None


def as_instant(value: date | datetime, zone: ZoneInfo) -> datetime:
    """An instant as it is; a date as its first instant in the zone."""
    return value if isinstance(value, datetime) else day_start(zone, value)


def window_of(start: date | datetime, end: date | datetime, zone: ZoneInfo) -> Span:
    """The span that a question names, on whole minutes.

    :raises Invalid: if it ends before it starts, lies outside 1970 to 2200, or is longer than eleven years.
    """
    if not all(1970 < value.year < 2200 for value in (start, end)):
        raise Invalid({"from": ["lies between the years 1971 and 2199"]})
    first, last = floor_minute(as_instant(start, zone)), floor_minute(as_instant(end, zone))
    if first >= last:
        raise Invalid({"to": ["must be after from"]})
    # Years are counted only where it comes to that: it takes longer than all the rest.
    if last - first > _SURELY_NO_LONGER and last > first + _LONGEST:
        raise Invalid({"to": ["is at most eleven years after from"]})
    return Span(first, last)
