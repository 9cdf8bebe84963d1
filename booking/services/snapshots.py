"""Snapshots of timelines, so that a process that starts does not read the whole ledger. Disposable."""

from __future__ import annotations

from dateutil.relativedelta import relativedelta
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.allocator.packing import packed
from booking.allocator.span import Span, instant_of
from booking.models import Pool, Snapshot
from booking.services.context import Context
from booking.services.states import usual_window
from booking.services.timelines import PoolState, from_ledger, from_snapshot, padded

EVERY = 2000
"""After so many generations a new one is taken; to catch up with as many takes milliseconds."""
_LEAST = relativedelta(days=30)
_MOST = relativedelta(days=120)
"""How much further than needed one reaches, at least and when it is new: the days go by."""


def take(ctx: Context) -> int:
    """Take the snapshots that are due; how many."""
    needed = padded(usual_window(ctx, ctx.clock.now()))
    least, most = (Span(needed.start, needed.end + more) for more in (_LEAST, _MOST))

    def due(session: Session) -> list[str]:
        rows = session.execute(
            select(Pool.id, Pool.epoch, Pool.generation, Snapshot.epoch, Snapshot.generation, Snapshot.until)
            .outerjoin(Snapshot, Snapshot.pool_id == Pool.id)
            .where(Pool.generation >= EVERY)
            .order_by(Pool.id)
        )
        return [
            pool_id
            for pool_id, epoch, generation, *(of_epoch, of_generation, until) in rows
            if of_epoch != epoch or generation - of_generation >= EVERY or until < least.end
        ]

    pools = ctx.db.read("snapshots due", due)
    for pool_id in pools:
        _take(ctx, pool_id, least, most)
    return len(pools)


def _take(ctx: Context, pool_id: str, least: Span, most: Span) -> None:
    def read(session: Session) -> tuple[str, PoolState]:
        state = from_snapshot(session, pool_id, least) or from_ledger(session, pool_id, most)
        return session.get_one(Pool, pool_id).epoch, state

    epoch, state = ctx.db.read("snapshot", read)
    row = {"epoch": epoch, "generation": state.generation, "until": instant_of(state.timeline.end)}
    data = packed(state.timeline)
    ctx.db.run("keep snapshot", lambda s: s.merge(Snapshot(pool_id=pool_id, data=data, **row)))
