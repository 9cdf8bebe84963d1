"""Placements: the ways to put the spans of a wish into time where they fit, as columns of arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from booking.allocator.cells import Granularity
from booking.allocator.grid import Minutes, wall_minute
from booking.allocator.runs import Place, Runs
from booking.allocator.span import Span, merged, minute_of

_PIECES = (2, 3, 4)
_DAY = 24 * 60
_LATEST_PIECE = timedelta(days=31)
"""How long after the end that was wished for the pieces of a split are searched."""


@dataclass(frozen=True)
class Placements:
    """Minutes by `[span, placement]`, and the regret of each placement in hours."""

    starts: Minutes
    ends: Minutes
    regrets: npt.NDArray[np.float64]
    pieces: bool = False
    """Whether the spans are pieces of one: those that touch are then one span again."""

    def where(self, mask: npt.NDArray[np.bool_], extra: float = 0.0) -> Placements:
        """Those that the mask keeps, with extra regret."""
        return replace(
            self, starts=self.starts[:, mask], ends=self.ends[:, mask], regrets=self.regrets[mask] + extra
        )

    def order(self) -> npt.NDArray[np.int64]:
        """The placements by regret, the earliest of equals first."""
        return np.lexsort((self.starts[0], self.regrets)).astype(np.int64)

    def spans(self, placement: int) -> tuple[Span, ...]:
        pairs = zip(self.starts[:, placement], self.ends[:, placement], strict=True)
        spans = [Span.of_minutes(int(start), int(end)) for start, end in pairs]
        return tuple(merged(spans) if self.pieces else spans)


def moved(place: Place, runs: Runs, spans: Sequence[Span]) -> Placements:
    """Every time at which the spans fit, their own included: later costs 1 an hour, three quarters at
    the same hour of another day; earlier costs 1.5."""
    starts, ends = _slid(place, runs, spans[0]) if len(spans) == 1 else _shifted(place, runs, spans)
    fit = np.logical_and.reduce([runs.fit(*pair) for pair in zip(starts, ends, strict=True)])
    fit &= (starts[1:] >= ends[:-1]).all(axis=0)
    starts, ends = starts[:, fit], ends[:, fit]
    edges, first = runs.grid.edges, spans[0].minutes[0]
    hours = (edges[starts[0]] - first) / 60
    turned = runs.grid.walls[starts[0]] - wall_minute(place.zone, first)
    same_hour = (turned % _DAY == 0) | (place.granularity is Granularity.DAY)
    regrets = np.where(hours < 0, -1.5 * hours, np.where(same_hour, 0.75, 1.0) * hours)
    return Placements(edges[starts], edges[ends], regrets)


def _slid(place: Place, runs: Runs, span: Span) -> tuple[Minutes, Minutes]:
    """A single span keeps its length and may begin at every edge."""
    ends = runs.grid.ends(_length(place, span))
    return np.arange(len(ends), dtype=np.int64)[None, :], ends[None, :]


def _length(place: Place, span: Span) -> timedelta:
    """The length as the place counts it: civil days in a day pool if the wall clock turns whole days."""
    if place.granularity is Granularity.HOUR:
        return span.length
    start, end = (wall_minute(place.zone, minute) for minute in span.minutes)
    return span.length if (end - start) % _DAY else timedelta(minutes=end - start)


def _shifted(place: Place, runs: Runs, spans: Sequence[Span]) -> tuple[Minutes, Minutes]:
    """Several spans move together, the wall clock at each end kept: by hours up to a day, or by days."""
    walls = np.array([_walls(place, span) for span in spans], dtype=np.int64).T
    shown = runs.grid.walls
    if not len(shown):
        nothing = np.empty((len(spans), 0), dtype=np.int64)
        return nothing, nothing
    ahead = (int(shown[-1]) - int(walls[1].max())) // _DAY + 1
    back = (int(walls[0].min()) - int(shown[0])) // _DAY + 1
    shifts = np.arange(-back, ahead + 1, dtype=np.int64) * _DAY
    if place.granularity is Granularity.HOUR:
        shifts = np.union1d(shifts, np.arange(-23, 24, dtype=np.int64) * 60)
    starts, ends = (runs.grid.first_at_wall(side[:, None] + shifts) for side in walls)
    return starts, ends


def _walls(place: Place, span: Span) -> tuple[int, int]:
    """The wall clock at both ends; in a day pool the midnights of the dates, which need not exist."""
    start, end = span.minutes
    if place.granularity is Granularity.HOUR:
        return wall_minute(place.zone, start), wall_minute(place.zone, end)
    first, last = wall_minute(place.zone, start), wall_minute(place.zone, end - 1)
    return first // _DAY * _DAY, (last // _DAY + 1) * _DAY


def shortened(runs: Runs, span: Span) -> Placements:
    """Every beginning and every rest of every free run within the span, less than the whole: 2 for each
    hour lost. On days of 23 hours the rest may be the longer one."""
    start, end = span.minutes
    inside = runs.within(start, end)
    edges = inside.grid.edges
    free = inside.until[:-1] >= edges[1:]
    begins = free & ~np.concatenate([[False], free])[:-1]
    begin = np.maximum.accumulate(np.where(begins, np.arange(len(free)), 0))
    stop = np.searchsorted(edges, inside.until[:-1], side="right") - 1
    rest = free & ~begins
    starts = np.concatenate([edges[begin[free]], edges[:-1][rest]])
    ends = np.concatenate([edges[1:][free], edges[stop[rest]]])
    lost = end - start - (ends - starts)
    return Placements(starts[None, :], ends[None, :], 2 * lost / 60).where(lost > 0)


def split(place: Place, runs: Runs, span: Span) -> Iterator[Placements]:
    """The span in two, three and four pieces, each where it first fits after the one before: 10 for each
    extra piece and 1 for each hour that the last one ends later."""
    length = _length(place, span)
    near = runs.within(span.minutes[0], minute_of(span.end + length + _LATEST_PIECE))
    for lengths in _piece_lengths(place, length):
        yield _chained(near, span, lengths)


def _piece_lengths(place: Place, length: timedelta) -> Iterator[list[timedelta]]:
    """Equal pieces in whole cells, the last one no longer than the others."""
    cell = timedelta(days=1) if place.granularity is Granularity.DAY else timedelta(hours=1)
    for count in _PIECES:
        piece = -(-length // (count * cell)) * cell
        if (rest := length - piece * (count - 1)) > timedelta(0):
            yield [piece] * (count - 1) + [rest]


def _chained(runs: Runs, span: Span, lengths: Sequence[timedelta]) -> Placements:
    edges = runs.grid.edges
    every = np.arange(len(edges), dtype=np.int64)
    starts: list[Minutes] = []
    ends: list[Minutes] = []
    for length in lengths:
        stops = runs.grid.ends(length)
        fits = runs.fit(every, stops)
        if ends:
            # From each edge the next one that fits; one more entry stands for "none".
            following = np.append(np.where(fits, every, len(every)), len(every))
            start = np.minimum.accumulate(following[::-1])[::-1][ends[-1]]
        else:
            start = every[fits]
        starts.append(start)
        ends.append(np.append(stops, len(every))[start])
    inside = starts[-1] < len(every)
    first, last = np.array(starts)[:, inside], np.array(ends)[:, inside]
    apart = (first[1:] > last[:-1]).sum(axis=0)
    regrets = 10.0 * apart + (edges[last[-1]] - span.minutes[1]) / 60
    return Placements(edges[first], edges[last], regrets, pieces=True).where(apart > 0)
