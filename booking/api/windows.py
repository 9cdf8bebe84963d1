"""Dates in a query as instants."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from booking.errors import NotFound
from booking.identity import context
from booking.services import marks
from booking.services.windows import as_instant


def instant_from(value: date | datetime | None) -> datetime | None:
    """An instant as it is; a date as its first instant in the zone of the first pool."""
    if value is None or isinstance(value, datetime):
        return value
    try:
        zone = marks.current(context(), None).zone
    except NotFound:  # there is no pool yet
        zone = ZoneInfo("UTC")
    return as_instant(value, zone)
