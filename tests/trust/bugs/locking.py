"""Mistakes in locking: what is decided without a lock, before it, or on what was read before it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from booking.models import Account, Leadership, Pool
from booking.models.store import columns_of
from booking.services import (
    bookings,
    capacity,
    changes,
    clusters,
    holds,
    leadership,
    ledger,
    offering,
    visitors,
    work,
)
from booking.services.context import Actor, Context
from booking.services.decision import BookingRequest, Decision
from booking.services.decision import decide as decision_of
from booking.together import Question
from tests.trust.bugs.planting import Spade, bug

_LOCKERS = (ledger, bookings, holds, clusters, work, visitors, capacity)


def _unlocked(session: Session, pool_id: str, *_also: Question) -> Pool:
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
        ledger.lock_pool(session, pool.id)
        return decision

    spade.plant(bookings, "lock_pool", _unlocked)
    spade.plant(bookings, "decide", decided)


@bug
def account_not_locked(spade: Spade) -> None:
    """Two requests of one account are decided side by side, each within its limits."""

    spade.plant(
        bookings, "_LOCK_ACCOUNT", select(*columns_of(Account)).where(Account.id == bindparam("account"))
    )


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

    def found(ctx: Context, session: Session, actor: Actor, booking_id: str, *_: Any, **__: Any) -> Any:
        booking = bookings.owned(session, actor, booking_id)
        pool = ledger.lock_pool(session, booking.pool_id)
        holds.expire_due(ctx, session, pool, ctx.clock.now())
        return booking, pool

    spade.plant_everywhere((bookings, changes), "locked_booking", found)


@bug
def offered_by_who_no_longer_leads(spade: Spade) -> None:
    """Who held the lead when the round began goes on offering, whoever leads by now."""
    spade.plant(offering, "still_leading", lambda *_: None)


@bug
def offered_without_the_lock(spade: Spade) -> None:
    """What is free was looked at a moment ago, so the offer takes no lock."""

    def unlocked(_: Context, session: Session, pool_id: str, account_id: str) -> tuple[Pool, Account]:
        return _unlocked(session, pool_id), session.get_one(Account, account_id)

    spade.plant(offering, "locked", unlocked)
