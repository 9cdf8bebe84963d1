"""Runs: from each cell edge, until when a demand fits; every search reads this one array."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from booking.allocator.cells import Granularity
from booking.allocator.grid import Grid, Minutes, grid_over
from booking.allocator.resources import Resources
from booking.allocator.span import Span, minute_of
from booking.allocator.timeline import Amounts, Timeline


@dataclass(frozen=True)
class Place:
    """A pool as a search sees it: its grid, its timeline, and the room for one way of sharing.

    Spans start at `start_from` (the start of the current cell) or later and end at `horizon` or before.
    """

    pool_id: str
    zone: ZoneInfo
    granularity: Granularity
    timeline: Timeline
    room: Amounts
    start_from: datetime
    horizon: datetime


@dataclass(frozen=True)
class Runs:
    """For each edge of a grid, the minute until which the demand fits; the edge itself where it does not."""

    grid: Grid
    until: Minutes

    def within(self, start: int, end: int) -> Runs:
        """The runs from the edges of `[start, end]`, both ends included."""
        first, last = np.searchsorted(self.grid.edges, (start, end + 1))
        return Runs(self.grid.within(start, end), self.until[first:last])

    def fit(self, starts: Minutes, ends: Minutes) -> npt.NDArray[np.bool_]:
        """Whether the demand fits from edge to edge; indices beyond the grid never do."""
        inside = (starts < ends) & (ends < len(self.grid.edges))
        fits = np.zeros(inside.shape, dtype=np.bool_)
        fits[inside] = self.until[starts[inside]] >= self.grid.edges[ends[inside]]
        return fits


def free_runs(place: Place, demand: Resources, window: Span | None = None) -> Runs:
    """The runs of a place within a window; beyond the timeline nothing is known, so nothing fits."""
    timeline = place.timeline
    first = max(minute_of(place.start_from), timeline.base)
    last = min(minute_of(place.horizon), timeline.end)
    if window is not None:
        start, end = window.minutes
        first, last = max(first, start), min(last, end)
    if first >= last:
        nothing = np.empty(0, dtype=np.int64)
        return Runs(Grid(place.granularity, nothing, nothing), nothing)
    grid = grid_over(place.zone, Span.of_minutes(first, last), place.granularity)
    return Runs(grid, until(place, demand, grid.edges))


def until(place: Place, demand: Resources, minutes: Minutes) -> Minutes:
    """For each minute within the timeline, the one until which the demand fits; itself where it does not."""
    timeline = place.timeline
    need = np.array(demand.vector(), dtype=np.int64)
    asked = need > 0
    fits = (place.room[asked] >= need[asked, None]).all(axis=0)
    slots = timeline.slots
    # For each slot the first one from it on in which the demand does not fit, and one more for the end.
    stops = np.append(np.where(fits, slots, np.arange(slots)), slots)
    stops = np.minimum.accumulate(stops[::-1])[::-1]
    at = np.searchsorted(timeline.marks, minutes, side="right") - 1
    reached: Minutes = np.maximum(timeline.marks[stops[at]], minutes)
    return reached
