"""Usage: what was booked, what of it was used, and what was refused; in core-hours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response

from booking.allocator.usage import Grain
from booking.api import sheets
from booking.api.noun import Noun, written
from booking.api.schemas.fields import stamp
from booking.api.schemas.usage import RefusedOut, RefusedQuery, UsageOut, UsageQuery
from booking.identity import context, require_actor
from booking.services import refusals, usage
from booking.services.refusals import Demand
from booking.services.usage import Amount, By, Cell

blp = Noun("usage", "What was booked, what of it was used, and what was refused.")
_HEAD = ("start", "end", "key", "booked", "used", "idle", "physical")
_REFUSED_HEAD = ("start", "end", "package", "refused", "count")


@blp.get("/usage")
@blp.needs("bookings:read", 404)
@blp.query(UsageQuery)
@blp.response(200, UsageOut)
@blp.alt_response(200, schema=sheets.SHEET, content_type=sheets.TYPE, success=True)
def get_usage(query: dict[str, Any]) -> Response:
    """Core-hours booked, used and idle per day, week or month of the pool's zone: one's own, or for administrators all."""
    question = usage.Question(
        query["start"], query["end"], By(query["by"]), Grain(query["granularity"]), query.get("pool")
    )
    found = usage.usage(context(), require_actor(), question)
    if sheets.wanted(query.get("format")):
        return sheets.sheet("usage", _HEAD, (line for cell in found.cells for line in _lines(cell)))
    return written(
        {
            "pool": found.pool.id,
            "timezone": found.pool.timezone,
            "granularity": question.grain.value,
            "by": question.by.value,
            "cells": [_shown(cell) for cell in found.cells],
        },
        headers={"Vary": "Accept"},
    )


def hours(minutes: int) -> float:
    """Core-minutes as core-hours."""
    return minutes / 60


def _amounts(amount: Amount) -> dict[str, float]:
    return {"booked": hours(amount.booked), "used": hours(amount.used), "idle": hours(amount.idle)}


def _shown(cell: Cell) -> dict[str, Any]:
    return {
        "start": stamp(cell.start),
        "end": stamp(cell.end),
        "physical": hours(cell.physical),
        **_amounts(cell.total),
        "keys": [{"key": key, **_amounts(amount)} for key, amount in cell.amounts],
    }


def _lines(cell: Cell) -> Iterator[tuple[sheets.Value, ...]]:
    """A line for each key; one without a key where nothing is booked, so that no cell is missing."""
    for key, amount in cell.amounts or [(None, cell.total)]:
        yield stamp(cell.start), stamp(cell.end), key, *_amounts(amount).values(), hours(cell.physical)


@blp.get("/usage/refused")
@blp.needs("bookings:read", 404)
@blp.query(RefusedQuery)
@blp.response(200, RefusedOut)
@blp.alt_response(200, schema=sheets.SHEET, content_type=sheets.TYPE, success=True)
def get_refused(query: dict[str, Any]) -> Response:
    """Core-hours that were refused, by week and package of what was asked for: one's own, or for administrators all."""
    question = refusals.Question(query["start"], query["end"], query.get("pool"))
    pool, found = refusals.demand(context(), require_actor(), question)
    weeks = [_week(demand) for demand in found]
    if sheets.wanted(query.get("format")):
        return sheets.sheet("refused", _REFUSED_HEAD, (tuple(week.values()) for week in weeks))
    return written({"pool": pool.id, "timezone": pool.timezone, "weeks": weeks}, headers={"Vary": "Accept"})


def _week(demand: Demand) -> dict[str, Any]:
    return {
        "start": stamp(demand.start),
        "end": stamp(demand.end),
        "package": demand.package,
        "refused": hours(demand.core_minutes),
        "count": demand.times,
    }
