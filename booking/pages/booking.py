"""The page of one booking: how it stands, and what may be done with it."""

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
from booking.errors import Conflict, NotFound
from booking.pages import hours
from booking.pages.frame import context, fragment, go, page, pages, somebody, wants_fragment
from booking.pages.language import gettext
from booking.pages.live import Live
from booking.pages.words import cores, gpus, memory
from booking.services import groups, listing, mine
from booking.services.context import Actor

_STEPS = (timedelta(hours=1), timedelta(hours=2), timedelta(hours=4), timedelta(days=1), timedelta(days=7))
_MOST_STEPS = 4
_MOST_HISTORY = 50
NOTEBOOK = "notebook"


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
        "opens": opens(),
        "groups": groups.offered(ctx, actor) if live.booking.account_id == actor.id else (),
        "refusal": None,
        "errors": {},
    }
    return page("bookings/detail.html", status, **{**values, **more})


def opens() -> bool:
    """Whether the page leads to the notebook by itself as soon as it is ready."""
    return request.args.get("open") == NOTEBOOK


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
            found.append(
                gettext("%(left)s (of %(needed)s needed)", left=said(available), needed=said(needed))
            )
    return found


_SAID: tuple[Callable[[int], str], ...] = (
    cores,
    memory,
    gpus,
    lambda n: gettext("%(count)s GiB of disk", count=n),
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
    response = fragment("bookings/_status.html", opens=opens(), **values)
    if opens() and any(door.name == NOTEBOOK for door in live.doors):
        response.headers["HX-Redirect"] = f"/bookings/{booking_id}/open/{NOTEBOOK}"
    return response


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
        raise Conflict(gettext("The cluster does not answer at the moment; try again in a few seconds."))
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
