"""The HTML of a cell: the one place where it is written.

A grid has hundreds of cells of few kinds. What such cells have in common is written once and kept; what
differs, the hours a cell stands for and where it leads, is put in between.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from markupsafe import Markup, escape

from booking.pages.calendar.cells import Cell


def drawn(cells: Iterable[Cell]) -> Markup:
    """The cells of a line, side by side."""
    return Markup("".join(map(_cell, cells)))  # noqa: S704  # nosec B704  # every part is escaped below


def _cell(cell: Cell) -> str:
    """A cell: its frame says the state, its inside the same in a sign for the eye and in words for the ear."""
    frame = _frame(cell.kind, cell.plenty, cell.opens, cell.columns)
    hours = f' data-s="{cell.start}" data-e="{cell.end}"' if cell.start else ""
    chosen = ' aria-selected="true"' if cell.selected else ""
    return f"<td{frame}{hours}{chosen}>{_inside(cell)}</td>"


def _inside(cell: Cell) -> str:
    if cell.booking_id:
        sign = f"● {cell.text}" if cell.text else "●"
        return f'<a href="/bookings/{escape(cell.booking_id)}">{_said(sign, cell.label)}</a>'
    if cell.href:
        return f'<a href="{escape(cell.href)}" rel="nofollow">{_said(cell.text, cell.label)}</a>'
    return f'<span class="vh">{escape(cell.label)}</span>'


@lru_cache(maxsize=1024)
def _frame(kind: str, plenty: int, opens: bool, columns: int) -> str:
    classes = ["c", kind, *([f"p{plenty}"] if plenty else []), *(["opens"] if opens else [])]
    wide = f' colspan="{columns}"' if columns > 1 else ""
    return f' role="gridcell" class="{" ".join(classes)}"{wide}'


@lru_cache(maxsize=1024)
def _said(sign: str, label: str) -> str:
    return f'<i aria-hidden="true">{escape(sign)}</i><span class="vh">{escape(label)}</span>'
