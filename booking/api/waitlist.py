"""The waiting list: spans that did not fit, and what is offered of them."""

from __future__ import annotations

from typing import Any

from flask import Response

from booking.allocator.waitlist import WantedState
from booking.api.bookings import request_of
from booking.api.noun import Noun, nothing
from booking.api.paging import moment_and_id, page
from booking.api.schemas.bookings import WishIn
from booking.api.schemas.fields import stamp
from booking.api.schemas.waitlist import WaitlistQuery, WantedList
from booking.identity import context, require_actor
from booking.services import waiting, waitlist
from booking.services.offers import custom_body
from booking.services.waiting import Entry

blp = Noun(
    "waitlist", "Spans that did not fit and stay wanted; each is held for who waits when it becomes free."
)


@blp.post("/waitlist")
@blp.needs("bookings:write", 409)
@blp.body(WishIn)
@blp.response(201, WantedList)
def add_wanted(body: dict[str, Any]) -> dict[str, Any]:
    """Wait for each span, or for none; one that is free now is refused: book it."""
    found = waitlist.add(context(), require_actor(), request_of(body))
    return {"items": [_shown(entry) for entry in found], "next": None}


@blp.get("/waitlist")
@blp.needs("bookings:read", 404)
@blp.query(WaitlistQuery)
@blp.response(200, WantedList)
def list_waitlist(query: dict[str, Any]) -> dict[str, Any]:
    """What one waits for, the first made first; without a state what is still open; an administrator's choice of account."""
    wanted = waiting.Query(
        account=query.get("account"),
        state=WantedState(query["state"]) if "state" in query else None,
        after=moment_and_id(query.get("cursor")),
        limit=query["limit"],
    )
    rows = waiting.entries(context(), require_actor(), wanted)
    return page(rows, query["limit"], _shown, lambda row: (row.wanted.created_at.isoformat(), row.wanted.id))


@blp.delete("/waitlist/<wanted>")
@blp.needs("bookings:write", 404)
@blp.response(204)
def withdraw_wanted(wanted: str) -> Response:
    """Wait for it no longer; its offer, if there is one, is given back."""
    waitlist.withdraw(context(), require_actor(), wanted)
    return nothing()


def _shown(entry: Entry) -> dict[str, Any]:
    wanted, pool = entry.wanted, entry.wanted.pool
    custom = {"custom": custom_body(wanted.custom)} if wanted.custom else {}
    return custom | {
        "id": wanted.id,
        "account": wanted.account.name,
        "group": wanted.group.name if wanted.group else None,
        "pool": {"id": pool.id, "name": pool.name, "timezone": pool.timezone},
        "package": wanted.package_name,
        "sharing": wanted.sharing.value,
        "start": stamp(wanted.start),
        "end": stamp(wanted.end),
        "title": wanted.title,
        "notebook_url": wanted.notebook_url,
        "state": wanted.state.value,
        "created_at": stamp(wanted.created_at),
        "before": entry.before,
        "booking": wanted.booking_id,
        "until": stamp(wanted.offered_until),
        "lapses": wanted.lapses,
        "end_reason": wanted.end_reason,
    }
