"""The audit: from the rows alone, that no hour to come is oversold. A pool that fails it is closed.

It shares no arithmetic with the promises that it checks: a sweep over the edges of all claims, in whole
numbers, and then the comparison of what the rows say with the timeline that promises are decided on.
"""

from __future__ import annotations

import logging
from functools import partial

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session, lazyload

from booking.allocator.lifecycle import COUNTED
from booking.allocator.span import Span, floor_minute, instant_of
from booking.allocator.sweep import shortages
from booking.allocator.timeline import SIDES, Amounts, Entry, Side, Timeline
from booking.models import Blackout, Booking, Inventory, Pool, Reservation, Stranger
from booking.services import holds
from booking.services.capacity import ALWAYS
from booking.services.context import Context
from booking.services.leadership import still_leading
from booking.services.ledger import entries, lock_pool
from booking.services.states import state_of

log = logging.getLogger(__name__)


def audit(ctx: Context, epoch: int) -> dict[str, str]:
    """Close the pools that are at fault, and open those that no longer are; the faults by pool.

    :raises Deposed: if the epoch is no longer the present one.
    """
    pools = ctx.db.read("pools to audit", lambda s: s.scalars(select(Pool).order_by(Pool.id)).all())
    faults = {}
    for pool in pools:
        fault = holds.reading(ctx, "audit", partial(_fault, ctx, pool.id))
        if fault:
            faults[pool.name] = fault
            log.error("the pool %s is at fault and closed: %s", pool.name, fault)
        if fault != pool.closed_reason:
            _settle(ctx, epoch, pool.id, fault)
    return faults


def closed(ctx: Context) -> dict[str, str]:
    """The pools in which nothing is promised at present, and why."""

    def read(session: Session) -> dict[str, str]:
        rows = session.execute(select(Pool.name, Pool.closed_reason).where(Pool.closed_reason.is_not(None)))
        return {name: reason or "" for name, reason in rows}

    return ctx.db.read("closed pools", read)


def _settle(ctx: Context, epoch: int, pool_id: str, fault: str | None) -> None:
    def write(session: Session) -> None:
        still_leading(ctx, session, epoch)
        pool = lock_pool(session, pool_id)
        if (pool.closed_reason is None) != (fault is None):
            what = "pool.closed" if fault else "pool.opened"
            ctx.journal(session, None, what, f"pool:{pool.id}", reason=fault or "")
        pool.closed_reason = fault

    ctx.db.run("close or open pool", write)


def _fault(ctx: Context, pool_id: str, session: Session) -> str | None:
    """What is wrong with a pool from now on, in one sentence."""
    pool = session.get_one(Pool, pool_id)
    now = floor_minute(ctx.clock.now())
    window = Span(now, floor_minute(ctx.horizon(now)))
    owned, claims = _owned(session, pool), _claims(session, pool, window)
    unwarned = [entry for reservation, entry in claims if not reservation.at_risk]
    return _oversold(pool, [*owned, *unwarned], unwarned, window) or _differs(
        ctx, session, pool, [*owned, *(entry for _, entry in claims)], window
    )


def _owned(session: Session, pool: Pool) -> list[Entry]:
    """What there is, the standing reservation, and what strangers have reserved."""
    found = entries(Side.RESERVED, ALWAYS, pool.resources)
    for row in session.scalars(select(Inventory).where(Inventory.pool_id == pool.id)):
        found += entries(Side.PHYSICAL, row.span, row.resources)
    for withdrawn in session.scalars(select(Blackout).where(Blackout.pool_id == pool.id)):
        found += entries(Side.PHYSICAL, withdrawn.span, withdrawn.resources, -1)
    for stranger in session.scalars(select(Stranger).where(Stranger.pool_id == pool.id)):
        found += entries(Side.RESERVED, stranger.span, stranger.resources)
    return found


def _claims(session: Session, pool: Pool, window: Span) -> list[tuple[Reservation, Entry]]:
    rows = session.execute(
        select(Reservation, Booking)
        .join(Booking, Reservation.booking_id == Booking.id)
        .where(Reservation.pool_id == pool.id, Reservation.state.in_(COUNTED), Reservation.end > window.start)
        .options(lazyload("*"))
    )
    return [
        (reservation, entry)
        for reservation, booking in rows
        for entry in entries(booking.side, reservation.span, booking.size.demand)
    ]


def _oversold(pool: Pool, all_entries: list[Entry], claims: list[Entry], window: Span) -> str | None:
    """Whether somebody who was not warned stands where something is missing.

    Claims that are flagged as at risk are not among the entries: they were told that capacity was
    withdrawn under them. A standing reservation alone cannot be oversold; it is lowered by hand.
    """
    for short in shortages(all_entries, *window.minutes, pool.share_ratio_milli):
        if any(
            c.kind == short.kind and c.side != Side.LEVEL0 and c.start < short.end and short.start < c.end
            for c in claims
        ):
            start, end = (instant_of(minute).isoformat() for minute in (short.start, short.end))
            return f"{short.kind} oversold by {short.amount} from {start} to {end}"
    return None


def _differs(
    ctx: Context, session: Session, pool: Pool, all_entries: list[Entry], window: Span
) -> str | None:
    """Whether the timeline that promises are decided on says something else than the rows."""
    first, last = window.minutes
    rows = Timeline.empty(first, last, ratio=pool.ratio).applied(all_entries)
    decided = state_of(ctx, session, pool.id, window).timeline
    marks = np.union1d(rows.marks[:-1], decided.marks[(decided.marks > first) & (decided.marks < last)])
    wrong = (_at(rows, marks) != _at(decided, marks)).any(axis=1)
    if not wrong.any():
        return None
    side, mark = (int(index[0]) for index in np.nonzero(wrong))
    at = instant_of(int(marks[mark])).isoformat()
    return f"the ledger differs from the rows on the {SIDES[side]} side at {at}"


def _at(timeline: Timeline, minutes: Amounts) -> Amounts:
    """The amounts `[side, kind]` in force at each of those minutes."""
    slots = np.searchsorted(timeline.marks, minutes, side="right") - 1
    found: Amounts = timeline.amounts[:, :, slots]
    return found
