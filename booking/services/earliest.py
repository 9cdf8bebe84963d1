"""The earliest: from when on somebody may have so much for so long, as a promise would be decided just now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from booking.allocator.cells import cell_at
from booking.allocator.durations import later
from booking.allocator.package import Package, Sharing
from booking.allocator.search import Place, find_slots
from booking.allocator.span import Span, floor_minute
from booking.allocator.timeline import Side
from booking.models import Pool
from booking.services import holds
from booking.services.context import Actor, Context
from booking.services.decision import BookingRequest, room_of, side_for, sized
from booking.services.finding import find_pool
from booking.services.states import locked_state, place_of, state_of
from booking.services.timelines import PoolState


def starts(
    ctx: Context,
    actor: Actor | None,
    pool: str,
    packages: Sequence[Package],
    sharing: Sharing,
    length: timedelta,
) -> list[datetime | None]:
    """From when on each package is free for that length; None where it is not before the horizon.

    :raises NotFound: if there is no such pool.
    """

    def read(session: Session) -> list[datetime | None]:
        state = state_of(ctx.reader, session, find_pool(session, pool))
        found = [span_in(ctx, state, actor, package, sharing, length) for package in packages]
        return [span.start if span else None for span in found]

    return holds.reading(ctx.reader, "earliest", read)


def span_in(
    ctx: Context,
    state: PoolState,
    actor: Actor | None,
    package: Package,
    sharing: Sharing,
    length: timedelta,
) -> Span | None:
    """The earliest span in which the package fits for at least that length from now; None before the horizon.

    One that begins in the current cell is longer by what of the cell has gone by, unless the actor may
    not have it so long.
    """
    side = Side.SHARED if sharing is Sharing.SHARED else Side.RESERVED
    if actor is not None:
        side = side_for(state, actor, sharing)
    place = place_of(ctx, state, room_of(state, side))
    whole = length + floor_minute(ctx.clock.now()) - place.start_from
    if _is_too_long(place, actor, whole):
        whole = length
    found = find_slots(place, package.demand, whole, Span(place.start_from, place.horizon), 1)
    if not found or found[0].start > place.start_from:
        following = cell_at(place.zone, place.start_from, place.granularity).end
        found = find_slots(place, package.demand, length, Span(following, place.horizon), 1)
    return found[0] if found else None


def _is_too_long(place: Place, actor: Actor | None, length: timedelta) -> bool:
    longest = actor.limits.max_length if actor else None
    return longest is not None and later(place.zone, place.start_from, longest) < _present(place, length).end


def _present(place: Place, length: timedelta) -> Span:
    """The span of that length that begins in the current cell; it ends with a cell."""
    last = place.start_from + length - timedelta(minutes=1)
    return Span(place.start_from, cell_at(place.zone, last, place.granularity).end)


def under_lock(
    ctx: Context, session: Session, actor: Actor, pool: Pool, request: BookingRequest
) -> BookingRequest:
    """The request with its spans, for who holds the pool's lock; as it is where it names them."""
    if request.length is None:
        return request
    return _settled(ctx, session, actor, locked_state(ctx, session, pool), request, request.length)


def just_now(
    ctx: Context, session: Session, actor: Actor, pool_id: str, request: BookingRequest
) -> BookingRequest:
    """The same for who only looks."""
    if request.length is None:
        return request
    return _settled(ctx, session, actor, state_of(ctx, session, pool_id), request, request.length)


def _settled(
    ctx: Context,
    session: Session,
    actor: Actor,
    state: PoolState,
    request: BookingRequest,
    length: timedelta,
) -> BookingRequest:
    """With the earliest span of the length; where none fits with the present one, for the decision to refuse."""
    package = sized(ctx, session, request)
    found = span_in(ctx, state, actor, package, request.sharing, length)
    if found is None:
        found = _present(place_of(ctx, state, room_of(state, Side.RESERVED)), length)
    return replace(request, spans=(found,), length=None)
