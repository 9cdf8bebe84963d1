"""The timelines of pools: read from the ledger, cached by generation, changed only by appending to it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from sqlalchemy import and_, bindparam, func, insert, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.exc import StaleDataError

from booking import metrics
from booking.allocator.cells import Granularity
from booking.allocator.packing import unpacked
from booking.allocator.resources import Resources
from booking.allocator.span import Span, floor_minute, minute_of
from booking.allocator.timeline import Entry, ShareRatio, Side, Timeline
from booking.errors import NotFound
from booking.models import Ledger, Pool, Snapshot
from booking.models.history import History

_BYTES = 256 * 2**20
"""What the cached arrays of a process may take; the least recently used pool goes first."""
_KEPT = 4
"""How many generations of a pool are kept, for transactions that began before the newest."""
_APPENDED = "appended to the ledger"
_SLACK = relativedelta(months=2)
"""How much further than asked a cached window reaches, so that it need not be built anew each day."""


class HoldsDue(Exception):
    """Holds of a pool have expired and are still counted; they end first, then the reader asks again."""

    def __init__(self, pool_id: str) -> None:
        super().__init__(pool_id)
        self.pool_id = pool_id


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
    timeline: Timeline


class Timelines:
    """The cache of one process; entries are immutable, so threads share them without a lock."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, tuple[PoolState, ...]] = OrderedDict()
        """Of each pool the last few, the newest first: a transaction sees the database as it began."""

    def current(self, session: Session, pool_id: str, window: Span) -> PoolState:
        """The pool over at least the window; one statement when nothing has changed.

        Within the transaction that holds the pool's lock this is the state a promise is decided on. A
        transaction that has appended sees its own entries, and nothing of that is kept: it may not commit.

        :raises NotFound: if there is no such pool.
        """
        state = self._from_known(session, pool_id, window)
        if state is None:
            window = padded(window)
            state = from_snapshot(session, pool_id, window) or from_ledger(session, pool_id, window)
        if not session.info.get(_APPENDED):
            self._keep(state)
        return state

    def _from_known(self, session: Session, pool_id: str, window: Span) -> PoolState | None:
        for known in self._states.get(pool_id, ()):
            if known.timeline.covers(*window.minutes):
                state = _caught_up(session, known)
                if state is not None:
                    metrics.caught_up(state.generation - known.generation)
                    return state
        return None

    def at(self, pool_id: str, epoch: str, generation: int, window: Span) -> PoolState | None:
        """The pool at just that generation over at least the window, if it is cached; no statement."""
        for known in self._states.get(pool_id, ()):
            if known.generation == generation and known.epoch == epoch:
                if not known.timeline.covers(*window.minutes):
                    return None
                metrics.caught_up(0)
                return known
        return None

    def over(self, session: Session, pool_id: str, window: Span) -> PoolState:
        """The pool over a window that may lie anywhere; built from the ledger alone, and not kept."""
        return from_ledger(session, pool_id, window)

    def known(self, pool_id: str) -> PoolState | None:
        """The newest state that is cached, as it is; it may be old."""
        return next(iter(self._states.get(pool_id, ())), None)

    def drop(self, pool_id: str) -> None:
        """Forget what is cached of a pool, after an error whose reach is not known."""
        self._states.pop(pool_id, None)

    def _keep(self, state: PoolState) -> None:
        others = [
            known
            for known in self._states.get(state.id, ())
            if known.epoch == state.epoch and known.generation != state.generation
        ]
        newest_first = sorted([state, *others], key=lambda known: known.generation, reverse=True)
        self._states[state.id] = tuple(newest_first[:_KEPT])
        self._states.move_to_end(state.id)
        while len(self._states) > 1 and self._size() > _BYTES:
            self._states.popitem(last=False)

    def _size(self) -> int:
        kept = [state for states in list(self._states.values()) for state in states]
        return sum(3 * state.timeline.amounts.nbytes for state in kept)


def padded(window: Span) -> Span:
    """What is cached where a window is asked for."""
    return Span(floor_minute(window.start - timedelta(days=7)), floor_minute(window.end + _SLACK))


_EPOCH = (Pool.epoch + "/" + History()).label("epoch")


@metrics.loading("ledger")
def from_ledger(session: Session, pool_id: str, window: Span) -> PoolState:
    """The pool over that window, from its whole ledger.

    :raises NotFound: if there is no such pool.
    """
    query = select(Pool, _EPOCH).where(Pool.id == pool_id)
    found = session.execute(query, execution_options={"populate_existing": True}).one_or_none()
    if found is None:
        raise NotFound("pool", pool_id)
    pool, epoch = found
    empty = Timeline.empty(*window.minutes, ratio=pool.ratio)
    rows = session.execute(
        select(Ledger.side, Ledger.start, Ledger.end, Ledger.kind, func.sum(Ledger.amount))
        .where(
            Ledger.pool_id == pool_id,
            Ledger.generation <= pool.generation,
            Ledger.end > empty.base,
            Ledger.start < empty.end,
        )
        .group_by(Ledger.side, Ledger.start, Ledger.end, Ledger.kind)
        .having(func.sum(Ledger.amount) != 0)
    )
    timeline = empty.applied(
        Entry(side, start, end, kind, int(total)) for side, start, end, kind, total in rows
    )
    return _state(pool, epoch, pool.generation, timeline)


@metrics.loading("snapshot")
def from_snapshot(session: Session, pool_id: str, window: Span) -> PoolState | None:
    """The snapshot and the ledger after it; None if there is none that reaches over the window."""
    query = (
        select(Pool, _EPOCH, Snapshot)
        .join(Snapshot, and_(Snapshot.pool_id == Pool.id, Snapshot.epoch == Pool.epoch))
        .where(Pool.id == pool_id, Snapshot.generation <= Pool.generation, Snapshot.until >= window.end)
    )
    found = session.execute(query, execution_options={"populate_existing": True}).one_or_none()
    if found is None:
        return None
    pool, epoch, snapshot = found
    timeline = unpacked(snapshot.data, pool.ratio)
    if not timeline.covers(*window.minutes):
        return None
    return _caught_up(session, _state(pool, epoch, snapshot.generation, timeline))


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


def _caught_up(session: Session, known: PoolState) -> PoolState | None:
    """The state after the ledger's newer rows; None if the database is not the one that was known."""
    named = {"pool": known.id, "generation": known.generation}
    rows = session.connection().execute(_CATCH_UP, named).all()
    if not rows:
        raise NotFound("pool", known.id)
    head = rows[0]
    if head.epoch != known.epoch or head.generation < known.generation:
        return None
    if head.generation == known.generation and head.hold_expires_at == known.hold_expires_at:
        return known
    entries = [
        Entry(row.side, row.start, row.end, row.kind, row.amount) for row in rows if row.side is not None
    ]
    timeline = replace(known.timeline, ratio=ShareRatio(head.share_ratio_milli)).applied(entries)
    return replace(
        known,
        generation=head.generation,
        hold_expires_at=head.hold_expires_at,
        reserve=Resources(head.cores, head.memory_mib, head.gpus, head.disk_gib),
        timeline=timeline,
    )


_LOCK = (
    select(Pool)
    .where(Pool.id == bindparam("pool"))
    .with_for_update(of=Pool)
    .execution_options(populate_existing=True)
)


def lock_pool(session: Session, pool_id: str) -> Pool:
    """The pool's row, locked until the transaction ends; every change of its timelines holds this lock.

    :raises NotFound: if there is no such pool.
    """
    with metrics.POOL_LOCK.time():
        pool = session.scalar(_LOCK, {"pool": pool_id})
    if pool is None:
        raise NotFound("pool", pool_id)
    return pool


_ADVANCE = (
    update(Pool.__table__)  # type: ignore[arg-type]
    .where(Pool.id == bindparam("pool"), Pool.generation == bindparam("before"))
    .values(generation=Pool.generation + 1)
)


_APPEND = insert(Ledger.__table__)  # type: ignore[arg-type]


def append(session: Session, pool: Pool, entries: Iterable[Entry]) -> None:
    """Append entries to the ledger under one new generation; the pool's row must be locked.

    :raises StaleDataError: if it was not, and somebody else was quicker; the transaction is made again.
    """
    session.info[_APPENDED] = True
    before = pool.generation
    # The row of the pool first: there the database sees whether the lock was held, and says it best.
    advanced = session.connection().execute(_ADVANCE, {"pool": pool.id, "before": before})
    if advanced.rowcount != 1:
        raise StaleDataError(f"pool {pool.id} is no longer at generation {before}")
    set_committed_value(pool, "generation", before + 1)
    rows = [entry for entry in entries if entry.amount]
    head = {"pool_id": pool.id, "generation": pool.generation}
    new = [head | {"seq": seq} | entry._asdict() for seq, entry in enumerate(rows)]
    if new:
        session.connection().execute(_APPEND, new)


def entries(side: Side, span: Span, amounts: Resources, sign: int = 1) -> list[Entry]:
    """The entries that add (or with sign -1 remove) an amount over a span."""
    start, end = span.minutes
    return [
        Entry(side, start, end, kind, sign * amount) for kind, amount in amounts.amounts().items() if amount
    ]


def moved(side: Side, before: Span, after: Span, amounts: Resources) -> Sequence[Entry]:
    """The entries that turn a claim over one span into the same claim over another."""
    if before.start == after.start:
        edges = sorted((minute_of(before.end), minute_of(after.end)))
        if edges[0] == edges[1]:
            return []
        sign = 1 if after.end > before.end else -1
        return entries(side, Span.of_minutes(*edges), amounts, sign)
    return [*entries(side, before, amounts, -1), *entries(side, after, amounts)]
