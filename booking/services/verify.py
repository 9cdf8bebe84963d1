"""`booking verify`: recompute everything from the rows and report each difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import cast

import numpy as np
from sqlalchemy import case, exists, func, select
from sqlalchemy.orm import Session, lazyload

from booking.allocator.lifecycle import COUNTED, LIVE, State
from booking.allocator.resources import Resources
from booking.allocator.span import Span, floor_minute, instant_of
from booking.allocator.timeline import Side
from booking.allocator.waitlist import WantedState
from booking.models import (
    Action,
    Blackout,
    Booking,
    Cluster,
    ClusterPhase,
    Inventory,
    Ledger,
    Pool,
    Reservation,
    Stranger,
    Wanted,
    Work,
)
from booking.services import holds
from booking.services.capacity import ALWAYS, losers
from booking.services.context import Context
from booking.services.ledger import entries
from booking.services.states import state_of
from booking.services.timelines import from_ledger

Steps = Counter[tuple[str, str, int]]
"""Signed steps by (side, kind, minute)."""


def differences(ctx: Context) -> list[str]:
    """One sentence for each thing that is not as the rows say; empty when all is well.

    Reads one state of the database. O(rows + ledger).
    """

    def read(session: Session) -> list[str]:
        found = []
        for pool in session.scalars(select(Pool).order_by(Pool.id)):
            found += [f"pool {pool.name}: {text}" for text in _pool(ctx, session, pool)]
        found += _reservations(session)
        found += _offers(session)
        return found

    return holds.reading(ctx, "verify", read)


def _pool(ctx: Context, session: Session, pool: Pool) -> Iterator[str]:
    yield from _ledger(session, pool)
    last = session.scalar(select(func.max(Ledger.generation)).where(Ledger.pool_id == pool.id)) or 0
    if last > pool.generation:
        yield f"the ledger has generation {last}, the pool is at {pool.generation}"
    now = floor_minute(ctx.clock.now())
    window = Span(now, floor_minute(ctx.horizon(now)))
    kept = state_of(ctx, session, pool.id, window)
    fresh = from_ledger(session, pool.id, window)
    shown = [state.timeline.segments(*window.minutes) for state in (kept, fresh)]
    if shown[0] != shown[1]:
        yield "the cached timeline differs from the ledger"
    lost = {reservation.id for reservation in losers(ctx, session, pool)}
    flagged = set(
        session.scalars(
            select(Reservation.id).where(
                Reservation.pool_id == pool.id, Reservation.at_risk, Reservation.state.in_(COUNTED)
            )
        )
    )
    if unflagged := lost - flagged:
        first, _ = fresh.timeline.slot_range(*window.minutes)
        short = np.flatnonzero((fresh.timeline.available[:, first:] < 0).any(axis=0))
        at = instant_of(int(fresh.timeline.marks[first + int(short[0])]))
        yield f"oversold from {at.isoformat()}: {', '.join(sorted(unflagged))} do not fit and are not flagged"


def _ledger(session: Session, pool: Pool) -> Iterator[str]:
    wanted, written = _from_rows(session, pool), _from_ledger(session, pool)
    for key in sorted(set(wanted) | set(written)):
        if wanted[key] != written[key]:
            side, kind, minute = key
            at = instant_of(minute).isoformat() if minute < ALWAYS.minutes[1] else "the end of time"
            yield f"{side} {kind} steps by {written[key]} at {at} in the ledger, by {wanted[key]} in the rows"


def _from_rows(session: Session, pool: Pool) -> Steps:
    steps: Steps = Counter()
    _claim(steps, Side.RESERVED, ALWAYS, pool.resources)
    for row in session.scalars(select(Inventory).where(Inventory.pool_id == pool.id)):
        _claim(steps, Side.PHYSICAL, row.span, row.resources)
    for withdrawn in session.scalars(select(Blackout).where(Blackout.pool_id == pool.id)):
        _claim(steps, Side.PHYSICAL, withdrawn.span, withdrawn.resources * -1)
    for stranger in session.scalars(select(Stranger).where(Stranger.pool_id == pool.id)):
        _claim(steps, Side.RESERVED, stranger.span, stranger.resources)
    rows = session.execute(
        select(Reservation, Booking)
        .join(Booking, Reservation.booking_id == Booking.id)
        .where(Reservation.pool_id == pool.id, Reservation.state.in_(COUNTED))
        .options(lazyload("*"))
    )
    for reservation, booking in rows:
        _claim(steps, booking.side, reservation.span, booking.size.demand)
    return steps


def _from_ledger(session: Session, pool: Pool) -> Steps:
    steps: Steps = Counter()
    rows = session.execute(
        select(Ledger.side, Ledger.start, Ledger.end, Ledger.kind, func.sum(Ledger.amount))
        .where(Ledger.pool_id == pool.id)
        .group_by(Ledger.side, Ledger.start, Ledger.end, Ledger.kind)
    )
    for side, start, end, kind, total in rows:
        steps[side, kind, start] += int(total)
        steps[side, kind, end] -= int(total)
    return steps


def _claim(steps: Steps, side: Side, span: Span, amounts: Resources) -> None:
    for entry in entries(side, span, amounts):
        steps[entry.side, entry.kind, entry.start] += entry.amount
        steps[entry.side, entry.kind, entry.end] -= entry.amount


_AWAITS = {
    State.HELD: Action.EXPIRE,
    State.CONFIRMED: Action.PROVISION,
    State.ACTIVE: Action.END,
    State.PREPARING: Action.END,
}
_OVER = (ClusterPhase.GONE, ClusterPhase.FAILED)


def _reservations(session: Session) -> Iterator[str]:
    """One statement over all of them, and few of its rows in memory: a site may have a long past."""
    awaited = exists().where(
        Work.reservation_id == Reservation.id,
        Work.action
        == case({state.value: action.value for state, action in _AWAITS.items()}, value=Reservation.state),
        Work.revision == Reservation.revision,
        Work.done_at.is_(None),
    )
    query = (
        select(
            Reservation.id, Reservation.state, Reservation.pool_id, Booking.pool_id, Cluster.phase, awaited
        )
        .join(Booking, Reservation.booking_id == Booking.id)
        .outerjoin(Cluster, Cluster.reservation_id == Reservation.id)
        .order_by(Reservation.id)
    )
    for number, state, pool_id, its_pool_id, made, is_awaited in session.execute(
        query, execution_options={"yield_per": 1000}
    ):
        name, phase = f"reservation {number}", cast("ClusterPhase | None", made)
        if pool_id != its_pool_id:
            yield f"{name} is in another pool than its booking"
        if (state in LIVE) != (phase is not None and phase not in _OVER):
            yield f"{name} is {state} but its cluster is {phase or 'not there'}"
        if state in _AWAITS and not is_awaited:
            yield f"{name} is {state} but no {_AWAITS[state]} is due for it"


def _offers(session: Session) -> Iterator[str]:
    """A span that is offered has a hold, and one that is taken was confirmed."""
    query = (
        select(Wanted.id, Wanted.state, Reservation.state)
        .join(Reservation, Reservation.booking_id == Wanted.booking_id)
        .where(Wanted.state.in_([WantedState.OFFERED, WantedState.TAKEN]))
        .order_by(Wanted.id)
    )
    for number, state, its_state in session.execute(query):
        if (state is WantedState.OFFERED) != (its_state is State.HELD):
            yield f"wanted span {number} is {state} but its reservation is {its_state}"
