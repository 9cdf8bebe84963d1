"""The state of a pool that an answer is computed from, or that a promise is decided on."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from booking.allocator.cells import Granularity, cell_at
from booking.allocator.runs import Place
from booking.allocator.span import Span, floor_minute
from booking.allocator.timeline import Amounts
from booking.models import Account, Pool
from booking.services import holds
from booking.services.context import Actor, Context
from booking.services.holds import HoldsDue
from booking.services.marks import Mark
from booking.services.timelines import PoolState

_PAST = timedelta(days=31)


def state_of(ctx: Context, session: Session, pool_id: str, window: Span | None = None) -> PoolState:
    """The pool at its present generation over the usual window, or over another where that is asked.

    :raises HoldsDue: if holds of the pool have expired and are still counted; see :func:`holds.reading`.
    """
    state = _state(ctx, session, pool_id, window, ctx.clock.now())
    # By the clock after it was read: a hold that another process has ended meanwhile was due by then, too.
    if state.hold_expires_at is not None and state.hold_expires_at <= ctx.clock.now():
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
    return _usual(floor_minute(now), ctx.settings.horizon_months)


def coming_window(ctx: Context, now: datetime) -> Span:
    """From now to the horizon."""
    return _coming(floor_minute(now), ctx.settings.horizon_months)


@lru_cache(maxsize=8)
def _coming(minute: datetime, months: int) -> Span:
    return Span(minute, minute + relativedelta(months=months))


@lru_cache(maxsize=8)
def _usual(minute: datetime, months: int) -> Span:
    return Span(minute - _PAST, _coming(minute, months).end)


def _state(ctx: Context, session: Session, pool_id: str, window: Span | None, now: datetime) -> PoolState:
    usual = usual_window(ctx, now)
    if window is None or (usual.start <= window.start and window.end <= usual.end):
        return ctx.timelines.current(session, pool_id, usual)
    return ctx.timelines.over(session, pool_id, window)


def state_at(ctx: Context, mark: Mark, minutes: tuple[int, int] | None = None) -> PoolState:
    """The pool that the mark tells of, from the cache of the process; else as it is now.

    It reaches over at least those minutes; None is the usual window.
    """
    asked = minutes or usual_window(ctx, ctx.clock.now()).minutes
    known = ctx.timelines.at(mark, asked)
    if known is not None:
        return known
    window = Span.of_minutes(*minutes) if minutes else None
    return holds.reading(ctx, "timeline", lambda session: state_of(ctx, session, mark.id, window))


def place_of(ctx: Context, state: PoolState, room: Amounts) -> Place:
    """The pool as a place to search in: from the current cell to the horizon."""
    now = ctx.clock.now()
    return Place(
        pool_id=state.id,
        zone=state.zone,
        granularity=state.granularity,
        timeline=state.timeline,
        room=room,
        start_from=_current_cell(state.zone, floor_minute(now), state.granularity).start,
        horizon=coming_window(ctx, now).end,
    )


@lru_cache(maxsize=64)
def _current_cell(zone: ZoneInfo, minute: datetime, granularity: Granularity) -> Span:
    return cell_at(zone, minute, granularity)


def draws_on_reserve(actor: Actor | Account, state: PoolState) -> bool:
    """Whether this actor's bookings come out of the standing reservation for level 0."""
    return actor.level == 0 and not actor.is_admin and any(state.reserve.vector())
