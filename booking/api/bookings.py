"""Bookings: promised, read, changed, confirmed, shared, cancelled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Response, current_app, request

from booking.allocator.lifecycle import State
from booking.allocator.package import Sharing
from booking.api import ics, showing
from booking.api.conditions import etag, idempotency_of, revision_of
from booking.api.noun import Noun, nothing, written
from booking.api.paging import moment_and_id, page
from booking.api.reading import body_of
from booking.api.schemas.bookings import (
    BookingChangeIn,
    BookingIn,
    BookingList,
    BookingOut,
    BookingQuery,
    DecisionOut,
    EntryList,
    KeyHeaders,
    MatchHeaders,
    OnlyEndIn,
)
from booking.api.schemas.common import DryRun, PageQuery
from booking.api.schemas.fields import stamp
from booking.api.windows import instant_from
from booking.identity import context, require_actor
from booking.models import Booking
from booking.services import bookings, calendars, changes, listing
from booking.services.decision import BookingRequest, Decision
from booking.services.listing import Seen

blp = Noun("bookings", "What an account asked for and was promised, and the clusters made for it.")


def request_of(body: dict[str, Any]) -> BookingRequest:
    """The request that a body makes."""
    hold = body.get("hold", False)
    if hold is True:
        hold = timedelta(minutes=context().settings.hold_minutes)
    return BookingRequest(
        package=body["package"],
        sharing=Sharing(body["sharing"]),
        spans=tuple(body["spans"]),
        pool=body.get("pool"),
        custom=body.get("custom"),
        title=body.get("title", ""),
        notebook_url=body.get("notebook_url"),
        group=body.get("group"),
        hold=hold or None,
        traits=tuple(body.get("traits", ())),
    )


@blp.post("/bookings")
@blp.needs("bookings:write", 409)
@blp.headers(KeyHeaders)
@blp.query(DryRun)
@blp.body(BookingIn)
@blp.response(200, DecisionOut)
@blp.response(201, BookingOut)
def book(headers: dict[str, Any], query: dict[str, Any], body: dict[str, Any]) -> Any:
    """Book all spans or none; a dry run decides everything and writes nothing."""
    wanted = request_of(body)
    idempotency = idempotency_of(headers.get("key"), body_of(request))
    if query["dry_run"]:
        return written(_decision(bookings.preview(context(), require_actor(), wanted), wanted))
    promise = bookings.book(context(), require_actor(), wanted, showing.fresh, idempotency)
    location = f"/api/v1/bookings/{promise.answer['id']}"
    return promise.answer, 201, {"Location": location, "ETag": etag(promise.answer["revision"])}


def _decision(decision: Decision, wanted: BookingRequest) -> dict[str, Any]:
    quota = decision.quota
    return {
        "package": decision.package.name,
        "version": decision.package.version,
        "sharing": wanted.sharing.value,
        "spans": [{"start": stamp(span.start), "end": stamp(span.end)} for span in sorted(wanted.spans)],
        "demand": decision.package.demand.amounts(),
        "quota": {
            "limit": quota.limit,
            "used": quota.used,
            "cost": quota.cost,
            "left": quota.left,
            "window": {"start": stamp(quota.window.start), "end": stamp(quota.window.end)},
        },
    }


@blp.get("/bookings")
@blp.needs("bookings:read", 404)
@blp.query(BookingQuery)
@blp.response(200, BookingList)
def list_bookings(query: dict[str, Any]) -> Response:
    """One's own bookings, the newest first; those shared with one; an administrator's choice of account."""
    wanted = listing.Wanted(
        account=query.get("account"),
        shared=query["shared"],
        state=State(query["state"]) if "state" in query else None,
        start=instant_from(query.get("start")),
        end=instant_from(query.get("end")),
        after=moment_and_id(query.get("cursor")),
        limit=query["limit"],
    )
    rows = listing.bookings(context(), require_actor(), wanted)
    told = page(
        rows,
        query["limit"],
        showing.shown,
        lambda seen: (seen.booking.created_at.isoformat(), seen.booking.id),
    )
    # They are told in the words of the schema, which would go through each of them again.
    return written(told)


@blp.get("/bookings/<booking>")
@blp.needs("bookings:read", 404)
@blp.response(200, BookingOut)
def get_booking(booking: str) -> Any:
    """One booking; somebody else's is not there."""
    return _answer(listing.booking(context(), require_actor(), booking))


def _answer(seen: Seen) -> Any:
    return showing.shown(seen), 200, {"ETag": etag(seen.booking.revision)}


def _after(before: Seen, booking: Booking) -> Any:
    return _answer(Seen(booking, before.group, before.usable))


@blp.patch("/bookings/<booking>")
@blp.needs("bookings:write", 404, 409, 412, 428)
@blp.headers(MatchHeaders)
@blp.query(DryRun)
@blp.body(BookingChangeIn)
@blp.response(200, BookingOut)
def change_booking(headers: dict[str, Any], query: dict[str, Any], body: dict[str, Any], booking: str) -> Any:
    """Change the title, the notebook, the group, or the ends of reservations: later extends, earlier shortens."""
    url = body.get("notebook_url", "") or ""
    wanted = changes.Change(
        title=body.get("title"),
        notebook_url=url if "notebook_url" in body else None,
        group=body["group"] or "" if "group" in body else None,
        ends=body.get("reservations", {}),
    )
    return _changed(headers, query, booking, wanted)


@blp.patch("/bookings/<booking>/reservations/<reservation>")
@blp.needs("bookings:write", 404, 409, 412, 428)
@blp.headers(MatchHeaders)
@blp.query(DryRun)
@blp.body(OnlyEndIn)
@blp.response(200, BookingOut)
def change_reservation(
    headers: dict[str, Any], query: dict[str, Any], body: dict[str, Any], booking: str, reservation: str
) -> Any:
    """Extend or shorten one reservation of a booking."""
    return _changed(headers, query, booking, changes.Change(ends={reservation: body["end"]}))


def _changed(headers: dict[str, Any], query: dict[str, Any], booking: str, wanted: changes.Change) -> Any:
    revision = revision_of(headers.get("if_match"), required=True)
    ctx, actor = context(), require_actor()
    before = listing.booking(ctx, actor, booking, "bookings:write")
    after = changes.change(ctx, actor, booking, wanted, revision, dry_run=query["dry_run"])
    if wanted.group is None:
        return _after(before, after)
    # Whoever could use it by the old group alone is told no tokens any more.
    return _answer(Seen(after, after.group.name if after.group else None, after.account_id == actor.id))


@blp.post("/bookings/<booking>/confirm")
@blp.needs("bookings:write", 404, 409, 412)
@blp.headers(MatchHeaders)
@blp.response(200, BookingOut)
def confirm_booking(headers: dict[str, Any], booking: str) -> Any:
    """Turn a hold into a booking."""
    ctx, actor = context(), require_actor()
    before = listing.booking(ctx, actor, booking, "bookings:write")
    return _after(before, bookings.confirm(ctx, actor, booking, revision_of(headers.get("if_match"))))


@blp.delete("/bookings/<booking>")
@blp.needs("bookings:write", 404, 409, 412)
@blp.headers(MatchHeaders)
@blp.response(204)
def cancel_booking(headers: dict[str, Any], booking: str) -> Response:
    """Cancel: what has not begun is gone, what is live is torn down and the rest given back."""
    bookings.cancel(context(), require_actor(), booking, revision_of(headers.get("if_match")))
    return nothing()


@blp.put("/bookings/<booking>/guests/<account>")
@blp.needs("bookings:write", 404)
@blp.response(200, BookingOut)
def add_guest(booking: str, account: str) -> Any:
    """Let a named person use the booking."""
    ctx, actor = context(), require_actor()
    before = listing.booking(ctx, actor, booking, "bookings:write")
    return _after(before, bookings.share(ctx, actor, booking, account, shared=True))


@blp.delete("/bookings/<booking>/guests/<account>")
@blp.needs("bookings:write", 404)
@blp.response(204)
def remove_guest(booking: str, account: str) -> Response:
    """Let them use it no longer."""
    bookings.share(context(), require_actor(), booking, account, shared=False)
    return nothing()


@blp.get("/bookings/<booking>/history")
@blp.needs("bookings:read", 404)
@blp.query(PageQuery)
@blp.response(200, EntryList)
def get_history(query: dict[str, Any], booking: str) -> dict[str, Any]:
    """What happened to a booking, the newest first."""
    wanted = listing.WantedEntries(after=moment_and_id(query.get("cursor")), limit=query["limit"])
    rows = listing.history(context(), require_actor(), booking, wanted)
    return page(
        rows, query["limit"], showing.shown_entry, lambda told: (told.entry.at.isoformat(), told.entry.id)
    )


@blp.get("/bookings/<booking>/calendar.ics")
@blp.needs("bookings:read", 404)
@blp.response(200, {"type": "string"}, content_type=ics.CONTENT_TYPE)
def get_calendar(booking: str) -> Response:
    """A booking as a file for the calendar of a person, with an alarm before each end."""
    ctx = context()
    entries = calendars.of_booking(ctx, require_actor(), booking)
    warning = timedelta(minutes=ctx.settings.warning_minutes)
    file = ics.calendar(entries, site=request.host_url, warning=warning)
    named = {"Content-Disposition": f'attachment; filename="booking-{entries[0].booking_id}.ics"'}
    return current_app.response_class(file, mimetype=ics.CONTENT_TYPE, headers=named)
