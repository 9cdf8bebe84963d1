"""Changes of a booking's title and group, and of the end of its reservations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from booking.allocator import availability as allocator
from booking.allocator.lifecycle import FINAL, LIVE, State
from booking.allocator.policy import Ask, broken_rules
from booking.allocator.span import Span, minute_of
from booking.errors import BeyondHorizon, Conflict, Invalid, NoCapacity, NotFound
from booking.models import Action, Booking, Pool, Reservation
from booking.services import transitions
from booking.services.context import Actor, Context
from booking.services.decision import claims_of, off_grid, refuse_broken, refuse_closed, room_of
from booking.services.ledger import append, moved
from booking.services.locking import locked_booking
from booking.services.promising import group_for
from booking.services.states import locked_state


@dataclass(frozen=True)
class Change:
    """What shall be different; None or absent stays as it is."""

    title: str | None = None
    notebook_url: str | None = None
    group: str | None = None
    """By name or id; empty for none."""
    ends: Mapping[str, datetime] = field(default_factory=dict)
    """New ends by reservation id: later extends, earlier shortens."""


def change(
    ctx: Context,
    actor: Actor,
    booking_id: str,
    wanted: Change,
    if_match: int | None,
    *,
    dry_run: bool = False,
) -> Booking:
    """Change a booking, all of it or nothing.

    :raises NotFound: if the booking or a reservation is not the actor's.
    :raises Stale: if the booking is no longer at revision `if_match`.
    :raises Invalid: if an end is off the grid, past, or beyond the horizon, or the owner may not book for the group.
    :raises Refused: if policy or capacity does not allow a later end.
    :raises Conflict: if a reservation is over.
    """
    actor.require("bookings:write")

    def act(session: Session) -> Booking:
        booking, pool = locked_booking(ctx, session, actor, booking_id, if_match, has_ends=bool(wanted.ends))
        known = {reservation.id: reservation for reservation in booking.reservations}
        for reservation_id, end in wanted.ends.items():
            if reservation_id not in known:
                raise NotFound("reservation", reservation_id)
            _move_end(ctx, session, actor, pool, known[reservation_id], end)
        if wanted.title is not None:
            booking.title = wanted.title
        if wanted.notebook_url is not None:
            booking.notebook_url = wanted.notebook_url or None
        if wanted.group is not None:
            _set_group(ctx, session, actor, booking, wanted.group)
        booking.revision += 1
        ctx.journal(session, actor, "booking.changed", f"booking:{booking.id}", ends=len(wanted.ends))
        return booking

    return ctx.db.rehearse("change", act) if dry_run else ctx.db.run("change", act)


def _set_group(ctx: Context, session: Session, actor: Actor, booking: Booking, name: str) -> None:
    before, after = booking.group, group_for(session, booking.account_id, name or None)
    if after is before:
        return
    booking.group = after
    for group, act in ((before, "booking.unshared"), (after, "booking.shared")):
        if group is not None:
            ctx.journal(session, actor, act, f"booking:{booking.id}", group=group.name)


def _move_end(
    ctx: Context, session: Session, actor: Actor, pool: Pool, reservation: Reservation, end: datetime
) -> None:
    before = reservation.span
    if reservation.state in FINAL or reservation.state is State.ENDING:
        raise Conflict(
            f"The reservation is {reservation.state}; its end is settled.", code="booking.conflict"
        )
    _check_end(ctx, pool, reservation, end)
    after = Span(before.start, end)
    if after == before:
        return
    if pool.platform.pledges and not pool.platform.may_change_pledges:
        raise Conflict(
            "The platform of this pool cannot change what it has set aside. Book the added time for itself, "
            "or cancel and book anew.",
            code="platform.fixed",
        )
    if end > before.end:
        _check_extension(ctx, session, actor, pool, reservation, after)
    booking = reservation.booking
    append(session, pool, moved(booking.side, before, after, booking.size.demand))
    reservation.end = end
    reservation.revision += 1
    if reservation.cluster is not None:
        reservation.cluster.warned_at = None
    transitions.schedule(ctx, session, reservation)
    if reservation.state in LIVE:
        transitions.add_work(ctx, session, reservation, Action.EXTEND, ctx.clock.now())
    ctx.journal(
        session,
        actor,
        "reservation.extended" if end > before.end else "reservation.shortened",
        f"booking:{booking.id}",
        reservation=reservation.id,
        end=end.isoformat(),
    )


def _check_end(ctx: Context, pool: Pool, reservation: Reservation, end: datetime) -> None:
    now, path = ctx.clock.now(), f"reservations.{reservation.id}.end"
    if end > ctx.horizon(now):
        raise BeyondHorizon({path: [f"lies beyond {ctx.horizon(now):%Y-%m-%d}, the end of the calendar"]})
    if end <= now:
        raise Invalid({path: ["must lie in the future; to end it now, cancel it"]})
    if end <= reservation.start:
        raise Invalid({path: ["must be after the start"]})
    if fault := off_grid(pool, end):
        raise Invalid({path: [fault]})


def _check_extension(
    ctx: Context, session: Session, actor: Actor, pool: Pool, reservation: Reservation, after: Span
) -> None:
    """Policy sees the whole new span in place of the old one; capacity is asked for the added time."""
    refuse_closed(pool)
    booking, now = reservation.booking, ctx.clock.now()
    others = claims_of(session, booking.account_id, [after], now, without=reservation.id)
    ask = Ask(booking.package_name, booking.sharing, booking.size.demand, (after,), now, pool.zone, others)
    refuse_broken([rule for rule in broken_rules(actor.limits, ask) if rule.name in _ON_EXTENSION])
    added = (minute_of(reservation.end), minute_of(after.end))
    state = locked_state(ctx, session, pool).part(*added)
    if not allocator.fits(state.timeline, room_of(state, booking.side), added, booking.size.demand):
        raise NoCapacity(f"{booking.package_name} is not free for the added time.")


_ON_EXTENSION = ("policy.too_long", "policy.too_many_at_once", "policy.quota_exceeded")
"""Package, sharing and how far ahead were settled when it was booked."""
