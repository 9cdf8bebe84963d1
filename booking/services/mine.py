"""What an account has in a pool during a span, and how far one of its reservations may grow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.allocator.lifecycle import COUNTED
from booking.allocator.search import Extension, extension
from booking.allocator.span import Span
from booking.models import Booking, Reservation
from booking.services import holds
from booking.services.availability import place_of, state_of
from booking.services.bookings import owned
from booking.services.context import Actor, Context
from booking.services.decision import room_of


@dataclass(frozen=True)
class Own:
    """A reservation of mine that counts."""

    booking_id: str
    package: str
    title: str
    state: str
    start: datetime
    end: datetime


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
        Own(row.booking_id, row.package_name, row.title, row.state, row.start, row.end)
        for row in rows
        if row.expires_at is None or row.expires_at > now
    ]


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
