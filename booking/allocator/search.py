"""Search: the earliest spans that fit, and how far a span may grow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from booking.allocator.alternatives import Alternative, Kind, Wish, alternatives, nearest
from booking.allocator.cells import Granularity
from booking.allocator.grid import Grid, Indices, grid_over
from booking.allocator.resources import Resources
from booking.allocator.runs import Place, free_pieces, until
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
    "nearest",
]
_MONTH = 31 * 24 * 60
_FORWARD = timedelta(hours=12)
"""How much shorter days may be together than as many times 24 hours: no clock has gone forward by more."""


def find_slots(place: Place, demand: Resources, length: timedelta, window: Span, limit: int) -> list[Span]:
    """The earliest aligned spans of that length in the window that fit, in order; each start counts.

    In a day pool a length of whole days means civil days. All other lengths are elapsed time, and an
    end that would fall inside a cell becomes the end of that cell. O(slots).

    :raises ValueError: if the length is not positive.
    """
    if length <= timedelta(0):
        raise ValueError("a length is more than nothing")
    shortest = length - _FORWARD if place.granularity is Granularity.DAY else length
    starts, ends = free_pieces(place, demand, window, shortest)
    if not len(starts):
        return []
    grid = grid_over(place.zone, int(starts[0]), int(ends[-1]), place.granularity)
    edges = grid.edges
    begins, lasts = edges.searchsorted(starts), edges.searchsorted(ends, side="right") - 1
    found: list[Span] = []
    for piece in _holding(grid, length, begins, lasts):
        # Whoever begins later ends later, so those that fit are the first.
        begin = np.arange(begins[piece], min(begins[piece] + limit - len(found), lasts[piece]))
        end = grid.ends(length, begin)
        end = end[end <= lasts[piece]]
        pairs = zip(edges[begin[: len(end)]].tolist(), edges[end].tolist(), strict=True)
        found += (Span.of_minutes(*pair) for pair in pairs)
        if len(found) >= limit:
            break
    return found


def _holding(grid: Grid, length: timedelta, begins: Indices, lasts: Indices) -> list[int]:
    """Which of the pieces between those edges hold a span of that length from their first edge on."""
    (some,) = (begins < lasts).nonzero()
    holding: list[int] = some[grid.ends(length, begins[some]) <= lasts[some]].tolist()
    return holding


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
    edges = grid_over(place.zone, start, free_until, place.granularity).edges
    return Extension(instant_of(int(edges[-1])) if len(edges) else span.end, reason)


def latest_end(place: Place, demand: Resources, span: Span) -> datetime:
    """The latest end to which a promised span may be extended; its own end if it cannot grow."""
    return extension(place, demand, span).until
