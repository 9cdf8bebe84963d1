"""The bars of usage: of each cell what was used, idle and is still to come, drawn as SVG without a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from booking.allocator.usage import Grain
from booking.pages.admin.chart import Tick, step_of
from booking.pages.language import dated, number
from booking.pages.words import Wall
from booking.services.usage import Cell

WIDTH, HEIGHT = 960, 250
LEFT, RIGHT, TOP, BOTTOM = 72, 14, 18, 34
_PARTS = ("used", "idle", "ahead")
_MOST_LABELS = 9
_GAP = 0.2
"""Of the width of a cell."""


@dataclass(frozen=True)
class Bar:
    """One part of one cell, in units of the picture."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Bars:
    """Core-hours by cell."""

    bars: list[Bar]
    physical: str
    """The points of its outline; empty where it is not drawn."""
    amounts: list[Tick]
    names: list[Tick]


def bars(cells: Sequence[Cell], grain: Grain, wall: Wall, *, physical: bool) -> Bars:
    """The bars of the cells, the outline of what exists around them where it is asked for."""
    most = max([1.0, *(max(cell.total.booked, cell.physical * physical) / 60 for cell in cells)])
    step = step_of(most)
    top = step * (int(most / step) + (most % step > 0))
    width = (WIDTH - LEFT - RIGHT) / len(cells)

    def y(minutes: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * minutes / 60 / top

    found, outline = [], []
    for n, cell in enumerate(cells):
        x, below = LEFT + n * width, 0
        for kind in _PARTS:
            amount = getattr(cell.total, kind)
            if amount:
                high = y(below) - y(below + amount)
                found.append(Bar(kind, x + width * _GAP / 2, y(below + amount), width * (1 - _GAP), high))
            below += amount
        outline.append(f"{x:.1f},{y(cell.physical):.1f} {x + width:.1f},{y(cell.physical):.1f}")
    every = -(-len(cells) // _MOST_LABELS)
    return Bars(
        found,
        " ".join(outline) if physical else "",
        [Tick(y(60 * value), number(value)) for value in range(0, top + 1, step)],
        [
            Tick(LEFT + (n + 0.5) * width, name_of(cells[n], grain, wall))
            for n in range(every // 2, len(cells), every)
        ],
    )


def name_of(cell: Cell, grain: Grain, wall: Wall) -> str:
    """What a cell is called: its date, the Monday of a week, the name of a month."""
    start = wall.at(cell.start).date()
    return dated(start, "MMM y") if grain is Grain.MONTH else dated(start, "d MMM")
