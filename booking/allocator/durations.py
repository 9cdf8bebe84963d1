"""Lengths of time in writing: ISO 8601 for programs, words for people, days of the wall clock for rules."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_ISO = re.compile(
    r"P(?=.)(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?",
    re.ASCII,
)
LONGEST = timedelta(days=36525)
"""A hundred years: longer lengths are a slip of the pen, and would leave the calendar."""


def parse_duration(text: str) -> timedelta:
    """The length that an ISO 8601 duration of weeks, days, hours, minutes and seconds names.

    :raises ValueError: if it is not one, is longer than a hundred years, or has years or months, which
        have no fixed length.
    """
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError("a length is written like P14D or PT4H")
    parts = {unit: int(number) for unit, number in match.groupdict().items() if number}
    if any(number > LONGEST.total_seconds() for number in parts.values()):
        raise ValueError("a length is at most a hundred years")
    length = timedelta(**parts)
    if length > LONGEST:
        raise ValueError("a length is at most a hundred years")
    return length


def format_duration(length: timedelta) -> str:
    """ISO 8601 of a length that is not negative, in days, hours, minutes and whole seconds."""
    days, hours, minutes, seconds = _parts(length)
    date = f"{days}D" if days else ""
    time = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n)
    return f"P{date}{'T' if time else ''}{time}" if date or time else "PT0S"


def say_duration(length: timedelta) -> str:
    """The length in words: `2 days 3 hours`."""
    names = ("day", "hour", "minute", "second")
    told = [f"{n} {name}{'' if n == 1 else 's'}" for n, name in zip(_parts(length), names, strict=True) if n]
    return " ".join(told) or "no time"


def _parts(length: timedelta) -> tuple[int, int, int, int]:
    hours, rest = divmod(length.seconds, 3600)
    return length.days, hours, *divmod(rest, 60)


def later(zone: ZoneInfo, instant: datetime, length: timedelta) -> datetime:
    """The latest instant that people call `length` after `instant`, in UTC.

    Whole days are days of the wall clock or 24 hours each, whichever ends later: a rule of 14 days
    refuses neither 14 dates nor 336 hours when the clock changes between.
    """
    wall = instant.astimezone(zone) + timedelta(days=length.days)
    civil = wall.astimezone(UTC) + timedelta(seconds=length.seconds)
    return max(civil, instant.astimezone(UTC) + length)


def measured(zone: ZoneInfo, start: datetime, end: datetime) -> timedelta:
    """The shortest length whose :func:`later` reaches from `start` to `end`, start not after end."""
    days = (end - start).days + 2
    while later(zone, start, timedelta(days=days)) > end:
        days -= 1
    whole = timedelta(days=days)
    return whole + min(end - later(zone, start, whole), timedelta(days=1))
