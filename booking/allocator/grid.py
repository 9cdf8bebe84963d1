"""Grids: the cell edges of a zone as arrays, in minutes, with the wall clock at each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from booking.allocator.cells import Granularity, boundaries, offsets
from booking.allocator.span import Span, instant_of

Minutes = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Grid:
    """Edges in UTC minutes, ascending, and the minutes that the wall clock shows at each."""

    granularity: Granularity
    edges: Minutes
    walls: Minutes

    def within(self, start: int, end: int) -> Grid:
        """The edges of `[start, end]`, both ends included."""
        first, last = self.edges.searchsorted((start, end + 1))
        return Grid(self.granularity, self.edges[first:last], self.walls[first:last])

    def ends(self, length: timedelta, begins: Indices | None = None) -> Indices:
        """For each edge as a start, the index of the end; the number of edges or more where it lies beyond them.

        On a day grid whole days are civil days: the n-th later edge. All else is elapsed time, up to
        the next edge. Of the edges with the indices `begins` only, where they are told.

        :raises ValueError: if the length is not positive.
        """
        if length <= timedelta(0):
            raise ValueError("a length is more than nothing")
        if self.granularity is Granularity.DAY and not length % _DAY:
            return (np.arange(len(self.edges)) if begins is None else begins) + length // _DAY
        starts = self.edges if begins is None else self.edges.take(begins)
        return self.edges.searchsorted(starts - (-length // _MINUTE))

    @cached_property
    def _reached(self) -> Minutes:
        return np.maximum.accumulate(self.walls)

    def first_at_wall(self, walls: Minutes) -> Minutes:
        """The index of the first edge at which the wall clock has reached each of the wall minutes.

        A wall time that occurs twice is its first occurrence, one that does not exist moves forward to
        the first that does. Outside the grid, which has at least one edge, the answer is their number.
        """
        found = np.searchsorted(self._reached, walls).astype(np.int64)
        return np.where(walls < self.walls[0], len(self.edges), found)


def grid_over(zone: ZoneInfo, start: int, end: int, granularity: Granularity) -> Grid:
    """The grid of the edges within `[start, end]` minutes, both ends included; whole years of it are kept."""
    years = _years(zone, instant_of(start).year - 1, instant_of(end).year + 1, granularity)
    return years.within(start, end)


def wall_minute(zone: ZoneInfo, minute: int) -> int:
    """The minutes since 1970 that the wall clock shows at a minute of UTC."""
    return minute + offsets(zone, Span.of_minutes(minute, minute + 1))[0][1]


@lru_cache(maxsize=64)
def _years(zone: ZoneInfo, first: int, last: int, granularity: Granularity) -> Grid:
    span = Span(datetime(first, 1, 1, tzinfo=UTC), datetime(last + 1, 1, 1, tzinfo=UTC))
    edges = np.array(boundaries(zone, span, granularity), dtype=np.int64)
    wide = Span(instant_of(int(edges[0])), instant_of(int(edges[-1])))
    pieces = np.array(offsets(zone, wide), dtype=np.int64)
    at = np.searchsorted(pieces[:, 0], edges, side="right") - 1
    return Grid(granularity, edges, edges + pieces[at, 1])
