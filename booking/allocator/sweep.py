"""A second way to see whether a pool is oversold, which shares no arithmetic with the timelines.

Promises are decided on arrays; the audit that watches them sweeps over the edges of all claims in whole
numbers, so that one mistake cannot hide in both.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from booking.allocator.timeline import Entry, Side


class Shortage(NamedTuple):
    """That of one kind `amount` more is claimed than there is, over `[start, end)` in minutes."""

    kind: str
    amount: int
    start: int
    end: int


def shortages(entries: Iterable[Entry], start: int, end: int, ratio_milli: int) -> list[Shortage]:
    """Where within `[start, end)` more is claimed than there is: kind by kind, in order of time.

    Shared claims count divided by the ratio, rounded up in total. What level 0 takes lies within the
    standing reservation, which is itself a claim on the reserved side. O(n log n).
    """
    edges: dict[str, dict[int, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for entry in entries:
        first, last = max(entry.start, start), min(entry.end, end)
        if first < last:
            edges[entry.kind][first][entry.side] += entry.amount
            edges[entry.kind][last][entry.side] -= entry.amount
    found = []
    for kind in sorted(edges):
        level: Counter[str] = Counter()
        for left, right in pairwise(sorted(edges[kind])):
            level.update(edges[kind][left])
            shared = -(-level[Side.SHARED] * 1000 // ratio_milli)
            short = level[Side.RESERVED] + shared - level[Side.PHYSICAL]
            if short > 0:
                found.append(Shortage(kind, short, left, right))
    return found
