"""What an account has in a pool during a span, how far it may grow, and what it would give back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.allocator.cells import cell_at
from booking.allocator.lifecycle import COUNTED, State
from booking.allocator.resources import Resources
from booking.allocator.search import Extension, extension
from booking.allocator.span import Span
from booking.allocator.timeline import Side
from booking.models import Booking, Reservation
from booking.services import holds
from booking.services.bookings import owned
from booking.services.context import Actor, Context
from booking.services.decision import room_of
from booking.services.states import place_of, state_of


@dataclass(frozen=True)
class Own:
    """A reservation of mine that counts."""

    booking_id: str
    package: str
    title: str
    state: str
    start: datetime
    end: datetime
    demand: Resources
    """What of the reserved resources it takes; nothing where it draws on the standing reservation."""


def reservations(ctx: Context, actor: Actor, pool_id: str, span: Span) -> list[Own]:
    """The actor's reservations of one pool that count and touch the span, in order."""
    now = ctx.clock.now()
    return ctx.db.read("my reservations", lambda session: within(session, actor, pool_id, span, now))


def within(session: Session, actor: Actor, pool_id: str, span: Span, now: datetime) -> list[Own]:
    """The same in a transaction that is open, in one statement."""
    rows = session.execute(
        select(
            Reservation.booking_id,
            Booking.package_name,
            Booking.title,
            Reservation.state,
            Reservation.start,
            Reservation.end,
            Reservation.expires_at,
            *_DEMAND,
        )
        .join(Booking)
        .where(
            Booking.account_id == actor.id,
            Reservation.pool_id == pool_id,
            Reservation.state.in_(COUNTED),
            Reservation.start < span.end,
            Reservation.end > span.start,
        )
        .order_by(Reservation.start, Reservation.id)
    )
    return [
        Own(
            row.booking_id,
            row.package_name,
            row.title,
            row.state,
            row.start,
            row.end,
            _demand(row.side, row.cores, row.memory_mib),
        )
        for row in rows
        if row.expires_at is None or row.expires_at > now
    ]


_DEMAND = (
    Booking.side,
    (Booking.notebook_cores + Booking.worker_cores * Booking.worker_count).label("cores"),
    (Booking.notebook_memory_mib + Booking.worker_memory_mib * Booking.worker_count).label("memory_mib"),
)
"""See :attr:`Package.demand`."""


def _demand(side: Side, cores: int, memory_mib: int) -> Resources:
    return Resources() if side is Side.LEVEL0 else Resources(cores, memory_mib)


def reach(ctx: Context, actor: Actor, booking_id: str, reservation_id: str) -> Extension:
    """How far the timeline lets a reservation grow, and what stands in the way; policy has its say later.

    :raises NotFound: if the booking is not the actor's.
    """

    def read(session: Session) -> Extension:
        booking = owned(session, actor, booking_id)
        reservation = next(r for r in booking.reservations if r.id == reservation_id)
        state = state_of(ctx, session, booking.pool_id)
        place = place_of(ctx, state, room_of(state, booking.side))
        return extension(place, booking.size.demand, reservation.span)

    return holds.reading(ctx, "reach", read)


def given_back(booking: Booking, now: datetime) -> float:
    """The core-hours that its owner has back after cancelling it now: of what runs, all after the current cell."""
    lengths = [_rest(booking, reservation, now) for reservation in booking.reservations]
    return core_hours(booking, sum(lengths, timedelta(0)))


def core_hours(booking: Booking, length: timedelta) -> float:
    """What so much time of a booking counts."""
    return booking.size.demand.cores * (length / timedelta(hours=1))


def _rest(booking: Booking, reservation: Reservation, now: datetime) -> timedelta:
    if reservation.state not in COUNTED or reservation.state is State.ENDING:
        return timedelta(0)
    if reservation.state is not State.ACTIVE:
        return reservation.span.length
    cell = cell_at(booking.pool.zone, now, booking.pool.granularity)
    return max(timedelta(0), reservation.end - cell.end)
