"""Inventory and blackouts: dated amounts with a reason; their effect on bookings is told before it is made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from booking.api.noun import Noun, nothing, written
from booking.api.pools import shown_holding
from booking.api.schemas.pools import (
    ChangedHoldingOut,
    HoldingChangeIn,
    HoldingIn,
    HoldingList,
    HoldingQuery,
    ImpactOut,
)
from booking.identity import context, require_actor
from booking.models import Blackout, Inventory
from booking.services import capacity, holdings
from booking.services.capacity import Edit, Holding, Impact, OnConflict

blp = Noun("capacity", "What a pool physically has, and what is withdrawn from it for a while.")

Table = type[Inventory] | type[Blackout]


def _edit(
    table: Table, pool: str, row_id: str | None, holding: Holding | None, query: dict[str, Any]
) -> Impact:
    wanted = Edit(
        pool=pool,
        table=table,
        row_id=row_id,
        holding=holding,
        on_conflict=OnConflict(query.get("on_conflict", "refuse")),
        dry_run=query["dry_run"],
    )
    return capacity.edit(context(), require_actor(), wanted)


def _conflicts(impact: Impact) -> dict[str, Any]:
    return {"conflicts": [capacity.described(reservation) for reservation in impact.conflicts]}


def _add(table: Table, noun: str, pool: str, body: dict[str, Any], query: dict[str, Any]) -> Any:
    impact = _edit(table, pool, None, Holding(**body), query)
    if query["dry_run"] or impact.row is None:
        return written(_conflicts(impact))
    location = f"/api/v1/pools/{impact.row.pool_id}/{noun}/{impact.row.id}"
    return shown_holding(impact.row) | _conflicts(impact), 201, {"Location": location}


def _change(table: Table, pool: str, row_id: str, body: dict[str, Any], query: dict[str, Any]) -> Any:
    row = holdings.one(context(), require_actor(), table, pool, row_id)
    impact = _edit(table, pool, row_id, replace(Holding(row.span, row.resources, row.reason), **body), query)
    if query["dry_run"] or impact.row is None:
        return written(_conflicts(impact))
    return shown_holding(impact.row) | _conflicts(impact)


def _remove(table: Table, pool: str, row_id: str, query: dict[str, Any]) -> Any:
    impact = _edit(table, pool, row_id, None, query)
    return written(_conflicts(impact)) if query["dry_run"] else nothing()


def _routes(table: Table, noun: str, said: str) -> None:
    """The four routes of one of the two nouns."""

    @blp.get(f"/pools/<pool>/{noun}", endpoint=f"list_{noun}")
    @blp.needs("admin", 404)
    @blp.doc(operationId=f"list_{noun}", summary=f"All {said} of a pool, in order of start (administrators)")
    @blp.response(200, HoldingList)
    def rows(pool: str) -> dict[str, Any]:
        found = holdings.of_kind(context(), require_actor(), table, pool)
        return {"items": [shown_holding(row) for row in found], "next": None}

    @blp.post(f"/pools/<pool>/{noun}", endpoint=f"add_{noun}")
    @blp.needs("admin", 404, 409)
    @blp.doc(
        operationId=f"add_{noun}",
        summary=f"Add {said}; a dry run tells which bookings would no longer fit (administrators)",
    )
    @blp.query(HoldingQuery)
    @blp.body(HoldingIn)
    @blp.response(200, ImpactOut)
    @blp.response(201, ChangedHoldingOut)
    def add(query: dict[str, Any], body: dict[str, Any], pool: str) -> Any:
        return _add(table, noun, pool, body, query)

    @blp.patch(f"/pools/<pool>/{noun}/<row>", endpoint=f"change_{noun}")
    @blp.needs("admin", 404, 409)
    @blp.doc(operationId=f"change_{noun}", summary=f"Change {said} (administrators)")
    @blp.query(HoldingQuery)
    @blp.body(HoldingChangeIn)
    @blp.response(200, ChangedHoldingOut)
    def change(query: dict[str, Any], body: dict[str, Any], pool: str, row: str) -> Any:
        return _change(table, pool, row, body, query)

    @blp.delete(f"/pools/<pool>/{noun}/<row>", endpoint=f"remove_{noun}")
    @blp.needs("admin", 404, 409)
    @blp.doc(operationId=f"remove_{noun}", summary=f"Remove {said} (administrators)")
    @blp.query(HoldingQuery)
    @blp.response(200, ImpactOut)
    @blp.response(204)
    def remove(query: dict[str, Any], pool: str, row: str) -> Any:
        return _remove(table, pool, row, query)


_routes(Inventory, "inventory", "inventory")
_routes(Blackout, "blackouts", "blackouts")
