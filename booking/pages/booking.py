"""The page of one booking: how it stands, and everything that may be done with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from flask import Response, redirect, request

from booking.allocator.durations import later
from booking.allocator.lifecycle import FINAL
from booking.allocator.resources import Resources
from booking.allocator.timeline import Segment
from booking.api import showing
from booking.api.noun import needs
from booking.errors import BookingError, Conflict, Invalid, NotFound, Refused
from booking.pages import hours
from booking.pages.calendar.query import read_date
from booking.pages.frame import context, fragment, go, page, pages, somebody, wants_fragment
from booking.pages.live import Live
from booking.pages.words import cores, memory, plural
from booking.services import bookings, changes, listing, mine
from booking.services.context import Actor

_STEPS = (timedelta(hours=1), timedelta(hours=2), timedelta(hours=4), timedelta(days=1), timedelta(days=7))
_MOST_STEPS = 4
_MOST_HISTORY = 50


def live_of(actor: Actor, booking_id: str) -> Live:
    """The booking as it stands.

    :raises NotFound: if it is not the reader's to see.
    """
    ctx = context()
    seen = listing.booking(ctx, actor, booking_id)
    return Live(seen, ctx.clock.now(), ctx.settings, {})


def may_change(actor: Actor, live: Live) -> bool:
    return live.booking.account_id == actor.id or actor.acts_as_admin


def detail(actor: Actor, booking_id: str, status: int = 200, **more: Any) -> Response:
    """The page of a booking."""
    ctx = context()
    live = live_of(actor, booking_id)
    owner = may_change(actor, live)
    history = listing.history(ctx, actor, booking_id, listing.WantedEntries(limit=_MOST_HISTORY))
    values = {
        "actor": actor,
        "live": live,
        "booking": live.booking,
        "wall": live.wall,
        "owner": owner,
        "history": history,
        "reach": reach_of(actor, live) if owner else None,
        "ends": {r.id: hours.end_choice(live.wall.zone, r.end) for r in live.booking.reservations},
        "hours_of": lambda day: hours.ends(live.wall.zone, day),
        "final": FINAL,
        "refusal": None,
        "errors": {},
    }
    return page("bookings/detail.html", status, **{**values, **more})


def reach_of(actor: Actor, live: Live) -> dict[str, Any] | None:
    """How far the present reservation may be extended, in which steps, and why not further."""
    reservation = live.reservation
    if reservation.state in FINAL or reservation.state == "ending":
        return None
    far = mine.reach(context(), actor, live.booking.id, reservation.id)
    zone, longest = live.wall.zone, actor.limits.max_length
    most = far.until
    by_policy = longest is not None and later(zone, reservation.start, longest) < most
    if longest is not None:
        most = min(most, later(zone, reservation.start, longest))
    smallest = timedelta(days=1) if live.booking.pool.granularity == "day" else timedelta(0)
    ends = [_moved(zone, reservation.end, step) for step in _STEPS if step >= smallest]
    return {
        "until": far.until,
        "most": most,
        "lacks": _lacks(far.reason, live.booking.size.demand) if far.reason else [],
        "by_policy": by_policy,
        "ends": [end for end in ends if end <= most][:_MOST_STEPS],
    }


def _lacks(reason: Segment, demand: Resources) -> list[str]:
    """What there is too little of after the latest end."""
    found = []
    for available, needed, said in zip(reason.available, demand.vector(), _SAID, strict=True):
        if available < needed:
            found.append(f"{said(available)} (of {said(needed)} needed)")
    return found


_SAID: tuple[Callable[[int], str], ...] = (
    cores,
    memory,
    lambda n: plural(n, "GPU"),
    lambda n: f"{n} GiB of disk",
)


def _moved(zone: ZoneInfo, end: datetime, step: timedelta) -> datetime:
    """The end after a step: days are days of the wall clock."""
    if step < timedelta(days=1):
        return end + step
    return (end.astimezone(zone) + step).astimezone(UTC)


@pages.get("/bookings/<booking_id>")
@needs("bookings:read")
def one_booking(booking_id: str) -> Response:
    """How it stands, and what may be done with it."""
    return detail(somebody(), booking_id)


@pages.get("/bookings/<booking_id>/status")
@needs("bookings:read")
def booking_status(booking_id: str) -> Response:
    """The part that changes by itself; it asks again only while something moves."""
    actor = somebody()
    live = live_of(actor, booking_id)
    if not wants_fragment():
        return go(f"/bookings/{booking_id}")
    values = {"live": live, "booking": live.booking, "wall": live.wall, "owner": may_change(actor, live)}
    return fragment("bookings/_status.html", **values)


@pages.get("/bookings/<booking_id>/open/<name>")
@needs("bookings:read")
def open_door(booking_id: str, name: str) -> Response:
    """Lead to the notebook or the dashboard of the running cluster, with its token in the address.

    :raises NotFound: if there is nothing to open for this reader.
    """
    actor, ctx = somebody(), context()
    seen = listing.booking(ctx, actor, booking_id)
    live = Live(seen, ctx.clock.now(), ctx.settings, {})
    door = next((door for door in live.doors if door.name == name), None)
    if door is None or urlsplit(door.url).scheme not in ("http", "https"):
        raise NotFound("open door", name)
    tokens = showing.tokens_of(seen).get(live.reservation.id)
    if tokens is None:
        raise Conflict("The cluster does not answer at the moment; try again in a few seconds.")
    response = redirect(_with_token(door.url, tokens.get(name)), 303)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response  # type: ignore[return-value]


def _with_token(url: str, token: str | None) -> str:
    if not token:
        return url
    parts = urlsplit(url)
    query = f"{parts.query}&" if parts.query else ""
    return urlunsplit(parts._replace(query=query + urlencode({"token": token})))


@pages.post("/bookings/<booking_id>/end")
@needs("bookings:write")
def change_end(booking_id: str) -> Response:
    """Extend or shorten one reservation."""
    actor = somebody()
    live = live_of(actor, booking_id)
    reservation_id = request.form.get("reservation", "")
    try:
        end = _wanted_end(live)
        changes.change(context(), actor, booking_id, changes.Change(ends={reservation_id: end}), None)
    except Refused as refusal:
        return detail(actor, booking_id, 409, refusal=refusal)
    except Invalid as error:
        return detail(
            actor, booking_id, 422, errors={"end": [f for faults in error.errors.values() for f in faults]}
        )
    return go(f"/bookings/{booking_id}", f"It now ends {live.wall.until(end)}.")


def _wanted_end(live: Live) -> datetime:
    """The end that a button or the two fields name.

    :raises Invalid: if it is none.
    """
    if instant := request.form.get("end"):
        try:
            end = datetime.fromisoformat(instant)
        except ValueError:
            raise Invalid({"end": ["is not an instant"]}) from None
        if end.tzinfo is None:
            raise Invalid({"end": ["needs an offset from UTC"]})
        return end.astimezone(UTC)
    day = read_date("end", request.form.get("end_date"))
    if day is None:
        raise Invalid({"end": ["needs a date"]})
    found = hours.instant(live.wall.zone, day, request.form.get("end_hour") or hours.DAY_END)
    if found is None:
        raise Invalid({"end": ["that date has no such hour: the clocks change"]})
    return found


@pages.post("/bookings/<booking_id>/confirm")
@needs("bookings:write")
def confirm(booking_id: str) -> Response:
    """Turn a hold into a booking."""
    bookings.confirm(context(), somebody(), booking_id)
    return go(f"/bookings/{booking_id}", "Confirmed. It is yours.")


@pages.get("/bookings/<booking_id>/cancel")
@needs("bookings:read")
def ask_cancel(booking_id: str) -> Response:
    """Ask before it, and say what goes.

    :raises NotFound: if it is not the reader's to cancel.
    """
    actor = somebody()
    live = live_of(actor, booking_id)
    if not may_change(actor, live):
        raise NotFound("booking", booking_id)
    return page(
        "bookings/cancel.html", actor=actor, live=live, booking=live.booking, wall=live.wall, final=FINAL
    )


@pages.post("/bookings/<booking_id>/cancel")
@needs("bookings:write")
def cancel(booking_id: str) -> Response:
    """Cancel what has not begun, and end what is live."""
    bookings.cancel(context(), somebody(), booking_id)
    return go(f"/bookings/{booking_id}", "Cancelled. The rest of the time is free again.")


@pages.post("/bookings/<booking_id>/title")
@needs("bookings:write")
def change_title(booking_id: str) -> Response:
    """Give it another title."""
    title = " ".join(request.form.get("title", "").split())[:200]
    changes.change(context(), somebody(), booking_id, changes.Change(title=title), None)
    return go(f"/bookings/{booking_id}", "Saved.")


@pages.post("/bookings/<booking_id>/guests")
@needs("bookings:write")
def share(booking_id: str) -> Response:
    """Let a named person use the booking, or no longer."""
    actor = somebody()
    remove, name = request.form.get("remove"), request.form.get("name", "").strip()
    try:
        if not remove and not name:
            raise Invalid({"name": ["is needed"]})
        bookings.share(context(), actor, booking_id, remove or name, shared=not remove)
    except BookingError as error:
        if isinstance(error, NotFound) and error.code != "account.not_found":
            raise
        return detail(
            actor, booking_id, 422, errors={"guest": [f"nobody here has the name {name!r}"]}, guest=name
        )
    said = f"{remove} can no longer use it." if remove else f"{name} may use it too."
    return go(f"/bookings/{booking_id}", said)
