"""What is free: per package and cell, as exact segments, and as the earliest spans that fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from booking.allocator import availability as allocator
from booking.allocator.cells import Granularity, boundaries, cell_at, day_start
from booking.allocator.package import CUSTOM, Package, Sharing
from booking.allocator.search import Place, find_slots
from booking.allocator.span import Span, floor_minute, instant_of
from booking.allocator.timeline import Amounts, Segment
from booking.errors import Invalid, NotFound
from booking.models import Blackout, Inventory, Pool
from booking.services import holds, marks
from booking.services.catalogue import named
from booking.services.context import Actor, Context
from booking.services.timelines import HoldsDue, PoolState

MOST_CELLS = 20_000
"""What one answer may hold."""
_LONGEST = relativedelta(years=11)
_PAST = timedelta(days=31)


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


@dataclass(frozen=True)
class Row:
    """One package with how many fit, for each cell: for the whole of it, and at its best moment."""

    package: Package
    count: list[int]
    best: list[int]


@dataclass(frozen=True)
class Answer:
    """n cells have n + 1 edges, in minutes since the Unix epoch."""

    pool: PoolState
    timezone: str
    granularity: Granularity
    edges: list[int]
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


_FIRST = select(Pool.id).order_by(Pool.created_at, Pool.id).limit(1)
_NAMED = _FIRST.where((Pool.id == bindparam("name")) | (Pool.name == bindparam("name")))


def find_pool(session: Session, name: str | None) -> str:
    """The id of the pool with that id or name; None is the first that was made.

    :raises NotFound: if there is none.
    """
    query = _FIRST if name is None else _NAMED
    found = session.connection().execute(query, {"name": name} if name is not None else {}).scalar()
    if found is None:
        raise NotFound("pool", name)
    return found


def state_of(ctx: Context, session: Session, pool_id: str, window: Span | None = None) -> PoolState:
    """The pool at its present generation over the usual window, or over another where that is asked.

    :raises HoldsDue: if holds of the pool have expired and are still counted; see :func:`holds.reading`.
    """
    now = ctx.clock.now()
    state = _state(ctx, session, pool_id, window, now)
    if state.hold_expires_at is not None and state.hold_expires_at <= now:
        raise HoldsDue(pool_id)
    return state


def locked_state(ctx: Context, session: Session, pool: Pool) -> PoolState:
    """The same for who holds the pool's lock, where a promise is decided; it is at the generation locked.

    Due holds were let expire under that lock; one that became due since counts until the next decision.

    :raises StaleDataError: if the timeline is of another generation; the transaction is made again.
    """
    state = _state(ctx, session, pool.id, None, ctx.clock.now())
    if state.generation != pool.generation:
        ctx.timelines.drop(pool.id)
        raise StaleDataError(f"the timeline of pool {pool.id} is not at the generation that is locked")
    return state


def usual_window(ctx: Context, now: datetime) -> Span:
    """What is asked for nearly always: from a month ago to the horizon."""
    return Span(floor_minute(now - _PAST), floor_minute(ctx.horizon(now)))


def _state(ctx: Context, session: Session, pool_id: str, window: Span | None, now: datetime) -> PoolState:
    usual = usual_window(ctx, now)
    if window is None or (usual.start <= window.start and window.end <= usual.end):
        return ctx.timelines.current(session, pool_id, usual)
    return ctx.timelines.over(session, pool_id, window)


def availability(ctx: Context, question: Question, actor: Actor | None = None) -> Answer:
    """How many of each package can be booked, per cell.

    :raises NotFound: if the pool or a package is not there.
    :raises Invalid: if the window is empty, too long, or the zone unknown.
    """
    ctx = ctx.reader
    basis = _remembered(ctx, question)
    if basis is not None:
        return _answer(basis, question, actor)
    return holds.reading(
        ctx, "availability", lambda session: _answer(_read(ctx, session, question), question, actor)
    )


class _Basis(NamedTuple):
    """What an answer is computed from."""

    state: PoolState
    zone: ZoneInfo
    packages: Sequence[Package]
    edges: list[int]


def _remembered(ctx: Context, question: Question) -> _Basis | None:
    """From the caches of the process, where one statement says that nothing has changed since."""
    mark = marks.current(ctx, question.pool)
    current = ctx.catalogue.known(mark.packages)
    if current is None:
        return None
    zone = known_zone(question.timezone) if question.timezone else mark.zone
    wanted = _wanted(current, question)
    edges = _edges(zone, question, len(wanted))
    state = ctx.timelines.at(mark.id, mark.epoch, mark.generation, Span.of_minutes(edges[0], edges[-1]))
    return None if state is None else _Basis(state, zone, wanted, edges)


def _read(ctx: Context, session: Session, question: Question) -> _Basis:
    pool = session.get_one(Pool, find_pool(session, question.pool))
    zone = known_zone(question.timezone) if question.timezone else pool.zone
    wanted = _wanted(ctx.catalogue.current(session), question)
    edges = _edges(zone, question, len(wanted))
    state = state_of(ctx, session, pool.id, Span.of_minutes(edges[0], edges[-1]))
    return _Basis(state, zone, wanted, edges)


def _answer(basis: _Basis, question: Question, actor: Actor | None) -> Answer:
    state, zone, wanted, edges = basis
    room = allocator.free(state.timeline, question.sharing)
    count, best = allocator.counts(state.timeline, room, edges, [package.demand for package in wanted])
    rows = [Row(package, count[i].tolist(), best[i].tolist()) for i, package in enumerate(wanted)]
    if actor is not None and draws_on_reserve(actor, state):
        rows = [_from_reserve(state, edges, row) if row.package.name == "tiny" else row for row in rows]
    return Answer(state, zone.key, question.granularity, edges, rows, question.sharing)


def draws_on_reserve(actor: Actor, state: PoolState) -> bool:
    """Whether this actor's bookings come out of the standing reservation for level 0."""
    return actor.level == 0 and not actor.is_admin and any(state.reserve.vector())


def _from_reserve(state: PoolState, edges: list[int], row: Row) -> Row:
    room = allocator.level0_room(state.timeline, state.reserve)
    count, best = allocator.counts(state.timeline, room, edges, [row.package.demand])
    return Row(row.package, count[0].tolist(), best[0].tolist())


def _wanted(current: Sequence[Package], question: Question) -> Sequence[Package]:
    if not question.packages:
        return current
    if CUSTOM in question.packages and question.custom is None:
        fields = ("notebook_cores", "notebook_memory_mib", "worker_cores", "worker_memory_mib")
        raise Invalid({name: ["is needed for a custom package"] for name in fields})
    return [
        question.custom if name == CUSTOM and question.custom else named(current, name)
        for name in question.packages
    ]


def known_zone(name: str) -> ZoneInfo:
    """The IANA zone of that name.

    :raises Invalid: if there is none.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Invalid({"timezone": [f"{name!r} is not an IANA time zone"]}) from None


def as_instant(value: date | datetime, zone: ZoneInfo) -> datetime:
    """An instant as it is; a date as its first instant in the zone."""
    return value if isinstance(value, datetime) else day_start(zone, value)


def window_of(start: date | datetime, end: date | datetime, zone: ZoneInfo) -> Span:
    """The span that a question names, on whole minutes.

    :raises Invalid: if it ends before it starts, lies outside 1970 to 2200, or is longer than eleven years.
    """
    if not all(1970 < value.year < 2200 for value in (start, end)):
        raise Invalid({"from": ["lies between the years 1971 and 2199"]})
    first, last = floor_minute(as_instant(start, zone)), floor_minute(as_instant(end, zone))
    if first >= last:
        raise Invalid({"to": ["must be after from"]})
    if last > first + _LONGEST:
        raise Invalid({"to": ["is at most eleven years after from"]})
    return Span(first, last)


def _edges(zone: ZoneInfo, question: Question, rows: int) -> list[int]:
    edges = boundaries(zone, window_of(question.start, question.end, zone), question.granularity)
    if (len(edges) - 1) * max(rows, 1) > MOST_CELLS:
        raise Invalid({"to": [f"asks for more than {MOST_CELLS} cells; ask for less time or fewer packages"]})
    return edges


@dataclass(frozen=True)
class ExactTimeline:
    """The step functions of a pool over a span, with what people wrote about them."""

    pool: PoolState
    span: Span
    segments: list[Segment]
    inventory: Sequence[Inventory]
    blackouts: Sequence[Blackout]


def timeline(ctx: Context, pool: str, start: date | datetime, end: date | datetime) -> ExactTimeline:
    """The exact step functions of a pool.

    :raises NotFound: if there is no such pool.
    :raises Invalid: if the window is empty or too long.
    """

    def read(session: Session) -> ExactTimeline:
        pool_id = find_pool(session, pool)
        span = window_of(start, end, session.get_one(Pool, pool_id).zone)
        state = state_of(ctx, session, pool_id, span)
        inventory = session.scalars(
            select(Inventory)
            .where(Inventory.pool_id == pool_id, Inventory.start < span.end, Inventory.end > span.start)
            .order_by(Inventory.start, Inventory.id)
        ).all()
        blackouts = session.scalars(
            select(Blackout)
            .where(Blackout.pool_id == pool_id, Blackout.start < span.end, Blackout.end > span.start)
            .order_by(Blackout.start, Blackout.id)
        ).all()
        return ExactTimeline(state, span, state.timeline.segments(*span.minutes), inventory, blackouts)

    ctx = ctx.reader
    return holds.reading(ctx, "timeline", read)


def place_of(ctx: Context, state: PoolState, room: Amounts) -> Place:
    """The pool as a place to search in: from the current cell to the horizon."""
    now = ctx.clock.now()
    return Place(
        pool_id=state.id,
        zone=state.zone,
        granularity=state.granularity,
        timeline=state.timeline,
        room=room,
        start_from=cell_at(state.zone, now, state.granularity).start,
        horizon=floor_minute(ctx.horizon(now)),
    )


@dataclass(frozen=True)
class SlotQuestion:
    """When can I have this?"""

    package: str
    length: timedelta
    start: date | datetime | None = None
    end: date | datetime | None = None
    limit: int = 10
    pool: str | None = None
    sharing: Sharing = Sharing.RESERVED
    custom: Package | None = None


def slots(ctx: Context, question: SlotQuestion) -> tuple[PoolState, list[Span]]:
    """The earliest spans that fit, in order; from now to the horizon where no window is given.

    :raises NotFound: if the pool or the package is not there.
    :raises Invalid: if the window is empty or the length is not positive.
    """

    def read(session: Session) -> tuple[PoolState, list[Span]]:
        pool_id = find_pool(session, question.pool)
        asked = Question(date.min, date.min, packages=(question.package,), custom=question.custom)
        package = _wanted(ctx.catalogue.current(session), asked)[0]
        state = state_of(ctx, session, pool_id)
        place = place_of(ctx, state, allocator.free(state.timeline, question.sharing))
        now = ctx.clock.now().astimezone(UTC)
        window = window_of(question.start or now, question.end or place.horizon, state.zone)
        window = Span(
            max(window.start, place.start_from), max(window.end, place.start_from + timedelta(minutes=1))
        )
        return state, find_slots(place, package.demand, question.length, window, question.limit)

    ctx = ctx.reader
    return holds.reading(ctx, "slots", read)
