"""Runs: from each cell edge, until when a demand fits; every search reads this one array."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from booking.allocator.cells import Granularity
from booking.allocator.grid import Grid, Minutes, grid_over
from booking.allocator.resources import Resources
from booking.allocator.span import Span, minute_of
from booking.allocator.timeline import Amounts, Timeline

_MINUTE = timedelta(minutes=1)
_NOTHING = np.empty(0, dtype=np.int64)


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
    first, last = _known(place, window)
    if first >= last:
        return Runs(Grid(place.granularity, _NOTHING, _NOTHING), _NOTHING)
    grid = grid_over(place.zone, first, last, place.granularity)
    return Runs(grid, until(place, demand, grid.edges))


def _known(place: Place, window: Span | None) -> tuple[int, int]:
    """From which minute to which anything may be searched; the first is not before the last if nowhere."""
    first = max(minute_of(place.start_from), place.timeline.base)
    last = min(minute_of(place.horizon), place.timeline.end)
    if window is None:
        return first, last
    start, end = window.minutes
    return max(first, start), min(last, end)


def free_pieces(
    place: Place, demand: Resources, window: Span, shortest: timedelta
) -> tuple[Minutes, Minutes]:
    """Where the maximal pieces within a window begin and end in which the demand fits, in order; none shorter.

    Far cheaper than the runs where few are looked at: nothing is asked of edges outside of them.
    """
    first, last = _known(place, window)
    if first >= last:
        return _NOTHING, _NOTHING
    low, high = place.timeline.slot_range(first, last)
    # With a slot before and one after, in which nothing fits: so every piece has a start and an end.
    fits = np.zeros(high - low + 2, dtype=np.bool_)
    _fitting(place.room[:, low:high], demand, fits[1:-1])
    (changes,) = (fits[1:] != fits[:-1]).nonzero()
    marks = place.timeline.marks.take(low + changes)
    starts, ends = np.maximum(marks[0::2], first), np.minimum(marks[1::2], last)
    long = ends - starts >= shortest // _MINUTE
    return starts[long], ends[long]


def _fitting(room: Amounts, demand: Resources, out: npt.NDArray[np.bool_]) -> None:
    """Note in `out` in which slots the demand fits, which asks for at least one kind."""
    (kind, amount), *others = ((kind, amount) for kind, amount in enumerate(demand.vector()) if amount)
    np.greater_equal(room[kind], amount, out=out)
    for kind, amount in others:
        out &= room[kind] >= amount


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
