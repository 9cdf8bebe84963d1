"""Times on the command line: read in the pool's zone where they have none of their own, shown with it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from booking.allocator.cells import Granularity, cell_at, day_start
from booking.allocator.durations import parse_duration
from booking.allocator.span import FOREVER, Span
from booking.errors import Invalid

NOW = "now"
FORMATS = "2026-11-23, 2026-11-23T10:00 or 2026-11-23T10:00+01:00"


def instant(field: str, text: str, zone: ZoneInfo) -> datetime:
    """The instant that a text names: a date is its first moment, a time without an offset is local.

    :raises Invalid: naming the field, if it is none, or if the clock shows that time twice or never.
    """
    try:
        if len(text) == len("2026-11-23"):
            return day_start(zone, date.fromisoformat(text))
        read = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise Invalid({field: [f"{text!r} is not a time; write {FORMATS}"]}) from None
    if read.tzinfo is not None:
        return read.astimezone(UTC)
    return _local(field, read, zone)


def _local(field: str, naive: datetime, zone: ZoneInfo) -> datetime:
    first, second = (naive.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first.astimezone(UTC)
    known = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == naive
    said = "occurs twice" if known else "does not occur"
    raise Invalid(
        {field: [f"{naive:%Y-%m-%d %H:%M} {said} in {zone.key}; write it with its offset from UTC"]}
    )


def start_of(field: str, text: str, zone: ZoneInfo, now: datetime, granularity: Granularity) -> datetime:
    """The start that a text names; `now` is the start of the current cell.

    :raises Invalid: as :func:`instant`.
    """
    return cell_at(zone, now, granularity).start if text == NOW else instant(field, text, zone)


def end_of(field: str, text: str, zone: ZoneInfo, start: datetime) -> datetime:
    """The end that a text names: an instant, or a length from the start; its days are days of the calendar.

    :raises Invalid: as :func:`instant`.
    """
    if not text.startswith("P"):
        return instant(field, text, zone)
    try:
        length = parse_duration(text)
    except ValueError as error:
        raise Invalid({field: [str(error)]}) from None
    wall = start.astimezone(zone) + timedelta(days=length.days)
    return wall.astimezone(UTC) + timedelta(seconds=length.seconds)


def span_of(start: datetime, end: datetime, field: str = "end") -> Span:
    """The span between two instants.

    :raises Invalid: if it does not end after it starts, or is not on whole minutes.
    """
    try:
        return Span(start, end)
    except ValueError as error:
        raise Invalid({field: [str(error)]}) from None


def shown(moment: datetime, zone: ZoneInfo) -> str:
    """For people: local time with its offset; `until further notice` for the end of time."""
    if moment >= FOREVER:
        return "until further notice"
    local = moment.astimezone(zone)
    offset = local.isoformat(timespec="minutes")[16:]
    return f"{local:%Y-%m-%d %H:%M} {offset}"


def written(moment: datetime) -> str | None:
    """For programs: RFC 3339 with Z; null for the end of time."""
    if moment >= FOREVER:
        return None
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
