"""The step chart of a pool: what it has as a line, what is reserved as an area, drawn as SVG without a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from booking.allocator.cells import day_start
from booking.allocator.resources import KINDS
from booking.allocator.span import instant_of, minute_of
from booking.allocator.timeline import Segment
from booking.pages.language import dated, number
from booking.pages.words import Wall, memory

WIDTH, HEIGHT = 640, 200
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 10, 24
_STEPS = (1, 2, 5)
_MOST_LINES = 5
_MOST_DATES = 9


@dataclass(frozen=True)
class Tick:
    """A line of the grid with what is written at it."""

    at: float
    label: str


@dataclass(frozen=True)
class Chart:
    """One kind of resource over time, in units of the picture."""

    kind: str
    physical: str
    reserved: str
    amounts: list[Tick]
    dates: list[Tick]
    now: float | None
    most: int
    peak: int
    """The most that is reserved at once."""


def chart(kind: str, segments: Sequence[Segment], wall: Wall, now: datetime) -> Chart:
    """The chart of one kind over the segments; memory in GiB."""
    index, unit = KINDS.index(kind), 1024 if kind == "memory_mib" else 1
    first, last = segments[0].start, segments[-1].end
    physical = [(s.start, s.end, s.physical[index] / unit) for s in segments]
    reserved = [(s.start, s.end, s.reserved[index] / unit) for s in segments]
    most = max([1.0, *(value for _, _, value in physical), *(value for _, _, value in reserved)])
    step = step_of(most)
    top = step * (int(most / step) + (most % step > 0))

    def x(minute: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (minute - first) / (last - first)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top

    line = " ".join(
        f"{x(start):.1f},{y(value):.1f} {x(end):.1f},{y(value):.1f}" for start, end, value in physical
    )
    area = " ".join(
        f"{x(start):.1f},{y(value):.1f} {x(end):.1f},{y(value):.1f}" for start, end, value in reserved
    )
    floor = f"{x(last):.1f},{y(0):.1f} {x(first):.1f},{y(0):.1f}"
    present = now.timestamp() / 60
    return Chart(
        kind,
        line,
        f"{area} {floor}",
        [Tick(y(value), number(value)) for value in range(0, top + 1, step)],
        [Tick(x(minute_of(at)), label) for at, label in _dates(first, last, wall)],
        x(present) if first <= present <= last else None,
        round(most),
        round(max(value for _, _, value in reserved)),
    )


def table(segments: Sequence[Segment], wall: Wall) -> list[tuple[str, str, list[str]]]:
    """The segments as rows of a table: start, end, and what exists, is reserved and free of cores and of memory."""
    said = [wall.dated(instant_of(minute)) for minute in (*(s.start for s in segments), segments[-1].end)]
    sides = [(s.physical, s.reserved, s.available) for s in segments]
    amounts = [[str(side[0]) for side in three] + [memory(side[1]) for side in three] for three in sides]
    return list(zip(said, said[1:], amounts, strict=False))


def step_of(most: float) -> int:
    """A round step that needs at most five lines."""
    power = 1
    while True:
        for digit in _STEPS:
            if most / (digit * power) <= _MOST_LINES:
                return digit * power
        power *= 10


def _dates(first: int, last: int, wall: Wall) -> list[tuple[datetime, str]]:
    start, end = wall.at(instant_of(first)).date(), wall.at(instant_of(last)).date()
    days = (end - start).days
    every = next((n for n in (1, 7, 14, 28) if days / n <= _MOST_DATES), 56)
    day: date = start + timedelta(days=(-start.weekday()) % 7 if every > 1 else 1)
    found = []
    while day < end:
        found.append((day_start(wall.zone, day), dated(day, "EEE d") if every == 1 else dated(day, "d MMM")))
        day += timedelta(days=every)
    return found
