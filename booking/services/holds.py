"""Holds end at their expiry, whether or not the scheduler is there to see it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking.allocator.lifecycle import State
from booking.models import Pool, Reservation
from booking.services import transitions
from booking.services.context import Context
from booking.services.ledger import lock_pool

T = TypeVar("T")


class HoldsDue(Exception):
    """Holds of a pool have expired and are still counted; they end first, then the reader asks again."""

    def __init__(self, pool_id: str) -> None:
        super().__init__(pool_id)
        self.pool_id = pool_id


def reading(ctx: Context, name: str, read: Callable[[Session], T]) -> T:
    """Read what depends on timelines; holds whose time has come end first, scheduler or not."""
    return after_due(ctx, lambda: ctx.db.read(name, read))


def after_due(ctx: Context, look: Callable[[], T]) -> T:
    """What `look` finds once no hold is due that it still counts."""
    while True:
        try:
            return look()
        except HoldsDue as due:
            expire_now(ctx, due.pool_id)


def expire_now(ctx: Context, pool_id: str) -> None:
    """Let the holds of a pool expire whose time has come."""
    now = ctx.clock.now()
    ctx.db.run("expire holds", lambda session: expire_due(ctx, session, lock_pool(session, pool_id), now))


def expire_due(ctx: Context, session: Session, pool: Pool, now: datetime) -> None:
    """The same within a transaction that holds the pool's lock; a hold whose expiry is now is over."""
    if pool.hold_expires_at is None or pool.hold_expires_at > now:
        return
    due = session.scalars(
        select(Reservation)
        .where(Reservation.pool_id == pool.id, Reservation.state == State.HELD, Reservation.expires_at <= now)
        .order_by(Reservation.id)
    ).all()
    transitions.move_all(ctx, session, pool, due, State.EXPIRED, reason="the hold was not confirmed in time")
    note_next_expiry(session, pool)


def note_next_expiry(session: Session, pool: Pool) -> None:
    """Write down when the next hold of the pool expires."""
    session.flush()
    pool.hold_expires_at = session.scalar(
        select(func.min(Reservation.expires_at)).where(
            Reservation.pool_id == pool.id, Reservation.state == State.HELD
        )
    )
