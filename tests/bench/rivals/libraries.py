"""Libraries for intervals, each put to use as well as it can be: one look-up for a calendar, then one sweep."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tests.bench.workload import DEMANDS, HOUR, Ints, Taken, Window, Workload


def times(room: Ints) -> list[list[int]]:
    """How many of each package fit into the room of each cell."""
    left = np.maximum(room, 0).astype(np.float64)
    fits = np.floor(np.minimum(left[0] / DEMANDS[:, :1], left[1] / DEMANDS[:, 1:])).astype(np.int64)
    counts: list[list[int]] = fits.tolist()
    return counts


class Library(ABC):
    """Answers the questions in memory, by a library."""

    def __init__(self, workload: Workload, most: int) -> None:
        self.workload = workload
        self.capacity = workload.capacity()
        self.build(workload.taken(most=most))

    @abstractmethod
    def build(self, taken: Taken) -> None:
        """Put what is taken into the library's own form."""

    @abstractmethod
    def least(self, edges: Ints) -> Ints:
        """The least room of each kind in each cell."""

    def calendar(self) -> list[list[int]]:
        return times(self.least(self.workload.edges))

    def can_i(self, window: Window) -> int:
        return times(self.least(np.array(window[:2], dtype=np.int64)))[window.package][0]


class Finder(Library):
    """One that finds what overlaps; a sweep of numpy does the rest."""

    @abstractmethod
    def overlapping(self, a: int, b: int) -> tuple[Ints, Ints, Ints, Ints]:
        """Start, end, cores and memory of what overlaps."""

    def least(self, edges: Ints) -> Ints:
        """The least room of each kind in each cell."""
        a, b = int(edges[0]), int(edges[-1])
        start, end, *amounts = self.overlapping(a, b)
        change = np.zeros((2, (b - a) // HOUR + 1), dtype=np.int64)
        first, last = (np.maximum(start, a) - a) // HOUR, (np.minimum(end, b) - a) // HOUR
        for kind, amount in enumerate(amounts):
            np.add.at(change[kind], first, amount)
            np.subtract.at(change[kind], last, amount)
        room = self.capacity[:, None] - np.cumsum(change, axis=1)[:, :-1]
        return np.asarray(np.minimum.reduceat(room, (edges[:-1] - a) // HOUR, axis=1), dtype=np.int64)


class Pandas(Finder):
    """`pandas.IntervalIndex.overlaps` finds the rows."""

    def build(self, taken: Taken) -> None:
        self._pandas: Any = importlib.import_module("pandas")
        self._index = self._pandas.IntervalIndex.from_arrays(taken.start, taken.end, closed="left")
        self._taken = taken

    def overlapping(self, a: int, b: int) -> tuple[Ints, Ints, Ints, Ints]:
        found = self._index.overlaps(self._pandas.Interval(a, b, closed="left"))
        start, end, cores, memory = (column[found] for column in self._taken)
        return start, end, cores, memory


class Tree(Finder):
    """`intervaltree` finds the rows."""

    def build(self, taken: Taken) -> None:
        tree: Any = importlib.import_module("intervaltree")
        columns = [column.tolist() for column in taken]
        self._tree = tree.IntervalTree(
            tree.Interval(start, end, (number, cores, memory))
            for number, (start, end, cores, memory) in enumerate(zip(*columns, strict=True))
        )

    def overlapping(self, a: int, b: int) -> tuple[Ints, Ints, Ints, Ints]:
        found = [(one.begin, one.end, *one.data[1:]) for one in self._tree.overlap(a, b)]
        start, end, cores, memory = np.array(found, dtype=np.int64).reshape(-1, 4).T
        return start, end, cores, memory


class Skyline(Library):
    """A `sortedcontainers.SortedDict` from a minute to what is taken from then on; made by one sweep."""

    def build(self, taken: Taken) -> None:
        sorted_: Any = importlib.import_module("sortedcontainers")
        minutes = np.unique(np.concatenate([taken.start, taken.end]))
        change = np.zeros((2, len(minutes)), dtype=np.int64)
        for kind, amount in enumerate((taken.cores, taken.memory)):
            np.add.at(change[kind], np.searchsorted(minutes, taken.start), amount)
            np.subtract.at(change[kind], np.searchsorted(minutes, taken.end), amount)
        levels = np.cumsum(change, axis=1).T.tolist()
        self._levels = sorted_.SortedDict(zip(minutes.tolist(), levels, strict=True))

    def least(self, edges: Ints) -> Ints:
        rows = [self._peak(a, b) for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]
        return np.asarray(self.capacity[:, None] - np.array(rows, dtype=np.int64).T, dtype=np.int64)

    def _peak(self, a: int, b: int) -> tuple[int, int]:
        before = self._levels.bisect_right(a) - 1
        cores, memory = self._levels.peekitem(before)[1] if before >= 0 else (0, 0)
        for minute in self._levels.irange(a, b, inclusive=(False, False)):
            more_cores, more_memory = self._levels[minute]
            cores, memory = max(cores, more_cores), max(memory, more_memory)
        return cores, memory


class Portion(Library):
    """`portion.IntervalDict`: what is taken, by interval, combined one booking after the other."""

    def build(self, taken: Taken) -> None:
        self._portion: Any = importlib.import_module("portion")
        levels = self._portion.IntervalDict()
        columns = [column.tolist() for column in taken]
        for start, end, cores, memory in zip(*columns, strict=True):
            one = self._portion.IntervalDict({self._portion.closedopen(start, end): (cores, memory)})
            levels = levels.combine(one, how=_added)
        self._levels = levels

    def least(self, edges: Ints) -> Ints:
        rows = [self._peak(a, b) for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]
        return np.asarray(self.capacity[:, None] - np.array(rows, dtype=np.int64).T, dtype=np.int64)

    def _peak(self, a: int, b: int) -> tuple[int, int]:
        values: Iterable[tuple[int, int]] = self._levels[self._portion.closedopen(a, b)].values()
        cores, memory = zip((0, 0), *values, strict=True)
        return max(cores), max(memory)


def _added(left: tuple[int, int], right: tuple[int, int]) -> tuple[int, int]:
    return left[0] + right[0], left[1] + right[1]


KNOWN: dict[str, Callable[[Workload, int], Library]] = {
    "sortedcontainers": Skyline,
    "portion": Portion,
    "intervaltree": Tree,
    "pandas": Pandas,
}
