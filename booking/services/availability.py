"""What is free: per package and cell, as exact segments, and as the earliest spans that fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property, lru_cache
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from booking.allocator import availability as allocator
from booking.allocator.cells import Granularity, boundaries
from booking.allocator.package import CUSTOM, Package, Sharing
from booking.allocator.span import instant_of
from booking.allocator.timeline import Amounts
from booking.errors import Invalid
from booking.services import marks, traits
from booking.services.catalogue import Offer, named
from booking.services.context import Actor, Context
from booking.services.finding import pool_with
from booking.services.marks import Mark
from booking.services.states import draws_on_reserve, state_at
from booking.services.timelines import PoolState
from booking.services.windows import known_zone, window_of

MOST_CELLS = 20_000
"""What one answer may hold."""


@dataclass(frozen=True)
class Question:
    """What somebody wants to know; a date means the local midnight of the zone in force."""

    start: date | datetime
    end: date | datetime
    pool: str | None = None
    """Id or name; None means the first pool."""
    granularity: Granularity = Granularity.DAY
    packages: tuple[str, ...] = ()
    """Names; empty means all current ones."""
    custom: Package | None = None
    sharing: Sharing = Sharing.RESERVED
    timezone: str | None = None
    """The zone whose days and hours are the cells; None means the pool's."""
    best: bool = False
    """Whether it is asked, too, how many fit at the best moment of each cell; that costs more than all else."""
    traits: tuple[str, ...] = ()
    """What the pool must have; only for custom sharing."""

    def __post_init__(self) -> None:
        traits.check(self.traits, self.sharing)


@dataclass(slots=True)
class Row:
    """One package with how many fit, for each cell: for the whole of it, and at its best moment if that was asked."""

    package: Package
    count: list[int]
    best: list[int]


@dataclass(slots=True)
class Answer:
    """n cells have n + 1 edges, in minutes since the Unix epoch."""

    pool: PoolState
    timezone: str
    granularity: Granularity
    edges: Sequence[int]
    rows: list[Row]
    sharing: Sharing

    @property
    def cells(self) -> list[tuple[datetime, datetime]]:
        return [(instant_of(a), instant_of(b)) for a, b in pairwise(self.edges)]

    @property
    def tag(self) -> str:
        """Changes whenever the answer to the same question would."""
        sizes = ",".join(f"{row.package.name}:{row.package.version}" for row in self.rows)
        text = f"{self.pool.epoch}/{self.pool.generation}/{sizes}/{self.edges[0]}/{self.edges[-1]}"
        return sha256(f"{text}/{self.granularity}/{self.timezone}/{self.sharing}".encode()).hexdigest()[:32]


def placed(ctx: Context, question: Question) -> Question:
    """The same question about the pool that has the wanted traits.

    :raises NotFound, PolicyRefused: as :func:`find_pool`.
    """
    if not question.traits:
        return question
    return replace(question, pool=pool_with(ctx, question.pool, question.traits), traits=())


def availability(ctx: Context, question: Question, actor: Actor | None = None) -> Answer:
    """How many of each package can be booked, per cell.

    :raises NotFound: if the pool or a package is not there.
    :raises Invalid: if the window is empty, too long, or the zone unknown.
    """
    ctx = ctx.reader
    mark = marks.current(ctx, question.pool)
    zone = known_zone(question.timezone) if question.timezone else mark.zone
    wanted = wanted_of(offer_at(ctx, mark), question.packages, question.custom)
    edges = _edges(zone, question, len(wanted))
    state = state_at(ctx, mark, (edges[0], edges[-1]))
    return _answer(_Basis(state, zone, wanted, edges), question, actor)


def offer_at(ctx: Context, mark: Mark) -> Offer:
    """The packages that the mark tells of, from the cache of the process; else the present ones."""
    known = ctx.catalogue.known(mark.packages)
    return ctx.db.read("packages", ctx.catalogue.current) if known is None else known


class Edges(tuple[int, ...]):
    """The edges of cells in minutes, ready to be counted in."""

    @cached_property
    def minutes(self) -> Amounts:
        minutes = np.array(self, dtype=np.int64)
        minutes.flags.writeable = False
        return minutes


class _Basis(NamedTuple):
    """What an answer is computed from."""

    state: PoolState
    zone: ZoneInfo
    packages: Offer
    edges: Edges


def _answer(basis: _Basis, question: Question, actor: Actor | None) -> Answer:
    state, zone, wanted, edges = basis
    rows = _rows(state, allocator.free(state.timeline, question.sharing), wanted, edges, question)
    if actor is not None and draws_on_reserve(actor, state):
        room = allocator.level0_room(state.timeline, state.reserve)
        rows = [
            _rows(state, room, Offer([row.package]), edges, question)[0]
            if row.package.name == "tiny"
            else row
            for row in rows
        ]
    return Answer(state, zone.key, question.granularity, edges, rows, question.sharing)


def _rows(state: PoolState, room: Amounts, offer: Offer, edges: Edges, question: Question) -> list[Row]:
    count = allocator.counts(state.timeline, room, edges.minutes, offer.demands).tolist()
    if not question.best:
        return [Row(package, counted, []) for package, counted in zip(offer, count, strict=True)]
    best = allocator.best_counts(state.timeline, room, edges.minutes, offer.demands).tolist()
    return [Row(*one) for one in zip(offer, count, best, strict=True)]


def wanted_of(current: Offer, names: Sequence[str], custom: Package | None) -> Offer:
    """The packages of these names, or all if none is named; `custom` is the one of that name.

    :raises NotFound: if one is not there.
    :raises Invalid: if one is custom and its size is not told.
    """
    if not names:
        return current
    if CUSTOM in names and custom is None:
        fields = ("notebook_cores", "notebook_memory_mib", "worker_cores", "worker_memory_mib")
        raise Invalid({name: ["is needed for a custom package"] for name in fields})
    first, *others = names
    if not others and first != CUSTOM and first in current.alone:
        return current.alone[first]
    return Offer(custom if name == CUSTOM and custom else named(current, name) for name in names)


def _edges(zone: ZoneInfo, question: Question, rows: int) -> Edges:
    edges = _edges_of(zone, question.start, question.end, question.granularity)
    if (len(edges) - 1) * max(rows, 1) > MOST_CELLS:
        raise Invalid({"to": [f"asks for more than {MOST_CELLS} cells; ask for less time or fewer packages"]})
    return edges


@lru_cache(maxsize=64)
def _edges_of(
    zone: ZoneInfo, start: date | datetime, end: date | datetime, granularity: Granularity
) -> Edges:
    """Many look at the same weeks, and to find their edges costs more than to count what fits."""
    return Edges(boundaries(zone, window_of(start, end, zone), granularity))
