"""Alternatives to a refused request: complete requests that would succeed now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.allocator.package import CUSTOM, Package
from booking.allocator.policy import Ask, permits
from booking.allocator.search import Alternative, Place, Wish, nearest
from booking.allocator.search import alternatives as search
from booking.allocator.span import Span
from booking.models import Pool
from booking.services import earliest, holds, traits
from booking.services.context import Actor, Context
from booking.services.decision import BookingRequest, claims_of, room_of, side_for, sized
from booking.services.finding import find_pool
from booking.services.states import place_of, state_of


def alternatives(ctx: Context, actor: Actor, request: BookingRequest) -> list[dict[str, Any]]:
    """At most four, the least regretted first; each `request` is a body for a new booking."""
    return holds.reading(ctx, "alternatives", lambda session: _find(ctx, session, actor, request))


def _find(ctx: Context, session: Session, actor: Actor, request: BookingRequest) -> list[dict[str, Any]]:
    asked = find_pool(session, request.pool)
    request = earliest.just_now(ctx, session, actor, asked, request)
    others = session.scalars(select(Pool.id).where(Pool.id != asked).order_by(Pool.created_at, Pool.id))
    places = [_place(ctx, session, actor, request, pool_id) for pool_id in (asked, *others)]
    package = sized(ctx, session, request)
    smaller = [
        other
        for other in ctx.catalogue.current(session)
        if other.name != CUSTOM and other.demand != package.demand and other.demand.fits_in(package.demand)
    ]
    wish = Wish(package=package, sharing=request.sharing, spans=tuple(sorted(request.spans)))
    fit, permitted = _fit(session, request), _allowed(ctx, session, actor, places)
    found = search(wish, places, smaller, lambda one: one.pool_id in fit and permitted(one))
    return [_offer(request, alternative) for alternative in found]


def _fit(session: Session, request: BookingRequest) -> frozenset[str]:
    """The pools that have what the request wants."""
    return frozenset(pool.id for pool in traits.having(session, request.traits))


def instead(ctx: Context, actor: Actor, request: BookingRequest, taken: Sequence[Span]) -> list[Span | None]:
    """For each taken span of a request the nearest that would do in its place, beside the spans that are not taken."""
    kept = [span for span in request.spans if span not in taken]

    def read(session: Session) -> list[Span | None]:
        place = _place(ctx, session, actor, request, find_pool(session, request.pool, request.traits))
        allowed = _allowed(ctx, session, actor, [place])
        return nearest(place, sized(ctx, session, request), request.sharing, taken, kept, allowed)

    return holds.reading(ctx, "instead", read)


def _place(ctx: Context, session: Session, actor: Actor, request: BookingRequest, pool_id: str) -> Place:
    state = state_of(ctx, session, pool_id)
    return place_of(ctx, state, room_of(state, side_for(state, actor, request.sharing)))


def _allowed(
    ctx: Context, session: Session, actor: Actor, places: list[Place]
) -> Callable[[Alternative], bool]:
    """Whether the actor's policy would let an alternative pass."""
    zones = {place.pool_id: place.zone for place in places}
    now = ctx.clock.now()
    if actor.limits == type(actor.limits)():
        return lambda _: True
    whole = [Span(places[0].start_from, places[0].horizon)]
    existing = claims_of(session, actor.id, whole, now)

    def allowed(alternative: Alternative) -> bool:
        ask = Ask(
            alternative.package.name,
            alternative.sharing,
            alternative.package.demand,
            tuple(alternative.spans),
            now,
            zones[alternative.pool_id],
            existing,
        )
        return permits(actor.limits, ask)

    return allowed


def _offer(request: BookingRequest, alternative: Alternative) -> dict[str, Any]:
    body: dict[str, Any] = {
        "package": alternative.package.name,
        "sharing": alternative.sharing.value,
        "pool": alternative.pool_id,
        "spans": [{"start": written(span.start), "end": written(span.end)} for span in alternative.spans],
    }
    if alternative.package.name == CUSTOM:
        body["custom"] = custom_body(alternative.package)
    if request.title:
        body["title"] = request.title
    if request.notebook_url:
        body["notebook_url"] = request.notebook_url
    if request.group:
        body["group"] = request.group
    if request.hold is not None:
        body["hold"] = True
    return {"kind": alternative.kind, "request": body, "regret": round(alternative.regret, 3)}


def custom_body(package: Package) -> dict[str, int]:
    """The sizes of a custom package as a request names them."""
    return {
        "notebook_cores": package.notebook.cores,
        "notebook_memory_mib": package.notebook.memory_mib,
        "worker_cores": package.worker.cores,
        "worker_memory_mib": package.worker.memory_mib,
        "worker_count": package.worker_count,
    }


def written(instant: datetime) -> str:
    """An instant as RFC 3339 with Z."""
    text = instant.isoformat()
    return text.replace("+00:00", "Z")
