"""The capacity ribbon over the grid: what exists, what is reserved, what of it is mine, and why some is missing.

It stands on the columns of the grid: each is as wide as any other, however long its time is, so the day
of a clock change is drawn as wide as its neighbours. The picture is stretched to the width there is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from booking.allocator.resources import KINDS
from booking.allocator.span import minute_of
from booking.allocator.timeline import Segment
from booking.models import Blackout
from booking.pages.calendar.cells import Mine
from booking.pages.language import gettext, marked, number
from booking.pages.words import Wall, cores, gpus, memory

WIDTH, HEIGHT = 2016, 64
"""Units of the picture; the width is a multiple of 7, 24 and 168."""
_NAMES = (marked("cores"), marked("memory"), marked("GPUs"), marked("disk"))
_SAID: tuple[Callable[[int], str], ...] = (cores, memory, gpus, lambda n: f"{number(n)} GiB")
Piece = tuple[float, float, int]
"""From where to where, and how much."""


@dataclass(frozen=True)
class Reason:
    """A blackout: where it lies in the picture, when it is, and what people wrote about it."""

    left: int
    width: int
    when: str
    amount: str
    text: str


@dataclass(frozen=True)
class Ribbon:
    """The picture of one kind of resource, as paths over :data:`WIDTH` by :data:`HEIGHT`."""

    kind: str
    most: str
    """The amount that the full height stands for."""
    physical: str
    reserved: str
    mine: str
    now: int | None
    reasons: list[Reason]
    label: str
    """The same in words."""


@dataclass(frozen=True)
class Columns:
    """The edges of the columns of a grid, in minutes, ascending."""

    edges: Sequence[int]

    def at(self, minute: int) -> float:
        """Where a minute lies, from 0 to :data:`WIDTH`; what lies outside is at the border."""
        edges = self.edges
        index = min(max(bisect_right(edges, minute) - 1, 0), len(edges) - 2)
        part = (minute - edges[index]) / (edges[index + 1] - edges[index])
        return WIDTH * (index + min(max(part, 0.0), 1.0)) / (len(edges) - 1)


def ribbon(
    columns: Columns,
    segments: Sequence[Segment],
    mine: Iterable[Mine],
    blackouts: Iterable[Blackout],
    wall: Wall,
    now: int,
) -> Ribbon | None:
    """The picture of the kind of which the greatest share is reserved; None where nothing exists."""
    index = _tightest(segments)
    if index is None:
        return None
    top = max(max(s.physical[index], s.reserved[index]) for s in segments)
    physical = [(columns.at(s.start), columns.at(s.end), s.physical[index]) for s in segments]
    reserved = [(columns.at(s.start), columns.at(s.end), s.reserved[index]) for s in segments]
    own = [(minute_of(m.start), minute_of(m.end), m.demand.vector()[index]) for m in mine]
    inside = columns.edges[0] < now < columns.edges[-1]
    return Ribbon(
        gettext(_NAMES[index]),
        _SAID[index](top),
        _steps(physical, top),
        _area(reserved, top),
        _area([(columns.at(a), columns.at(b), amount) for a, b, amount in _summed(own)], top),
        round(columns.at(now)) if inside else None,
        [_reason(columns, blackout, index, wall) for blackout in blackouts],
        _in_words(index, segments),
    )


def _tightest(segments: Sequence[Segment]) -> int | None:
    """The kind of which the greatest share of the time's amount is reserved; the first where none is."""
    found: list[tuple[float, int]] = []
    for index in range(len(KINDS)):
        physical = sum((s.end - s.start) * s.physical[index] for s in segments)
        reserved = sum((s.end - s.start) * s.reserved[index] for s in segments)
        if physical:
            found.append((reserved / physical, -index))
    return -max(found)[1] if found else None


def _summed(spans: Sequence[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    """Amounts over spans that may overlap, as the pieces on which their sum is constant."""
    marks = sorted({edge for start, end, _ in spans for edge in (start, end)})
    for start, end in pairwise(marks):
        amount = sum(a for first, last, a in spans if first <= start and end <= last)
        if amount:
            yield start, end, amount


def _height(amount: int, top: int) -> int:
    return HEIGHT - round(HEIGHT * max(amount, 0) / top)


def _steps(pieces: Sequence[Piece], top: int) -> str:
    """The line along the tops of pieces that follow one another."""
    said = f"M0 {_height(pieces[0][2], top)}"
    for start, end, amount in pieces:
        said += f"H{start:.0f}V{_height(amount, top)}H{end:.0f}"
    return said


def _area(pieces: Iterable[Piece], top: int) -> str:
    """What lies under the pieces; those of nothing are left out."""
    return "".join(
        f"M{start:.0f} {HEIGHT}V{_height(amount, top)}H{end:.0f}V{HEIGHT}Z"
        for start, end, amount in pieces
        if amount > 0
    )


def _reason(columns: Columns, blackout: Blackout, index: int, wall: Wall) -> Reason:
    left, right = (round(columns.at(minute_of(edge))) for edge in (blackout.start, blackout.end))
    amounts = blackout.resources.vector()
    said = [_SAID[index](amounts[index])] if amounts[index] else []
    said = said or [tell(amount) for tell, amount in zip(_SAID, amounts, strict=True) if amount]
    return Reason(
        left,
        max(right - left, 4),
        wall.span(blackout.start, blackout.end),
        gettext("%(amount)s less", amount=", ".join(said)),
        blackout.reason,
    )


def _in_words(index: int, segments: Sequence[Segment]) -> str:
    lowest, highest = (pick(s.physical[index] for s in segments) for pick in (min, max))
    exists = _SAID[index](highest)
    if lowest != highest:
        exists = gettext("%(least)s to %(most)s", least=_SAID[index](lowest), most=exists)
    taken = _SAID[index](max(s.reserved[index] for s in segments))
    return gettext("%(amount)s exist; at most %(taken)s are reserved", amount=exists, taken=taken)
