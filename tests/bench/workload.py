"""The bookings that everybody answers for, drawn from a seed, and the true answers to what is asked.

It needs numpy alone, because the rivals run in an environment of their own and draw the same bookings there.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

ZONE = ZoneInfo("Europe/London")
DAYS = 70
HOUR, DAY = 60, 24 * 60
"""In minutes, as all times here: whole minutes since 1970 in UTC."""
PAST, AHEAD, ASKED = 4 * 365, 365, 90
"""In days: the bookings reach from four years ago to one year ahead; the calendar begins in ninety days."""
LONGEST = 60 * 24
"""Hours of the longest booking."""
_MEAN_HOURS, _SIGMA = 63, 1.0
_ALIGNED = 0.6
_WINDOWS = 20
_SPARE = 1.25
"""How much a pool has of what it was ever asked for at once."""
SIZES: tuple[tuple[int, int, int, int], ...] = tuple(
    (1, 4096, cores, cores * (2048, 4096, 8192)[cores % 3]) for cores in range(1, 13)
)
"""Twelve packages: cores and MiB of the notebook, cores and MiB of the worker."""
DEMANDS: Ints = np.array([(a + c, b + d) for a, b, c, d in SIZES], dtype=np.int64)


class Taken(NamedTuple):
    """What is taken of one pool: reservations, and after them the maintenance windows."""

    start: Ints
    end: Ints
    cores: Ints
    memory: Ints


class Window(NamedTuple):
    """A question for one package: does it fit from then to then?"""

    start: int
    end: int
    package: int


@dataclass(frozen=True)
class Workload:
    """So many reservations in so many pools."""

    n: int
    seed: int
    today: date
    pools: int = 1

    @property
    def now(self) -> int:
        """The midnight with which today begins in UTC."""
        midnight = datetime(self.today.year, self.today.month, self.today.day, tzinfo=UTC)
        return int(midnight.timestamp()) // 60

    @property
    def first(self) -> int:
        """With which minute everything begins."""
        return self.now - PAST * DAY

    def _chance(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.n, self.pools, purpose])

    @cached_property
    def _all(self) -> tuple[Ints, Taken]:
        chance, n = self._chance(1), self.n
        hours = np.exp(chance.normal(np.log(_MEAN_HOURS) - _SIGMA**2 / 2, _SIGMA, n)).astype(np.int64)
        start = chance.integers(0, (PAST + AHEAD) * 24, n)
        length = np.clip(hours, 1, LONGEST)
        aligned = chance.random(n) < _ALIGNED
        start[aligned] -= start[aligned] % 24
        length[aligned] += -length[aligned] % 24
        size = DEMANDS[chance.integers(0, len(DEMANDS), n)]
        begins = self.first + HOUR * start
        pool = chance.integers(0, self.pools, n)
        return pool, Taken(begins, begins + HOUR * length, size[:, 0], size[:, 1])

    @cached_property
    def _windows(self) -> tuple[Ints, Ints, Ints]:
        """Start, end and share in percent of the maintenance windows, by pool."""
        drawn = self._chance(2)
        shape = (self.pools, _WINDOWS)
        start = self.first + HOUR * drawn.integers(0, (PAST + AHEAD) * 24, shape)
        return start, start + HOUR * drawn.integers(4, 49, shape), drawn.integers(2, 9, shape)

    def reservations(self, pool: int = 0) -> Taken:
        """What people have booked in a pool."""
        owner, taken = self._all
        if self.pools == 1:
            return taken
        mine = owner == pool
        return Taken(*(column[mine] for column in taken))

    def capacity(self, pool: int = 0) -> Ints:
        """What a pool owns of each kind: it was never quite full."""
        peak = -room_by_hour(self, self.reservations(pool), np.zeros(2, dtype=np.int64)).min(axis=1)
        owned: Ints = np.maximum((peak * _SPARE).astype(np.int64), 4 * DEMANDS.max(axis=0))
        return owned

    def windows(self, pool: int = 0) -> Taken:
        """When how much of a pool is withdrawn for maintenance."""
        start, end, share = (column[pool] for column in self._windows)
        cores, memory = self.capacity(pool)
        return Taken(start, end, cores * share // 100, memory * share // 100)

    def taken(self, pool: int = 0, most: int | None = None) -> Taken:
        """Everything that is taken of a pool; of the first `most` reservations only, where so many is said."""
        booked = Taken(*(column[:most] for column in self.reservations(pool)))
        return Taken(*(np.concatenate(pair) for pair in zip(booked, self.windows(pool), strict=True)))

    @property
    def edges(self) -> Ints:
        """The local midnights of the calendar that is asked for."""
        first = self.today + timedelta(days=ASKED)
        days = [first + timedelta(days=number) for number in range(DAYS + 1)]
        return np.array([_midnight(day) for day in days], dtype=np.int64)

    @property
    def window(self) -> Window:
        """Three local days in the middle of the calendar, and a package of middle size."""
        edges = self.edges
        return Window(int(edges[30]), int(edges[33]), 6)


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=ZONE).timestamp()) // 60


def room_by_hour(workload: Workload, taken: Taken, capacity: Ints) -> Ints:
    """What is left of each kind, for every hour of everything: the truth, by addition alone."""
    hours = (PAST + AHEAD) * 24 + LONGEST + 72
    change = np.zeros((2, hours), dtype=np.int64)
    first, last = (taken.start - workload.first) // HOUR, (taken.end - workload.first) // HOUR
    for kind, amount in enumerate((taken.cores, taken.memory)):
        np.add.at(change[kind], first, amount)
        np.subtract.at(change[kind], last, amount)
    return np.asarray(capacity[:, None] - np.cumsum(change, axis=1), dtype=np.int64)


@dataclass(frozen=True)
class Truth:
    """The answers that anybody must give about one pool before they are timed."""

    workload: Workload
    room: Ints

    @classmethod
    def of(cls, workload: Workload, pool: int = 0, most: int | None = None) -> Truth:
        taken = workload.taken(pool, most)
        return cls(workload, room_by_hour(workload, taken, workload.capacity(pool)))

    def _fits(self, start: int, end: int) -> list[int]:
        first, last = ((minute - self.workload.first) // HOUR for minute in (start, end))
        least = [int(min(kind)) for kind in self.room[:, first:last].tolist()]
        return [max(0, min(least[0] // int(c), least[1] // int(m))) for c, m in DEMANDS]

    def calendar(self, edges: Ints | None = None) -> list[list[int]]:
        """How many of each package fit in each cell, by package."""
        minutes = self.workload.edges if edges is None else edges
        cells = [self._fits(int(a), int(b)) for a, b in itertools.pairwise(minutes)]
        return [list(row) for row in zip(*cells, strict=True)]

    def fits(self, window: Window) -> int:
        """How many of the package fit in the window."""
        return self._fits(window.start, window.end)[window.package]

    def hardest(self, hours: int) -> tuple[int, int]:
        """The most cores that fit for so many hours at any time within a year, and when they first do."""
        now = (self.workload.now - self.workload.first) // HOUR
        year = self.room[0, now : now + AHEAD * 24]
        least = np.lib.stride_tricks.sliding_window_view(year, hours).min(axis=1)
        best = int(np.argmax(least))
        return int(least[best]), self.workload.now + best * HOUR
