"""Quota: core-hours per any 4 consecutive local weeks, charged where the hours fall.

Counting is in whole core-minutes by ISO week of the pool's zone; a week has 167, 168 or 169 hours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from booking.allocator.cells import day_start
from booking.allocator.span import EPOCH, Span, minute_of

WINDOW_WEEKS = 4
_SEARCHED_WEEKS = 60
_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Claim:
    """What an account has already been promised: so many cores over a span."""

    span: Span
    cores: int


@dataclass(frozen=True, slots=True)
class Quota:
    """What a request costs, in core-hours, in the tightest window of four weeks it touches.

    `used` is what was promised before, `left` what remains after it (negative if it does not fit);
    used + cost + left = limit. Without a limit, `left` is None.
    """

    limit: int | None
    used: float
    cost: float
    left: float | None
    window: Span


@lru_cache(maxsize=4096)
def _monday(zone: ZoneInfo, week: int) -> int:
    """The minute at which a week begins; weeks count from Monday, 1 January of year 1."""
    return minute_of(day_start(zone, date.fromordinal(7 * week + 1)))


def _week(zone: ZoneInfo, minute: int) -> int:
    week = (EPOCH.toordinal() + minute // _DAY - 1) // 7
    # UTC is at most a day from the wall clock, so the week is this one or a neighbour.
    if minute < _monday(zone, week):
        return week - 1
    return week + (minute >= _monday(zone, week + 1))


def charges(zone: ZoneInfo, claims: Iterable[Claim]) -> Counter[int]:
    """Core-minutes by week. The work grows with the weeks that the spans cover."""
    totals: Counter[int] = Counter()
    for claim in claims:
        start, end = claim.span.minutes
        while start < end:
            week = _week(zone, start)
            stop = min(end, _monday(zone, week + 1))
            totals[week] += claim.cores * (stop - start)
            start = stop
    return totals


def _tightest(used: Counter[int], cost: Counter[int]) -> tuple[int, int, int]:
    """(used, cost, first week) of the fullest window among those that the cost touches."""
    firsts = sorted({week - back for week in cost for back in range(WINDOW_WEEKS)})
    sums = [
        (
            sum(used[week] for week in range(first, first + WINDOW_WEEKS)),
            sum(cost[week] for week in range(first, first + WINDOW_WEEKS)),
            first,
        )
        for first in firsts
    ]
    return max(sums, key=lambda window: window[0] + window[1])


def quota_of(zone: ZoneInfo, limit: int | None, asked: Sequence[Claim], existing: Sequence[Claim]) -> Quota:
    """What `asked` costs beside `existing`; `limit` in core-hours.

    :raises ValueError: if nothing is asked.
    """
    costs = charges(zone, asked)
    reach = Span.of_minutes(
        _monday(zone, min(costs) - WINDOW_WEEKS + 1), _monday(zone, max(costs) + WINDOW_WEEKS)
    )
    near = [claim for claim in existing if claim.span.overlaps(reach)]
    used, cost, first = _tightest(charges(zone, near), costs)
    left = None if limit is None else (limit * 60 - used - cost) / 60
    window = Span.of_minutes(_monday(zone, first), _monday(zone, first + WINDOW_WEEKS))
    return Quota(limit, used / 60, cost / 60, left, window)


def first_week_that_passes(
    zone: ZoneInfo, limit: int, asked: Sequence[Claim], existing: Sequence[Claim]
) -> date | None:
    """The Monday of the first later week in which the same request, moved by whole weeks, passes.

    None if it does not within a year, or costs more than the limit by itself.
    """
    used = charges(zone, existing)
    for weeks in range(1, _SEARCHED_WEEKS + 1):
        cost = charges(zone, [_moved(zone, claim, weeks) for claim in asked])
        before, own, _ = _tightest(used, cost)
        if before + own <= limit * 60:
            return date.fromordinal(7 * min(cost) + 1)
        if own > limit * 60:
            return None
    return None


def _moved(zone: ZoneInfo, claim: Claim, weeks: int) -> Claim:
    by = timedelta(weeks=weeks)
    start = (claim.span.start.astimezone(zone) + by).astimezone(UTC)
    # The length is kept: a wall time that does not exist on the new date must not end a span early.
    return Claim(Span(start, start + claim.span.length), claim.cores)
