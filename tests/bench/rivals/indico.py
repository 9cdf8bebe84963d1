"""Indico's search for free rooms, stated again from `modules/rb/operations/conflicts.py` of 3.2.9.

Its own functions cannot be called alone: they import the whole of Indico, which pins ninety packages to
versions of 2023 and wants PostgreSQL with its schema. What is kept is the algorithm: candidates by day, one
statement with a term for each of them, then every candidate against every occurrence, room by room.

A room is one unit, and a booking is in one room from its start to its end. The reservations of the pool are
put into as few rooms as hold them; maintenance is left out. So it answers another question than we do: which
rooms are free, not how many of anything fit.
"""

from __future__ import annotations

import heapq
import itertools
import sqlite3
from collections import defaultdict
from pathlib import Path

import numpy as np

from tests.bench.workload import Window, Workload


def rooms_of(start: list[int], end: list[int]) -> list[int]:
    """Which room each booking is in: the one that has been free, else a new one."""
    rooms = [0] * len(start)
    busy: list[tuple[int, int]] = []
    for number in sorted(range(len(start)), key=start.__getitem__):
        room = heapq.heappop(busy)[1] if busy and busy[0][0] <= start[number] else len(busy)
        rooms[number] = room
        heapq.heappush(busy, (end[number], room))
    return rooms


def free_rooms(workload: Workload, most: int, edges: list[int]) -> list[int]:
    """The truth for rooms: how many have nothing in them for the whole of each cell."""
    start, end = (column[:most] for column in workload.reservations()[:2])
    rooms = np.array(rooms_of(start.tolist(), end.tolist()))
    cells = itertools.pairwise(edges)
    return [int(rooms.max()) + 1 - len(np.unique(rooms[(start < b) & (end > a)])) for a, b in cells]


class Indico:
    """Occurrences in a table with an index, as Indico has them in PostgreSQL."""

    def __init__(self, workload: Workload, most: int, folder: Path) -> None:
        start, end = (column[:most].tolist() for column in workload.reservations()[:2])
        rooms = rooms_of(start, end)
        self._edges = workload.edges.tolist()
        self._rooms = range(max(rooms) + 1)
        self._connection = sqlite3.connect(folder / f"indico-{most}.db")
        self._connection.execute("CREATE TABLE occurrence (room INTEGER, start INTEGER, until INTEGER)")
        rows = zip(rooms, start, end, strict=True)
        self._connection.executemany("INSERT INTO occurrence VALUES (?, ?, ?)", rows)
        self._connection.execute("CREATE INDEX occurrence_start ON occurrence (start)")
        self._connection.commit()

    def _free(self, candidates: list[tuple[int, int]]) -> list[int]:
        terms = " OR ".join("(start < ? AND until > ?)" for _ in candidates)
        values = [value for a, b in candidates for value in (b, a)]
        found = self._connection.execute(f"SELECT room, start, until FROM occurrence WHERE {terms}", values)
        by_room = defaultdict(list)
        for room, start, until in found:
            by_room[room].append((start, until))
        taken = dict.fromkeys(candidates, 0)
        for occurrences in by_room.values():
            conflicting = set()
            for candidate in candidates:
                for start, until in occurrences:
                    if candidate[0] < until and start < candidate[1]:
                        conflicting.add(candidate)
            for candidate in conflicting:
                taken[candidate] += 1
        return [len(self._rooms) - taken[candidate] for candidate in candidates]

    def calendar(self) -> list[list[int]]:
        return [self._free(list(zip(self._edges[:-1], self._edges[1:], strict=True)))]

    def can_i(self, window: Window) -> int:
        return self._free([(window.start, window.end)])[0]
