"""Availability: how many of a package fit, per cell, computed and never stored.

Time is reduced first, the division comes once at the end: floor and minimum commute.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from booking.allocator.package import Sharing
from booking.allocator.resources import KINDS, Resources
from booking.allocator.timeline import Amounts, Side, Timeline

Counts = npt.NDArray[np.int64]


def free(timeline: Timeline, sharing: Sharing) -> Amounts:
    """What a demand of that sharing is measured against, by `[kind, slot]`."""
    return timeline.shared_room if sharing is Sharing.SHARED else timeline.available


def level0_room(timeline: Timeline, reserve: Resources) -> Amounts:
    """What level 0 may still take of its standing reservation; always shared."""
    room = timeline.ratio.room(np.array(reserve.vector(), dtype=np.int64))
    return room[:, None] - timeline.side(Side.LEVEL0)


def counts(
    timeline: Timeline, room: Amounts, edges: Sequence[int], demands: Sequence[Resources]
) -> tuple[Counts, Counts]:
    """`count` and `best` by `[package, cell]`: how many fit for the whole cell, and at its best moment.

    `edges` are the n + 1 boundaries of n cells in minutes, within the timeline; an edge may fall
    inside a slot, since amounts are constant there. Negative room counts as none. A best moment is one
    moment for all kinds together, hence the division before the maximum there. O(packages x kinds x slots).
    """
    first, last = timeline.slot_range(edges[0], edges[-1])
    ends = np.asarray(edges, dtype=np.int64)
    low = np.searchsorted(timeline.marks, ends[:-1], side="right") - 1
    high = np.searchsorted(timeline.marks, ends[1:])
    # One column more than is read: reduceat takes no index at the very end.
    window = np.zeros((room.shape[0], last - first + 1), dtype=np.int64)
    np.maximum(room[:, first:last], 0, out=window[:, :-1])
    pairs = np.empty(2 * len(low), dtype=np.int64)
    pairs[0::2], pairs[1::2] = low - first, high - first
    least = np.minimum.reduceat(window, pairs, axis=1)[:, 0::2]
    need = np.array([demand.vector() for demand in demands], dtype=np.int64).reshape(-1, len(KINDS))
    best = np.maximum.reduceat(_times(window, need), pairs, axis=1)[:, 0::2]
    # Floor, minimum and maximum commute. The quotients are exact to the unit below 2^53.
    return np.floor(_times(least, need)).astype(np.int64), np.floor(best).astype(np.int64)


def _times(room: Amounts, need: Amounts) -> npt.NDArray[np.float64]:
    """How many times each need goes into the room, per column: the least over the kinds it asks for.

    :raises ValueError: if a need asks for nothing.
    """
    if not (need > 0).any(axis=1).all():
        raise ValueError("a demand asks for at least one kind")
    times = np.full((len(need), room.shape[1]), np.inf)
    for kind, amounts in enumerate(need.T):
        asked = amounts > 0
        times[asked] = np.minimum(times[asked], room[kind] / amounts[asked, None])
    return times


def fits(timeline: Timeline, room: Amounts, minutes: tuple[int, int], demand: Resources) -> bool:
    """Whether one more of the demand fits at every moment of `[start, end)` minutes."""
    first, last = timeline.slot_range(*minutes)
    need = np.array(demand.vector(), dtype=np.int64)[:, None]
    asked = need[:, 0] > 0
    return bool((room[asked, first:last] >= need[asked]).all())
