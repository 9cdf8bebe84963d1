"""The exact step functions of a pool, with what people wrote about its inventory and blackouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.allocator.span import Span
from booking.allocator.timeline import Segment
from booking.models import Blackout, Inventory, Pool
from booking.services import holds
from booking.services.context import Context
from booking.services.finding import find_pool
from booking.services.states import state_of
from booking.services.timelines import PoolState
from booking.services.windows import window_of


@dataclass(frozen=True)
class ExactTimeline:
    """The step functions of a pool over a span, with what people wrote about them."""

    pool: PoolState
    span: Span
    segments: list[Segment]
    inventory: Sequence[Inventory]
    blackouts: Sequence[Blackout]


def exact_timeline(ctx: Context, pool: str, start: date | datetime, end: date | datetime) -> ExactTimeline:
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
