"""What a grid is made of: cells in lines, lines in blocks, under the heads of columns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from booking.allocator.resources import Resources
from booking.pages.calendar.query import View


@dataclass(frozen=True)
class Mine:
    """One of my reservations as the grid draws it."""

    booking_id: str
    package: str
    start: datetime
    end: datetime
    demand: Resources


class Cell(NamedTuple):
    """One cell: its state, what it shows and says, and which hours of the wall clock it stands for."""

    kind: str
    """free, part, none, mine or past."""
    text: str
    label: str
    start: str = ""
    end: str = ""
    """As the form writes them; empty where nothing can be chosen."""
    columns: int = 1
    booking_id: str = ""
    plenty: int = 0
    """1 to 3: how dark a free cell is."""
    href: str = ""
    selected: bool = False
    opens: bool = False
    """Whether it stands at the start of a day, in a grid of hours."""


@dataclass(frozen=True)
class Line:
    """One row of the grid: a package, or a week of one."""

    name: str
    detail: str
    package: str
    cells: list[Cell]


@dataclass(frozen=True)
class Block:
    """Rows under one heading; the heading is empty where there is only one block."""

    heading: str
    lines: list[Line]


@dataclass(frozen=True)
class Column:
    """The head of a column, or of the columns of one day."""

    top: str
    main: str
    below: str
    day: date
    hint: str = ""
    """What its link leads to."""
    is_today: bool = False
    is_weekend: bool = False
    is_past: bool = False
    columns: int = 1
    marks: tuple[tuple[str, int], ...] = ()
    """Hours written under the day, each with the columns it spans."""
    also: tuple[tuple[str, int], ...] = ()
    """The same hours in a second zone."""
    href: str = ""
    hours: str = ""
    """The choices of the hours of the day, for the script that tells which hour of a run was clicked."""


@dataclass(frozen=True)
class Grid:
    """All of it."""

    view: View
    columns: list[Column]
    blocks: list[Block]
    width: int
    """How many columns of time there are."""
