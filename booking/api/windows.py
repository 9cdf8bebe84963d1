"""Dates in a query as instants."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from booking.identity import context
from booking.services import capacity
from booking.services.availability import as_instant


def instant_from(value: date | datetime | None) -> datetime | None:
    """An instant as it is; a date as its first instant in the zone of the first pool."""
    if value is None or isinstance(value, datetime):
        return value
    pools = capacity.pools(context())
    return as_instant(value, pools[0].zone if pools else ZoneInfo("UTC"))
