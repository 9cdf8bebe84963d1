"""Spans: half-open pieces of time, and the minutes they are stored as."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FOREVER = datetime(9000, 1, 1, tzinfo=UTC)
"""The end of a span that holds until further notice; printed as null."""
_MINUTE = timedelta(minutes=1)


def minute_of(instant: datetime) -> int:
    """Whole minutes since the Unix epoch.

    :raises ValueError: if the instant is naive or does not fall on a whole minute.
    """
    if instant.tzinfo is None:
        raise ValueError("an instant needs an offset from UTC")
    minutes, rest = divmod(instant - EPOCH, _MINUTE)
    if rest:
        raise ValueError("an instant of a span falls on a whole minute")
    return minutes


def instant_of(minute: int) -> datetime:
    """The aware UTC instant of a minute since the Unix epoch."""
    return EPOCH + minute * _MINUTE


def floor_minute(instant: datetime) -> datetime:
    """The whole minute at or before an aware instant, in UTC."""
    return instant_of((instant - EPOCH) // _MINUTE)


@dataclass(frozen=True, order=True, slots=True)
class Span:
    """`[start, end)`: aware instants, kept in UTC, on whole minutes, start before end.

    :raises ValueError: if an instant is naive, not on a whole minute, or start is not before end.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        first, last = minute_of(self.start), minute_of(self.end)
        if first >= last:
            raise ValueError("a span ends after it starts")
        object.__setattr__(self, "start", instant_of(first))
        object.__setattr__(self, "end", instant_of(last))

    @classmethod
    def of_minutes(cls, start: int, end: int) -> Span:
        """The span between two minutes since the Unix epoch."""
        if start >= end:
            raise ValueError("a span ends after it starts")
        # Minutes are whole, so nothing is left to be looked at; spans are made by the thousand.
        span = object.__new__(cls)
        object.__setattr__(span, "start", instant_of(start))
        object.__setattr__(span, "end", instant_of(end))
        return span

    @property
    def minutes(self) -> tuple[int, int]:
        """Both ends as minutes since the Unix epoch."""
        return minute_of(self.start), minute_of(self.end)

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    def overlaps(self, other: Span) -> bool:
        """Whether the two share a moment; spans that only touch do not."""
        return self.start < other.end and other.start < self.end

    def contains(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def shifted(self, by: timedelta) -> Span:
        return Span(self.start + by, self.end + by)


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same moments as the fewest spans, in order; touching spans become one. O(n log n)."""
    result: list[Span] = []
    for span in sorted(spans):
        if result and span.start <= result[-1].end:
            result[-1] = Span(result[-1].start, max(result[-1].end, span.end))
        else:
            result.append(span)
    return result
