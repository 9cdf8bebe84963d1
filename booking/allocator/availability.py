"""Availability: how many of a package fit, per cell, computed and never stored.

Time is reduced first, the division comes once at the end: floor and minimum commute.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from booking.allocator.package import Sharing
from booking.allocator.resources import KINDS, Resources
from booking.allocator.timeline import Amounts, Cells, Side, Timeline

Counts = npt.NDArray[np.int64]
AnyAmounts = npt.NDArray[Any]


def free(timeline: Timeline, sharing: Sharing) -> Amounts:
    """What a demand of that sharing is measured against, by `[kind, slot]`."""
    return timeline.shared_room if sharing is Sharing.SHARED else timeline.available


def level0_room(timeline: Timeline, reserve: Resources) -> Amounts:
    """What level 0 may still take of its standing reservation; always shared."""
    room = timeline.ratio.room(np.array(reserve.vector(), dtype=np.int64))
    return room[:, None] - timeline.side(Side.LEVEL0)


class Demands:
    """What several packages ask for, made ready to be counted against whatever room there is.

    :raises ValueError: if one of them asks for nothing.
    """

    def __init__(self, demands: Sequence[Resources]) -> None:
        self._number = len(demands)
        need = np.array([demand.vector() for demand in demands], dtype=np.float64).reshape(-1, len(KINDS))
        asked = need > 0
        if not asked.any(axis=1).all():
            raise ValueError("a demand asks for at least one kind")
        self._kinds = [
            # Where all ask for a kind, nothing is masked; that is so for nearly every package.
            (kind, need[:, kind, None], None if asked[:, kind].all() else asked[:, kind, None])
            for kind in np.flatnonzero(asked.any(axis=0)).tolist()
        ]
        self.kinds = max((kind for kind, *_ in self._kinds), default=0) + 1
        """How many of the kinds, from the first on, hold all that is asked for."""

    def times(self, room: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """How many times each goes into the room, per column: the least over the kinds that it asks for."""
        times: npt.NDArray[np.float64] | None = None
        for kind, amounts, asked in self._kinds:
            if asked is None:
                part = room[kind] / amounts
            else:
                part = np.full((self._number, room.shape[1]), np.inf)
                np.divide(room[kind], amounts, where=asked, out=part)
            times = part if times is None else np.minimum(times, part, out=times)
        return np.empty((0, room.shape[1])) if times is None else times


def counts(timeline: Timeline, room: Amounts, edges: Sequence[int] | Amounts, demands: Demands) -> Counts:
    """How many of each fit for the whole of each cell, by `[package, cell]`.

    `edges` are the n + 1 boundaries of n cells in minutes, within the timeline; an edge may fall
    inside a slot, since amounts are constant there. Negative room counts as none. O(kinds x slots).

    :raises ValueError: if the timeline does not cover the cells.
    """
    cells = timeline.cells(edges)
    return _whole(demands.times(_some(_folded(np.minimum, cells.within(room[: demands.kinds]), cells))))


def best_counts(
    timeline: Timeline, room: Amounts, edges: Sequence[int] | Amounts, demands: Demands
) -> Counts:
    """The same at the best moment of each cell.

    That is one moment for all kinds together, hence the division before the maximum. O(packages x kinds x slots).
    """
    cells = timeline.cells(edges)
    return _whole(_folded(np.maximum, demands.times(_some(cells.within(room[: demands.kinds]))), cells))


def _folded(fold: np.ufunc, amounts: AnyAmounts, cells: Cells) -> AnyAmounts:
    """The least or the most in each cell."""
    # From where a cell begins to where the next does; a last slot that both have comes by itself.
    folded = fold.reduceat(amounts, cells.first, axis=1)
    if cells.last is not None:
        fold(folded, amounts.take(cells.last, axis=1), out=folded)
    return folded


def _some(room: Amounts) -> npt.NDArray[np.float64]:
    """No less than none, as numbers that are divided; exact to the unit below 2^53, as the quotients are."""
    some: npt.NDArray[np.float64] = np.maximum(room, 0.0)
    return some


def _whole(times: npt.NDArray[np.float64]) -> Counts:
    """Floor, minimum and maximum commute."""
    return times.astype(np.int64)


def fits(timeline: Timeline, room: Amounts, minutes: tuple[int, int], demand: Resources) -> bool:
    """Whether one more of the demand fits at every moment of `[start, end)` minutes."""
    first, last = timeline.slot_range(*minutes)
    need = np.array(demand.vector(), dtype=np.int64)[:, None]
    asked = need[:, 0] > 0
    return bool((room[asked, first:last] >= need[asked]).all())
