"""Alternatives to a refused request: complete requests that would succeed now."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.allocator.package import CUSTOM, Package
from booking.allocator.policy import Ask, permits
from booking.allocator.search import Alternative, Place, Wish
from booking.allocator.search import alternatives as search
from booking.allocator.span import Span
from booking.models import Pool
from booking.services import holds
from booking.services.availability import find_pool, place_of, state_of
from booking.services.context import Actor, Context
from booking.services.decision import BookingRequest, claims_of, room_of, side_for, sized


def alternatives(ctx: Context, actor: Actor, request: BookingRequest) -> list[dict[str, Any]]:
    """At most four, the least regretted first; each `request` is a body for a new booking."""
    return holds.reading(ctx, "alternatives", lambda session: _find(ctx, session, actor, request))


def _find(ctx: Context, session: Session, actor: Actor, request: BookingRequest) -> list[dict[str, Any]]:
    asked = find_pool(session, request.pool)
    others = session.scalars(select(Pool.id).where(Pool.id != asked).order_by(Pool.created_at, Pool.id))
    places = [_place(ctx, session, actor, request, pool_id) for pool_id in (asked, *others)]
    package = sized(ctx, session, request)
    smaller = [
        other
        for other in ctx.catalogue.current(session)
        if other.name != CUSTOM and other.demand != package.demand and other.demand.fits_in(package.demand)
    ]
    wish = Wish(package=package, sharing=request.sharing, spans=tuple(sorted(request.spans)))
    found = search(wish, places, smaller, _allowed(ctx, session, actor, places))
    return [_offer(request, alternative) for alternative in found]


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
