"""Mistakes in locking: what is decided without a lock, before it, or on what was read before it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from booking.models import Account, Leadership, Pool
from booking.services import (
    bookings,
    capacity,
    changes,
    clusters,
    holds,
    leadership,
    timelines,
    visitors,
    work,
)
from booking.services.context import Actor, Context
from booking.services.decision import BookingRequest, Decision
from booking.services.decision import decide as decision_of
from tests.trust.bugs.planting import Spade, bug

_LOCKERS = (timelines, bookings, holds, clusters, work, visitors, capacity)
_locked = bookings._locked


def _unlocked(session: Session, pool_id: str) -> Pool:
    return session.get_one(Pool, pool_id, populate_existing=True)


@bug
def pool_not_locked(spade: Spade) -> None:
    """The pool is read as it is, and nobody is kept from changing it meanwhile."""
    spade.plant_everywhere(_LOCKERS, "lock_pool", _unlocked)


@bug
def capacity_edited_without_the_lock(spade: Spade) -> None:
    """Only administrators change capacity, so who should be in their way?"""
    spade.plant(capacity, "lock_pool", _unlocked)


@bug
def pool_locked_after_the_decision(spade: Spade) -> None:
    """The request is decided first, so that the lock is held for as short as possible."""

    def decided(
        ctx: Context, session: Session, actor: Actor, pool: Pool, request: BookingRequest
    ) -> Decision:
        decision = decision_of(ctx, session, actor, pool, request)
        timelines.lock_pool(session, pool.id)
        return decision

    spade.plant(bookings, "lock_pool", _unlocked)
    spade.plant(bookings, "decide", decided)


@bug
def account_not_locked(spade: Spade) -> None:
    """Two requests of one account are decided side by side, each within its limits."""

    class Lockless(Session):
        def execute(self, statement: Any, *args: Any, **rest: Any) -> Any:
            if getattr(statement, "_for_update_arg", None) is not None:
                statement = select(Account).where(Account.id == bindparam("account"))
            return super().execute(statement, *args, **rest)

    def locked(ctx: Context, session: Session, *rest: Any) -> Any:
        before, session.__class__ = session.__class__, Lockless
        try:
            return _locked(ctx, session, *rest)
        finally:
            session.__class__ = before

    spade.plant(bookings, "_locked", locked)


@bug
def epoch_read_without_a_lock(spade: Spade) -> None:
    """The epoch is compared, and the next leader may take over before the commit."""

    def leading(_ctx: Context, session: Session, epoch: int) -> None:
        present = session.scalar(select(Leadership.epoch).where(Leadership.name == leadership.SCHEDULER))
        if present != epoch:
            raise leadership.Deposed("the epoch is over")

    spade.plant_everywhere((clusters, work), "still_leading", leading)


@bug
def booking_read_before_the_lock(spade: Spade) -> None:
    """A booking is read to find its pool, and what was read is changed once the pool is locked."""

    def found(ctx: Context, session: Session, actor: Actor, booking_id: str, _: int | None) -> Any:
        booking = bookings.owned(session, actor, booking_id)
        pool = timelines.lock_pool(session, booking.pool_id)
        holds.expire_due(ctx, session, pool, ctx.clock.now())
        return booking, pool

    spade.plant_everywhere((bookings, changes), "locked_booking", found)
