"""The timelines of pools: read from the ledger, cached by generation."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from sqlalchemy import BigInteger, and_, bindparam, cast, func, select
from sqlalchemy.orm import Session

from booking import metrics, together
from booking.allocator.cells import Granularity
from booking.allocator.packing import unpacked
from booking.allocator.resources import Resources
from booking.allocator.span import Span, floor_minute
from booking.allocator.timeline import Entry, ShareRatio, Timeline
from booking.errors import NotFound
from booking.models import Ledger, Pool, Snapshot
from booking.models.history import History
from booking.models.store import columns_of, loaded
from booking.services.ledger import has_appended
from booking.together import Question

if TYPE_CHECKING:
    from booking.services.marks import Mark

_BYTES = 256 * 2**20
"""What the cached arrays of a process may take; the least recently used pool goes first."""
_KEPT = 4
"""How many generations of a pool are kept, for transactions that began before the newest."""
_MOST_NEWER = 64
"""So many entries are looked through by every promise before they are put into the arrays once."""
_SLACK = relativedelta(months=2)
"""How much further than asked a cached window reaches, so that it need not be built anew each day."""


@dataclass(frozen=True)
class PoolState:
    """A pool at one generation, with its timeline over a window."""

    id: str
    name: str
    zone: ZoneInfo
    granularity: Granularity
    generation: int
    epoch: str
    """With the generation it names one content of the ledger, on whichever server."""
    hold_expires_at: datetime | None
    reserve: Resources
    """The standing reservation for level 0."""
    base: Timeline
    newer: tuple[Entry, ...] = ()
    """What has come since `base` was made. A promise looks at a few slots: all of them are copied for who
    wants all, or when this has grown long."""

    @cached_property
    def timeline(self) -> Timeline:
        return self.base.applied(self.newer)

    def part(self, start: int, end: int) -> PoolState:
        """The same with the slots alone that touch `[start, end)`, in minutes.

        :raises ValueError: if the timeline does not cover them.
        """
        return replace(self, base=self.base.part(start, end).applied(self.newer), newer=())


_Place = tuple[str, Span | None]
"""A pool, and the years that are kept of it; None is the usual window."""


class Timelines:
    """The cache of one process; entries are immutable, so threads share them without a lock.

    Each act on it is one of the interpreter, and at worst a timeline is made twice.
    """

    def __init__(self) -> None:
        self._states: dict[_Place, tuple[PoolState, ...]] = {}
        """Of each the last few, the newest first: a transaction sees the database as it began. What was used last
        stands last."""

    def current(self, session: Session, pool_id: str, window: Span) -> PoolState:
        """The pool over at least the window; one statement when nothing has changed.

        Within the transaction that holds the pool's lock this is the state a promise is decided on. A
        transaction that has appended sees its own entries, and nothing of that is kept: it may not commit.

        :raises NotFound: if there is no such pool.
        """
        place = pool_id, None
        state = self._from_known(session, place, window)
        if state is None:
            window = padded(window)
            state = from_snapshot(session, pool_id, window) or from_ledger(session, pool_id, window)
        return self._kept(session, place, state)

    def over(self, session: Session, pool_id: str, window: Span) -> PoolState:
        """The same over a window that may lie anywhere; it is built from the ledger, and kept by whole years.

        :raises NotFound: if there is no such pool.
        """
        years = _years(window)
        place = pool_id, years
        state = self._from_known(session, place, years) or from_ledger(session, pool_id, years)
        return self._kept(session, place, state)

    def _from_known(self, session: Session, place: _Place, window: Span) -> PoolState | None:
        for known in self._states.get(place, ()):
            if known.base.covers(*window.minutes):
                state = _caught_up(session, known)
                if state is not None:
                    metrics.caught_up(state.generation - known.generation)
                    return state
        return None

    def at(self, mark: Mark, minutes: tuple[int, int]) -> PoolState | None:
        """The pool at just that generation over at least those minutes, if it is cached; no statement."""
        found = self._at((mark.id, None), mark, minutes)
        if found is None:
            found = self._at((mark.id, _years(Span.of_minutes(*minutes))), mark, minutes)
        if found is not None:
            metrics.caught_up(0)
        return found

    def _at(self, place: _Place, mark: Mark, minutes: tuple[int, int]) -> PoolState | None:
        for known in self._states.get(place, ()):
            if known.generation == mark.generation and known.epoch == mark.epoch:
                return known if known.base.covers(*minutes) else None
        return None

    def known(self, pool_id: str) -> PoolState | None:
        """The newest state that is cached, as it is; it may be old."""
        return next(iter(self._states.get((pool_id, None), ())), None)

    def named(self, name: str | None) -> str | None:
        """The id of a pool with that id or name, if it is cached; it may have another name by now."""
        if name is None or (name, None) in self._states:
            return name
        states = self._states.copy()
        return next((pool_id for (pool_id, _), (newest, *_) in states.items() if newest.name == name), None)

    def news(self, pool_id: str) -> Sequence[Question]:
        """What :meth:`current` asks next, for who asks more at the same time."""
        known = self.known(pool_id)
        return [] if known is None else [_news(known)]

    def drop(self, pool_id: str) -> None:
        """Forget what is cached of a pool, after an error whose reach is not known."""
        for place in self._states.copy():
            if place[0] == pool_id:
                self._states.pop(place, None)

    def _kept(self, session: Session, place: _Place, state: PoolState) -> PoolState:
        if has_appended(session):
            return state
        before = self._states.get(place, ())
        others = [
            known for known in before if known.epoch == state.epoch and known.generation != state.generation
        ]
        newest_first = sorted([state, *others], key=lambda known: known.generation, reverse=True)
        # To the end of the order; whoever looks between these two makes it anew.
        self._states.pop(place, None)
        self._states[place] = tuple(newest_first[:_KEPT])
        if not before:  # a newer state is about as large as the one before it
            self._shrink()
        return state

    def _shrink(self) -> None:
        while len(self._states) > 1 and self.size > _BYTES:
            with suppress(KeyError, RuntimeError):  # other threads throw away, too
                del self._states[next(iter(self._states))]

    @property
    def size(self) -> int:
        """Bytes that the arrays take together, roughly."""
        return sum(map(_weight, self._states.copy().values()))


def _weight(states: Sequence[PoolState]) -> int:
    """What they take, roughly: the amounts themselves, what is available by them, and a copy with what is newer."""
    return sum(3 * state.base.amounts.nbytes for state in states)


def _years(window: Span) -> Span:
    """The years of UTC in which a window lies."""
    first, last = window.start.year, window.end.year
    return Span(datetime(first, 1, 1, tzinfo=UTC), datetime(last + 1, 1, 1, tzinfo=UTC))


def padded(window: Span) -> Span:
    """What is cached where a window is asked for."""
    return Span(floor_minute(window.start - timedelta(days=7)), floor_minute(window.end + _SLACK))


_EPOCH = (Pool.epoch + "/" + History()).label("epoch")


_POOL = (*columns_of(Pool), _EPOCH)
_WHOLE = select(*_POOL).where(Pool.id == bindparam("pool"))


@metrics.loading("ledger")
def from_ledger(session: Session, pool_id: str, window: Span) -> PoolState:
    """The pool over that window, from its whole ledger.

    :raises NotFound: if there is no such pool.
    """
    rows = together.rows(session, _WHOLE, {"pool": pool_id})
    if not rows:
        raise NotFound("pool", pool_id)
    pool = loaded(session, Pool, rows[0])
    empty = Timeline.empty(*window.minutes, ratio=pool.ratio)
    bounds = {"pool": pool_id, "generation": pool.generation, "base": empty.base, "last": empty.end}
    sums = session.connection().execute(_SUMS, bounds)
    return _state(pool, rows[0].epoch, pool.generation, empty.applied(map(Entry._make, sums)))


_AMOUNT = cast(func.sum(Ledger.amount), BigInteger)
_SUMS = (
    select(Ledger.side, Ledger.start, Ledger.end, Ledger.kind, _AMOUNT)
    .where(
        Ledger.pool_id == bindparam("pool"),
        Ledger.generation <= bindparam("generation"),
        Ledger.end > bindparam("base"),
        Ledger.start < bindparam("last"),
    )
    .group_by(Ledger.side, Ledger.start, Ledger.end, Ledger.kind)
    .having(_AMOUNT != 0)
)


_STORED = (
    select(*_POOL, Snapshot.generation.label("stored"), Snapshot.data)
    .join(Snapshot, and_(Snapshot.pool_id == Pool.id, Snapshot.epoch == Pool.epoch))
    .where(
        Pool.id == bindparam("pool"),
        Snapshot.generation <= Pool.generation,
        Snapshot.until >= bindparam("until"),
    )
)


@metrics.loading("snapshot")
def from_snapshot(session: Session, pool_id: str, window: Span) -> PoolState | None:
    """The snapshot and the ledger after it; None if there is none that reaches over the window."""
    rows = together.rows(session, _STORED, {"pool": pool_id, "until": window.end})
    if not rows:
        return None
    pool, stored = loaded(session, Pool, rows[0]), rows[0]
    try:
        timeline = unpacked(stored.data, pool.ratio)
    except ValueError:  # another release took it; the next one will be ours
        return None
    if not timeline.covers(*window.minutes):
        return None
    return _caught_up(session, _state(pool, stored.epoch, stored.stored, timeline))


def _state(pool: Pool, epoch: str, generation: int, timeline: Timeline) -> PoolState:
    return PoolState(
        pool.id,
        pool.name,
        pool.zone,
        pool.granularity,
        generation,
        epoch,
        pool.hold_expires_at,
        pool.resources,
        timeline,
    )


_JOINED = (
    Pool.generation,
    _EPOCH,
    Pool.hold_expires_at,
    Pool.share_ratio_milli,
    Pool.cores,
    Pool.memory_mib,
    Pool.gpus,
    Pool.disk_gib,
    Ledger.side,
    Ledger.start,
    Ledger.end,
    Ledger.kind,
    Ledger.amount,
)


_NEWER = and_(Ledger.pool_id == Pool.id, Ledger.generation > bindparam("generation"))
_CATCH_UP = select(*_JOINED).outerjoin(Ledger, _NEWER).where(Pool.id == bindparam("pool"))


def _news(known: PoolState) -> Question:
    return Question(_CATCH_UP, {"pool": known.id, "generation": known.generation})


def _caught_up(session: Session, known: PoolState) -> PoolState | None:
    """The state after the ledger's newer rows; None if the database is not the one that was known."""
    rows = together.rows(session, *_news(known))
    if not rows:
        raise NotFound("pool", known.id)
    head = rows[0]
    if head.epoch != known.epoch or head.generation < known.generation:
        return None
    if head.generation == known.generation and head.hold_expires_at == known.hold_expires_at:
        return known
    entries = [Entry(*row[-5:]) for row in rows if row.side is not None]
    base, newer = replace(known.base, ratio=ShareRatio(head.share_ratio_milli)), (*known.newer, *entries)
    if len(newer) > _MOST_NEWER:
        base, newer = base.applied(newer), ()
    return replace(
        known,
        generation=head.generation,
        hold_expires_at=head.hold_expires_at,
        reserve=Resources(head.cores, head.memory_mib, head.gpus, head.disk_gib),
        base=base,
        newer=newer,
    )
