"""Pools, and the exact step functions of what each has, has promised, and has left."""

from __future__ import annotations

from typing import Any

from flask import Response

from booking.allocator.cells import Granularity
from booking.allocator.resources import KINDS, Resources
from booking.allocator.span import instant_of
from booking.api.noun import AVAILABILITY, Noun, written
from booking.api.paging import moment_and_id, page
from booking.api.schemas.common import PageQuery
from booking.api.schemas.fields import stamp
from booking.api.schemas.pools import PoolChangeIn, PoolIn, PoolList, PoolOut, TimelineOut, WindowQuery
from booking.identity import context, require_actor
from booking.models import Blackout, Inventory, Pool
from booking.services import capacity, listing
from booking.services.exact import exact_timeline
from booking.services.finding import find_pool

blp = Noun("pools", "Bodies of interchangeable resources, each with one time zone and one granularity.")


def shown(pool: Pool) -> dict[str, Any]:
    """A pool as it is told."""
    return {
        "id": pool.id,
        "name": pool.name,
        "platform": pool.platform.name,
        "traits": pool.traits,
        "timezone": pool.timezone,
        "granularity": pool.granularity.value,
        "share_ratio": pool.share_ratio_milli / 1000,
        "level0_reserve": pool.resources.amounts(),
        "generation": pool.generation,
        "closed": pool.closed_reason,
    }


def shown_holding(row: Inventory | Blackout) -> dict[str, Any]:
    """An entry of inventory or a blackout as it is told."""
    return {
        "id": row.id,
        "span": {"start": stamp(row.start), "end": stamp(row.end)},
        "resources": row.resources.amounts(),
        "reason": row.reason,
    }


@blp.get("/pools")
@blp.needs(AVAILABILITY)
@blp.query(PageQuery)
@blp.response(200, PoolList)
def list_pools(query: dict[str, Any]) -> dict[str, Any]:
    """Every pool, the first made first."""
    rows = listing.pools(context(), moment_and_id(query.get("cursor")), query["limit"])
    return page(rows, query["limit"], shown, lambda pool: (pool.created_at.isoformat(), pool.id))


@blp.get("/pools/<pool>")
@blp.needs(AVAILABILITY, 404)
@blp.response(200, PoolOut)
def get_pool(pool: str) -> dict[str, Any]:
    """One pool, by id or name."""
    read = context().db.read
    return shown(read("pool", lambda s: s.get_one(Pool, find_pool(s, pool))))


@blp.post("/pools")
@blp.needs("admin", 409)
@blp.body(PoolIn)
@blp.response(201, PoolOut)
def make_pool(body: dict[str, Any]) -> Any:
    """Make a pool without inventory (administrators)."""
    new = capacity.NewPool(
        name=body["name"],
        timezone=body["timezone"],
        granularity=Granularity(body["granularity"]),
        platform=body.get("platform"),
        traits=body.get("traits", ()),
        share_ratio_milli=body.get("share_ratio", 1000),
        reserve=body.get("level0_reserve", Resources()),
    )
    pool = capacity.make_pool(context(), require_actor(), new)
    return shown(pool), 201, {"Location": f"/api/v1/pools/{pool.id}"}


@blp.patch("/pools/<pool>")
@blp.needs("admin", 404, 409)
@blp.body(PoolChangeIn)
@blp.response(200, PoolOut)
def change_pool(body: dict[str, Any], pool: str) -> dict[str, Any]:
    """Change a pool's name, traits, share ratio or standing reservation (administrators)."""
    wanted = capacity.PoolChange(
        name=body.get("name"),
        traits=body.get("traits"),
        share_ratio_milli=body.get("share_ratio"),
        reserve=body.get("level0_reserve"),
    )
    return shown(capacity.change_pool(context(), require_actor(), pool, wanted))


@blp.get("/pools/<pool>/timeline")
@blp.needs(AVAILABILITY, 404)
@blp.query(WindowQuery)
@blp.response(200, TimelineOut)
def get_timeline(query: dict[str, Any], pool: str) -> Response:
    """The exact step functions between two dates or instants, and what people wrote about them."""
    found = exact_timeline(context(), pool, query["start"], query["end"])
    segments = [
        {
            "start": stamp(instant_of(segment.start)),
            "end": stamp(instant_of(segment.end)),
            "physical": dict(zip(KINDS, segment.physical, strict=True)),
            "reserved": dict(zip(KINDS, segment.reserved, strict=True)),
            "available": dict(zip(KINDS, segment.available, strict=True)),
        }
        for segment in found.segments
    ]
    return written(
        {
            "pool": found.pool.id,
            "generation": found.pool.generation,
            "timezone": found.pool.zone.key,
            "span": {"start": stamp(found.span.start), "end": stamp(found.span.end)},
            "segments": segments,
            "inventory": [shown_holding(row) for row in found.inventory],
            "blackouts": [shown_holding(row) for row in found.blackouts],
        },
        headers={"Cache-Control": "private, no-cache"},
    )
