"""Timelines: integer resource vectors as step functions of time, kept as arrays of slots.

One :class:`Timeline` holds the sides of one pool over a bounded span. It is immutable: applying
entries makes a new one, so that readers and writers never wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from booking.allocator.resources import KINDS

Amounts = npt.NDArray[np.int64]
AnyAmounts = npt.NDArray[Any]
Slots = npt.NDArray[np.intp]


class Side(StrEnum):
    """Which timeline an entry of the ledger changes."""

    PHYSICAL = "physical"
    RESERVED = "reserved"
    SHARED = "shared"
    LEVEL0 = "level0"
    """What level 0 takes of its standing reservation; it never touches the other sides."""


SIDES: tuple[Side, ...] = tuple(Side)
_SIDE: dict[str, int] = {side: index for index, side in enumerate(SIDES)}
_KIND = {kind: index for index, kind in enumerate(KINDS)}
_MOST_GRIDS = 32
"""Of so many rows of cells a timeline keeps where they lie."""
_FEW = 256
"""Up to so many entries each is added to its own slots; beyond that one running sum is cheaper."""


class Entry(NamedTuple):
    """A signed change of one kind on one side over `[start, end)`, in minutes since the epoch."""

    side: str
    start: int
    end: int
    kind: str
    amount: int


class Segment(NamedTuple):
    """A maximal span on which the timelines are constant; amounts in the order of `KINDS`."""

    start: int
    end: int
    physical: tuple[int, ...]
    reserved: tuple[int, ...]
    available: tuple[int, ...]


class Cells(NamedTuple):
    """Where cells lie in the slots of a timeline, of which they take those from `begin` up to `end`."""

    begin: int
    end: int
    first: Slots
    """Of each cell its first slot, counted from `begin`."""
    last: Slots | None
    """The same of its last one; None where no edge falls inside a slot, so that no two cells have one together."""

    def within(self, amounts: AnyAmounts) -> AnyAmounts:
        """The amounts in the slots of all cells."""
        return amounts[:, self.begin : self.end]


@dataclass(frozen=True)
class ShareRatio:
    """How many shared bookings a resource serves at once, in thousandths (1000 = one)."""

    milli: int = 1000

    def taken(self, shared: Amounts) -> Amounts:
        """What the shared demand takes of a pool: rounded up in total, not per booking."""
        if self.milli == 1000:
            return shared
        return -((-shared * 1000) // self.milli)

    def room(self, free: Amounts) -> Amounts:
        """The greatest shared demand whose :meth:`taken` is at most `free`."""
        if self.milli == 1000:
            return free
        return (free * self.milli) // 1000


@dataclass(frozen=True)
class Timeline:
    """The sides of a pool over `[base, end)`, in slots of any length.

    `marks` are the n + 1 edges of n slots in minutes, ascending; `amounts[side, kind, slot]` is int64 and
    constant between two marks. An entry on an odd minute costs two marks and not a finer grid: one
    booking given back at 10:17 would else make every slot of the pool a minute long. Entries outside the
    covered span are cut to it.
    """

    marks: Amounts
    amounts: Amounts
    ratio: ShareRatio = ShareRatio()

    @classmethod
    def empty(cls, start: int, end: int, *, ratio: ShareRatio | None = None) -> Timeline:
        """Nothing anywhere on `[start, end)`: one slot."""
        amounts = np.zeros((len(SIDES), len(KINDS), 1), dtype=np.int64)
        return cls(np.array([start, end], dtype=np.int64), amounts, ratio or ShareRatio())

    @property
    def slots(self) -> int:
        return len(self.marks) - 1

    @property
    def base(self) -> int:
        return int(self.marks[0])

    @property
    def end(self) -> int:
        return int(self.marks[-1])

    def covers(self, start: int, end: int) -> bool:
        return self.base <= start and end <= self.end

    def applied(self, entries: Iterable[Entry]) -> Timeline:
        """A new timeline with the entries added. O(entries + slots).

        :raises KeyError: if a side or a kind is unknown.
        """
        base, end = self.base, self.end
        within = [entry for entry in entries if entry.start < end and entry.end > base]
        if not within:
            return self
        sides, starts, ends, kinds, amounts = zip(*within, strict=True)
        cut = np.clip(np.array((starts, ends), dtype=np.int64), base, end)
        finer = self._with_marks(np.unique(cut))
        first, last = np.searchsorted(finer.marks, cut)
        rows = [_SIDE[side] * len(KINDS) + _KIND[kind] for side, kind in zip(sides, kinds, strict=True)]
        by_row = finer.amounts.reshape(-1, finer.slots)
        if len(within) <= _FEW:
            for row, left, right, amount in zip(rows, first, last, amounts, strict=True):
                by_row[row, left:right] += amount
            return finer
        width = finer.slots + 1
        changes = np.zeros(len(by_row) * width, dtype=np.int64)
        offset = np.array(rows, dtype=np.int64) * width
        np.add.at(changes, offset + first, np.array(amounts, dtype=np.int64))
        np.subtract.at(changes, offset + last, np.array(amounts, dtype=np.int64))
        by_row += np.cumsum(changes.reshape(-1, width), axis=1)[:, :-1]
        return finer

    def _with_marks(self, minutes: Amounts) -> Timeline:
        """A copy of its own, with marks at those minutes too."""
        new = minutes[self.marks[np.searchsorted(self.marks, minutes)] != minutes]
        if not len(new):
            return Timeline(self.marks, self.amounts.copy(), self.ratio)
        marks = np.sort(np.concatenate([self.marks, new]))
        slot = np.searchsorted(self.marks, marks[:-1], side="right") - 1
        return Timeline(marks, np.ascontiguousarray(self.amounts[:, :, slot]), self.ratio)

    def side(self, side: Side) -> Amounts:
        """The vector of one side by `[kind, slot]`."""
        side_amounts: Amounts = self.amounts[_SIDE[side]]
        return side_amounts

    @cached_property
    def reserved(self) -> Amounts:
        """reserved(t) = sum of reserved + ceil(sum of shared / share ratio), per kind."""
        return self.side(Side.RESERVED) + self.ratio.taken(self.side(Side.SHARED))

    @cached_property
    def available(self) -> Amounts:
        """available(t) = physical(t) - reserved(t); negative where capacity was cut below promises."""
        return self.side(Side.PHYSICAL) - self.reserved

    @cached_property
    def shared_room(self) -> Amounts:
        """How much more shared demand fits under the same formula."""
        room = self.ratio.room(self.side(Side.PHYSICAL) - self.side(Side.RESERVED))
        return room - self.side(Side.SHARED)

    def slot_range(self, start: int, end: int) -> tuple[int, int]:
        """The slots that `[start, end)` touches.

        :raises ValueError: if the minutes are not within the covered span.
        """
        if not self.covers(start, end):
            raise ValueError("the timeline does not cover that span")
        first = int(self.marks.searchsorted(start, side="right")) - 1
        return first, int(self.marks.searchsorted(end))

    def cells(self, edges: Sequence[int] | Amounts) -> Cells:
        """Where the cells between these n + 1 minutes lie, in order.

        An array that nobody can change is known again by itself: to find its cells costs more than to count in them.

        :raises ValueError: if the minutes are not within the covered span.
        """
        known = self._cells.get(id(edges))
        if known is not None and known[0] is edges:
            return known[1]
        minutes = np.asarray(edges, dtype=np.int64)
        found = self._found(minutes)
        if minutes is edges and not minutes.flags.writeable:
            if len(self._cells) >= _MOST_GRIDS:
                self._cells.clear()
            self._cells[id(edges)] = minutes, found
        return found

    @cached_property
    def _cells(self) -> dict[int, tuple[Amounts, Cells]]:
        """By the identity of the array, which is kept with it so that no other one takes that."""
        return {}

    def _found(self, minutes: Amounts) -> Cells:
        if not self.covers(int(minutes[0]), int(minutes[-1])):
            raise ValueError("the timeline does not cover these cells")
        following = self.marks.searchsorted(minutes)
        inside = self.marks[following] != minutes
        holding = following - inside
        begin = int(holding[0])
        last = following[1:] - (begin + 1) if inside.any() else None
        return Cells(begin, int(following[-1]), holding[:-1] - begin, last)

    def part(self, start: int, end: int) -> Timeline:
        """The same over the slots that `[start, end)` touches alone; nothing is copied.

        :raises ValueError: if the minutes are not within the covered span.
        """
        first, last = self.slot_range(start, end)
        return Timeline(self.marks[first : last + 1], self.amounts[:, :, first:last], self.ratio)

    def segments(self, start: int, end: int) -> list[Segment]:
        """The step functions over `[start, end)`, clipped at zero as they are shown."""
        first, last = self.slot_range(start, end)
        parts = (self.side(Side.PHYSICAL), self.reserved, self.available)
        shown = np.concatenate([np.maximum(part[:, first:last], 0) for part in parts])
        change = np.flatnonzero((np.diff(shown, axis=1) != 0).any(axis=0)) + 1
        edges = [first, *(int(index) + first for index in change), last]
        width = len(KINDS)
        result = []
        for left, right in pairwise(edges):
            column = [int(value) for value in shown[:, left - first]]
            result.append(
                Segment(
                    max(start, int(self.marks[left])),
                    min(end, int(self.marks[right])),
                    tuple(column[:width]),
                    tuple(column[width : 2 * width]),
                    tuple(column[2 * width :]),
                )
            )
        return result
