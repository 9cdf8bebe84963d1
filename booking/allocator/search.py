"""Search: the earliest spans that fit, and how far a span may grow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from booking.allocator.alternatives import Alternative, Kind, Wish, alternatives
from booking.allocator.grid import grid_over
from booking.allocator.resources import Resources
from booking.allocator.runs import Place, free_runs, until
from booking.allocator.span import Span, instant_of, minute_of
from booking.allocator.timeline import Segment

__all__ = [
    "Alternative",
    "Extension",
    "Kind",
    "Place",
    "Wish",
    "alternatives",
    "extension",
    "find_slots",
    "latest_end",
]
_MONTH = 31 * 24 * 60


def find_slots(place: Place, demand: Resources, length: timedelta, window: Span, limit: int) -> list[Span]:
    """The earliest aligned spans of that length in the window that fit, in order; each start counts.

    In a day pool a length of whole days means civil days. All other lengths are elapsed time, and an
    end that would fall inside a cell becomes the end of that cell. O(slots).

    :raises ValueError: if the length is not positive.
    """
    runs = free_runs(place, demand, window)
    edges, ends = runs.grid.edges, runs.grid.ends(length)
    starts = np.arange(len(edges), dtype=np.int64)
    found = np.flatnonzero(runs.fit(starts, ends))[: max(limit, 0)]
    return [Span.of_minutes(int(edges[index]), int(edges[ends[index]])) for index in found]


@dataclass(frozen=True, slots=True)
class Extension:
    """How far a span may grow: until when, and what stands there; None if it is the horizon."""

    until: datetime
    reason: Segment | None


def extension(place: Place, demand: Resources, span: Span) -> Extension:
    """How far the end of a span that is already promised may move, and the first segment in the way.

    The room must count the span itself as taken, as the timeline of a promised reservation does. The
    segment is told for a month at most.
    """
    start = span.minutes[1]
    last = min(minute_of(place.horizon), place.timeline.end)
    if not place.timeline.base <= start < last:
        return Extension(span.end, None)
    free_until = min(int(until(place, demand, np.array([start], dtype=np.int64))[0]), last)
    reason = None
    if free_until < last:
        reason = place.timeline.segments(free_until, min(last, free_until + _MONTH))[0]
    if free_until == start:
        return Extension(span.end, reason)
    edges = grid_over(place.zone, Span.of_minutes(start, free_until), place.granularity).edges
    return Extension(instant_of(int(edges[-1])) if len(edges) else span.end, reason)


def latest_end(place: Place, demand: Resources, span: Span) -> datetime:
    """The latest end to which a promised span may be extended; its own end if it cannot grow."""
    return extension(place, demand, span).until
