"""Usage: claims on cores summed up in the days, weeks or months of a zone.

Counting is in whole core-minutes, so that sums are right to the minute whatever the clocks do.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from booking.allocator.cells import Granularity, boundaries, day_start
from booking.allocator.span import Span, floor_minute, minute_of

Minutes = npt.NDArray[np.int64]


class Grain(StrEnum):
    """The granularity of usage."""

    DAY = "day"
    WEEK = "week"
    """From Monday."""
    MONTH = "month"


class Share(NamedTuple):
    """Cores over `[start, end)`, in minutes since the epoch, that are counted under the key of that number."""

    key: int
    start: int
    end: int
    cores: int


def edges(zone: ZoneInfo, span: Span, grain: Grain) -> list[int]:
    """The edges of the whole cells that the span touches: n cells have n + 1 edges, in minutes."""
    if grain is Grain.DAY:
        return boundaries(zone, span, Granularity.DAY)
    day = _first(span.start.astimezone(zone).date(), grain)
    found = [_start(zone, day)]
    while found[-1] < span.minutes[1]:
        day = _following(day, grain)
        found.append(_start(zone, day))
    return found


def _first(day: date, grain: Grain) -> date:
    return day.replace(day=1) if grain is Grain.MONTH else day - timedelta(days=day.weekday())


def _following(day: date, grain: Grain) -> date:
    return _first(day + timedelta(days=31), grain) if grain is Grain.MONTH else day + timedelta(days=7)


def _start(zone: ZoneInfo, day: date) -> int:
    return minute_of(floor_minute(day_start(zone, day)))


def folded(edges: Sequence[int], keys: int, shares: Sequence[Share]) -> Minutes:
    """Core-minutes by key and cell; what lies outside of the cells is cut off. O(shares + keys * cells).

    At each edge, what a share has gathered by then is `cores * (edge - start)` once it has begun, less
    `cores * (edge - end)` once it is over: both sides of every share are steps of one running sum.
    """
    marks = np.array(edges, dtype=np.int64)
    row, start, end, cores = np.array(shares, dtype=np.int64).reshape(-1, 4).T
    at = np.clip(np.concatenate([start, end]), marks[0], marks[-1])
    steps = np.concatenate([cores, -cores])
    cell = np.concatenate([row, row]), np.searchsorted(marks, at)
    slope, offset = (np.zeros((keys, len(marks)), dtype=np.int64) for _ in range(2))
    np.add.at(slope, cell, steps)
    np.add.at(offset, cell, steps * (at - marks[0]))
    gathered = slope.cumsum(axis=1) * (marks - marks[0]) - offset.cumsum(axis=1)
    sums: Minutes = np.diff(gathered, axis=1)
    return sums
