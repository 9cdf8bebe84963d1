"""Blazar's dates: whole minutes of UTC, or `now`, which is rounded down."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

from tests.openstack.fake.picking import refused

FORMAT = "%Y-%m-%d %H:%M"


class Clock(Protocol):
    def now(self) -> datetime: ...


def floored(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(second=0, microsecond=0)


def read(text: str, now: datetime) -> datetime:
    if text == "now":
        return floored(now)
    try:
        return datetime.strptime(text, FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise refused(400, f"{text} is an invalid date. Required format: {FORMAT}") from None


def read_span(start: str, end: str, now: datetime) -> tuple[datetime, datetime]:
    """Of a new lease."""
    begins, ends = read(start, now), read(end, now)
    if begins < floored(now):
        raise refused(400, "Start date must be later than current date")
    if ends <= begins:
        raise refused(400, "End date must be later than start date.")
    return begins, ends
