"""A pool kept minute by minute in lists and dictionaries: slow and obvious, it knows only `zoneinfo`.

It follows the words of the API (an hour cell runs from one instant whose local minute is 0 to the next, a
day is a local date) and shares no line with the code it is compared with.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from zoneinfo import ZoneInfo

Demand = dict[str, int]


@cache
def walls(zone: str, first: int, last: int) -> tuple[datetime, ...]:
    """What the wall clock shows at each minute of `[first, last)`."""
    place = ZoneInfo(zone)
    return tuple(datetime.fromtimestamp(60 * minute, UTC).astimezone(place) for minute in range(first, last))


@cache
def day_edges(zone: str, first: int, last: int) -> tuple[int, ...]:
    """The minutes at which a local date is reached for the first time."""
    shown = walls(zone, first, last)
    newest = shown[0].date()
    edges = []
    for offset, wall in enumerate(shown):
        if wall.date() > newest:
            newest = wall.date()
            edges.append(first + offset)
    return tuple(edges)


@cache
def hour_edges(zone: str, first: int, last: int) -> tuple[int, ...]:
    """The minutes at which the wall clock shows minute 0."""
    return tuple(first + offset for offset, wall in enumerate(walls(zone, first, last)) if wall.minute == 0)


@cache
def fitting(physical: int, reserved: int, shared: int, demand: int, ratio: Fraction) -> int:
    """How many more of a shared demand of one kind fit at one moment."""
    taken = 0
    while physical >= reserved + math.ceil(Fraction(shared + (taken + 1) * demand) / ratio):
        taken += 1
    return taken


@cache
def whole(physical: int, reserved: int, shared: int, demand: int, ratio: Fraction) -> int:
    """How many more of a reserved demand of one kind fit at one moment."""
    return max(0, (physical - reserved - math.ceil(Fraction(shared) / ratio)) // demand)


@cache
def _shown(physical: int, reserved: int, shared: int, ratio: Fraction) -> tuple[int, int, int]:
    taken = reserved + math.ceil(Fraction(shared) / ratio)
    return max(0, physical), max(0, taken), max(0, physical - taken)


class Oracle:
    """One pool over `[first, last)` minutes."""

    def __init__(self, first: int, last: int, ratio: Fraction) -> None:
        self.first, self.last, self.ratio = first, last, ratio
        self.sides: dict[tuple[str, str], list[int]] = {}

    def row(self, side: str, kind: str) -> list[int]:
        return self.sides.setdefault((side, kind), [0] * (self.last - self.first))

    def add(self, side: str, start: int, end: int, kind: str, amount: int) -> None:
        row = self.row(side, kind)
        for minute in range(max(start, self.first), min(end, self.last)):
            row[minute - self.first] += amount

    def shown(self, kind: str) -> list[tuple[int, int, int]]:
        """Physical, reserved and available as they are shown, minute by minute."""
        rows = [self.row(side, kind) for side in ("physical", "reserved", "shared")]
        return [_shown(*moment, self.ratio) for moment in zip(*rows, strict=True)]

    def counts(self, demand: Demand, shared: bool) -> list[int]:
        """How many fit, minute by minute: the least over the kinds that are asked for."""
        one = fitting if shared else whole
        by_kind = [
            [
                one(*moment, amount, self.ratio)
                for moment in zip(
                    *(self.row(side, kind) for side in ("physical", "reserved", "shared")), strict=True
                )
            ]
            for kind, amount in demand.items()
            if amount
        ]
        return [min(moment) for moment in zip(*by_kind, strict=True)]
