"""Alternatives: what else would do for a wish that cannot be had, ranked by regret in hours.

Later costs 1 an hour (three quarters at the same hour of another day), earlier 1.5, another pool half
of the length, shorter 2 for each hour lost, smaller 3 x length x share lost, a split 10 for each extra
piece and 1 for each hour that it is finished later. Ties go by start, pool, package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

import numpy as np

from booking.allocator.availability import fits
from booking.allocator.cells import is_aligned
from booking.allocator.package import Package, Sharing
from booking.allocator.placements import Placements, moved, shortened, split
from booking.allocator.resources import Resources
from booking.allocator.runs import Place, free_runs
from booking.allocator.span import Span

MOST = 4
"""How many alternatives are told."""
_IN_ORDER = 8


class Kind(StrEnum):
    """In what an alternative differs from the wish."""

    LATER = "later"
    EARLIER = "earlier"
    SHORTER = "shorter"
    SMALLER = "smaller"
    SPLIT = "split"
    POOL = "pool"


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for: one package over one or more spans that do not overlap, kept in order.

    :raises ValueError: if there is no span.
    """

    package: Package
    sharing: Sharing
    spans: tuple[Span, ...]

    def __post_init__(self) -> None:
        if not self.spans:
            raise ValueError("a wish has at least one span")
        object.__setattr__(self, "spans", tuple(sorted(self.spans)))

    @property
    def hours(self) -> float:
        return sum((span.length for span in self.spans), timedelta(0)) / timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Alternative:
    """A request that would succeed now, and how much worse it is than the wish, in hours."""

    kind: Kind
    pool_id: str
    package: Package
    sharing: Sharing
    spans: tuple[Span, ...]
    regret: float


Allowed = Callable[[Alternative], bool]


def alternatives(
    wish: Wish, places: Sequence[Place], smaller: Sequence[Package], allowed: Allowed
) -> list[Alternative]:
    """At most four alternatives, the best of its kind each, ranked by regret.

    The first place is the one asked for. Each alternative is aligned, fits now, begins no earlier than
    the place allows, ends within its horizon, and is one that `allowed` accepts; `allowed` is asked a
    bounded number of times. A wish of several spans is moved as a whole, by hours up to a day or by whole
    local days, keeping the wall clock; it is neither shortened nor split. O(places x slots).

    :raises ValueError: if there is no place.
    """
    if not places:
        raise ValueError("there is at least the place that was asked for")
    found = [best for best in _each_kind(wish, places, smaller, allowed) if best is not None]
    best_of_kind: dict[Kind, Alternative] = {}
    for alternative in sorted(found, key=_rank):
        best_of_kind.setdefault(alternative.kind, alternative)
    return list(best_of_kind.values())[:MOST]


def nearest(
    place: Place,
    package: Package,
    sharing: Sharing,
    spans: Sequence[Span],
    kept: Sequence[Span],
    allowed: Allowed,
) -> list[Span | None]:
    """For each span the one of its length, earlier or later, that costs least regret; None if there is none.

    None of them overlaps another, nor those that are kept. O(spans x slots).
    """
    runs = free_runs(place, package.demand)
    found: list[Span | None] = []
    for span in spans:
        moves = moved(place, runs, [span])
        clear = np.ones(len(moves.regrets), dtype=np.bool_)
        for other in (*kept, *(one for one in found if one is not None)):
            first, last = other.minutes
            clear &= (moves.ends[0] <= first) | (moves.starts[0] >= last)
        wish = Wish(package, sharing, (span,))
        best = _best(Kind.LATER, place, wish, moves.where(clear), allowed)
        found.append(best.spans[0] if best else None)
    return found


def _rank(alternative: Alternative) -> tuple[float, Span, str, str]:
    return alternative.regret, alternative.spans[0], alternative.pool_id, alternative.package.name


def _each_kind(
    wish: Wish, places: Sequence[Place], smaller: Sequence[Package], allowed: Allowed
) -> Iterator[Alternative | None]:
    asked = places[0]
    runs = free_runs(asked, wish.package.demand)
    moves = moved(asked, runs, wish.spans)
    first = wish.spans[0].minutes[0]
    yield _best(Kind.LATER, asked, wish, moves.where(moves.starts[0] > first), allowed)
    yield _best(Kind.EARLIER, asked, wish, moves.where(moves.starts[0] < first), allowed)
    if len(wish.spans) == 1:
        yield _best(Kind.SHORTER, asked, wish, shortened(runs, wish.spans[0]), allowed)
        for pieces in split(asked, runs, wish.spans[0]):
            yield _best(Kind.SPLIT, asked, wish, pieces, allowed)
    yield _smaller(asked, wish, smaller, allowed)
    for place in places[1:]:
        yield _elsewhere(place, wish, allowed)


def _best(kind: Kind, place: Place, wish: Wish, options: Placements, allowed: Allowed) -> Alternative | None:
    """The option of least regret that is allowed, the earliest of equals.

    The first few are asked in order. Then the steps double and the gap before the first allowed one is
    halved: rules on length and distance refuse everything up to some regret, so this finds the edge.
    """
    order = options.order()

    def at(position: int) -> Alternative:
        option = int(order[position])
        spans, regret = options.spans(option), float(options.regrets[option])
        return Alternative(kind, place.pool_id, wish.package, wish.sharing, spans, regret)

    refused, found = -1, None
    for position in _probes(len(order)):
        if allowed(candidate := at(position)):
            found = candidate
            break
        refused = position
    if found is None:
        return None
    while position - refused > 1:
        middle = (position + refused) // 2
        if allowed(candidate := at(middle)):
            position, found = middle, candidate
        else:
            refused = middle
    return found


def _probes(count: int) -> Iterator[int]:
    yield from range(min(count, _IN_ORDER))
    position, step = _IN_ORDER + 1, 2
    while position < count - 1:
        yield position
        position, step = position + step, step * 2
    if count > _IN_ORDER:
        yield count - 1


def _smaller(place: Place, wish: Wish, packages: Sequence[Package], allowed: Allowed) -> Alternative | None:
    """The largest of the smaller packages that fits in the same place at the same time."""
    if not all(_stands(place, span) for span in wish.spans):
        return None
    demand = wish.package.demand
    lost = {package.name: 1 - _share(package.demand, demand) for package in packages}
    for package in sorted(packages, key=lambda package: (lost[package.name], package.name)):
        regret = 3 * wish.hours * lost[package.name]
        candidate = Alternative(Kind.SMALLER, place.pool_id, package, wish.sharing, wish.spans, regret)
        fitting = all(fits(place.timeline, place.room, span.minutes, package.demand) for span in wish.spans)
        if fitting and allowed(candidate):
            return candidate
    return None


def _stands(place: Place, span: Span) -> bool:
    """Whether the span is aligned and within what may be booked."""
    edges = [is_aligned(place.zone, end, place.granularity) for end in (span.start, span.end)]
    known = place.timeline.covers(*span.minutes)
    return all(edges) and known and place.start_from <= span.start and span.end <= place.horizon


def _share(part: Resources, whole: Resources) -> float:
    """What remains of the demand, by the kind that loses most."""
    return min(have / asked for have, asked in zip(part.vector(), whole.vector(), strict=True) if asked)


def _elsewhere(place: Place, wish: Wish, allowed: Allowed) -> Alternative | None:
    """The same time or a later one in another pool; the day of a day pool covers the hours within it."""
    moves = moved(place, free_runs(place, wish.package.demand), wish.spans)
    first, last = wish.spans[0].minutes
    covers = (moves.starts[0] <= first) & (moves.ends[0] >= last)
    moves = replace(moves, regrets=np.where(covers, 0.0, moves.regrets))
    options = moves.where((moves.starts[0] >= first) | covers, extra=0.5 * wish.hours)
    return _best(Kind.POOL, place, wish, options, allowed)
