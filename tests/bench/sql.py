"""The rivals in SQL, on the same server or file, through the bare driver, over `bench_taken`."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import psycopg

from tests.bench import ours
from tests.bench.measure import Case, timed
from tests.bench.workload import AHEAD, DAY, DEMANDS, HOUR, LONGEST, Ints, Truth
from tests.bench.world import World
from tests.support.postgres import conninfo

EXACT = "exact SQL: changes grouped by time"
NAIVE = "naive SQL: a sum for each day"
BARE = "the driver's bare SELECT"
_WITHIN = 'pool_id = %(pool)s AND "end" > %(a)s AND "end" < %(b)s'
_EXACT = f"""
SELECT t, sum(c), sum(m) FROM (
  SELECT CASE WHEN start < %(a)s THEN %(a)s ELSE start END AS t, cores AS c, memory_mib AS m
  FROM bench_taken WHERE {_WITHIN.replace("%(b)s", "%(last)s")} AND start < %(b)s
  UNION ALL
  SELECT "end", -cores, -memory_mib FROM bench_taken WHERE {_WITHIN}
) AS changes GROUP BY t"""
_NAIVE = f"""
SELECT coalesce(sum(cores), 0), coalesce(sum(memory_mib), 0)
FROM bench_taken WHERE {_WITHIN.replace("%(b)s", "%(last)s")} AND start < %(b)s"""
_ONE = "SELECT generation FROM pool WHERE id = %(pool)s"


class Sql:
    """The questions, put to a database; no booking is longer than it is told, which spares it most rows."""

    def __init__(self, world: World, truth: Truth, stack: ExitStack) -> None:
        self.world, self.truth = world, truth
        self._capacity = world.workload.capacity()
        self._longest = LONGEST * HOUR
        self._connection: Any
        if world.database == "postgresql":
            self._connection = psycopg.connect(conninfo(world.url), autocommit=True, prepare_threshold=0)
        else:
            self._connection = sqlite3.connect(str(world.url.database), isolation_level=None)
        stack.callback(self._connection.close)
        self._texts = {text: self._own(text) for text in (_EXACT, _NAIVE, _ONE)}

    def _own(self, text: str) -> Any:
        if self.world.database == "postgresql":
            return text.encode()
        for name in ("pool", "a", "b", "last"):
            text = text.replace(f"%({name})s", f":{name}")
        return text

    def _ask(self, text: str, a: int = 0, b: int = 0) -> list[Any]:
        values = {"pool": self.world.pool_ids[0], "a": a, "b": b, "last": b + self._longest}
        rows: list[Any] = self._connection.execute(self._texts[text], values).fetchall()
        return rows

    def _room(self, a: int, b: int) -> Ints:
        """What is left in each hour, from the grouped changes."""
        rows = self._ask(_EXACT, a, b)
        change = np.zeros((2, (b - a) // HOUR), dtype=np.int64)
        if rows:
            times, cores, memory = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
            change[:, (times - a) // HOUR] = cores, memory
        return np.asarray(self._capacity[:, None] - np.cumsum(change, axis=1), dtype=np.int64)

    def calendar(self, edges: Ints | None = None) -> list[list[int]]:
        minutes = self.world.workload.edges if edges is None else edges
        room = self._room(int(minutes[0]), int(minutes[-1]))
        least = np.minimum.reduceat(room, (minutes[:-1] - minutes[0]) // HOUR, axis=1)
        return times(least)

    def naive_calendar(self) -> list[list[int]]:
        minutes = self.world.workload.edges.tolist()
        sums = [self._ask(_NAIVE, a, b)[0] for a, b in itertools.pairwise(minutes)]
        return times(self._capacity[:, None] - np.array(sums, dtype=np.int64).T)

    def can_i(self) -> int:
        window = self.world.workload.window
        least = self._room(window.start, window.end).min(axis=1)
        return times(least[:, None])[window.package][0]

    def naive_can_i(self) -> int:
        window = self.world.workload.window
        left = self._capacity - np.array(self._ask(_NAIVE, window.start, window.end)[0], dtype=np.int64)
        return times(left[:, None])[window.package][0]

    def earliest(self) -> int:
        now = self.world.workload.now
        cores, _ = self.truth.hardest(ours.SLOT_HOURS)
        room = self._room(now, now + AHEAD * DAY)[0]
        least = np.lib.stride_tricks.sliding_window_view(room, ours.SLOT_HOURS).min(axis=1)
        return now + int(np.argmax(least >= cores)) * HOUR

    def one_row(self) -> Any:
        return self._ask(_ONE)[0]

    def check(self) -> int:
        """How many cells of the naive calendar are wrong.

        :raises AssertionError: if an exact answer is not the truth.
        """
        truth = self.truth.calendar()
        assert self.calendar() == truth
        assert self.can_i() == self.truth.fits(self.world.workload.window)
        assert self.earliest() == self.truth.hardest(ours.SLOT_HOURS)[1]
        return differing(self.naive_calendar(), truth)

    def cases(self) -> list[Case]:
        wrong = self.check()
        few = 2 if self.world.workload.n <= 100_000 else 1
        made = [
            self._case(ours.CHECK, BARE, self.one_row, 50),
            self._case(ours.CALENDAR, EXACT, self.calendar, few),
            self._case(ours.CALENDAR, NAIVE, self.naive_calendar, 1),
            self._case(ours.CAN_I, EXACT, self.can_i, few),
            self._case(ours.CAN_I, NAIVE, self.naive_can_i, few),
            self._case(ours.EARLIEST, EXACT, self.earliest, 1),
        ]
        made[2].wrong = wrong
        made[4].wrong = int(self.naive_can_i() != self.can_i())
        return made

    def _case(self, what: str, design: str, call: Any, calls: int) -> Case:
        return Case(what, design, self.world.workload.n, self.world.database, timed(call), calls)


def times(room: Ints) -> list[list[int]]:
    """How many of each package fit into the room of each cell: divided once, over everything."""
    left = np.maximum(room, 0).astype(np.float64)
    fits = np.floor(np.minimum(left[0] / DEMANDS[:, :1], left[1] / DEMANDS[:, 1:])).astype(np.int64)
    counts: list[list[int]] = fits.tolist()
    return counts


def differing(left: Sequence[Sequence[int]], right: Sequence[Sequence[int]]) -> int:
    """In how many cells two calendars differ."""
    return sum(
        a != b for row, other in zip(left, right, strict=True) for a, b in zip(row, other, strict=True)
    )
