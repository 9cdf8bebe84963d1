"""A part of a long list: a page shows 25 rows of it, says which, and leads to the others without a script."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlencode

from flask import request

T = TypeVar("T")
U = TypeVar("U")

A_PAGE = 25
_BEFORE = 5
"""So many rows before the one that matters are shown, too: what has just been."""
_DIGITS = 9


@dataclass(frozen=True)
class Part(Generic[T]):
    """Some rows of a list that stands on the page under `{name}-title`; the address tells which by its name."""

    name: str
    rows: Sequence[T]
    first: int
    """The number of its first row, from 0."""
    count: int
    """Of all rows."""
    path: str
    kept: Mapping[str, str]
    """What else the address says."""

    @property
    def before(self) -> str | None:
        """The address of the rows before these; None if these are the first."""
        return self._at(max(0, self.first - A_PAGE)) if self.first else None

    @property
    def after(self) -> str | None:
        """The address of the rows after these; None if these are the last."""
        end = self.first + len(self.rows)
        return self._at(end) if end < self.count else None

    def told(self, tell: Callable[[T], U]) -> Part[U]:
        """The same part with each of its rows as it is told."""
        return Part(self.name, [tell(row) for row in self.rows], self.first, self.count, self.path, self.kept)

    def _at(self, first: int) -> str:
        return f"{self.path}?{urlencode({**self.kept, self.name: first})}#{self.name}-title"


def part_of(
    rows: Sequence[T], name: str, path: str, kept: Mapping[str, str] | None = None, *, at: int = 0
) -> Part[T]:
    """The part that the address asks for, else the one in which row number `at` is, a few rows after its first.

    Whatever else the address says instead of a number is none; beyond the last row is the last part.
    """
    asked = request.args.get(name, "")
    is_number = asked.isascii() and asked.isdigit() and len(asked) <= _DIGITS
    wanted = int(asked) if is_number else max(0, at - _BEFORE)
    first = min(wanted, max(0, len(rows) - A_PAGE))
    return Part(name, rows[first : first + A_PAGE], first, len(rows), path, kept or {})
