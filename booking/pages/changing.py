"""What may be done with a booking: its end, its hold, its title, who may use it, and taking it back."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Response, request

from booking.allocator.lifecycle import FINAL
from booking.api.noun import needs
from booking.errors import BookingError, Invalid, NotFound, Refused, Stale
from booking.pages import hours
from booking.pages.booking import detail, live_of, may_change
from booking.pages.calendar.query import read_date
from booking.pages.frame import context, go, page, pages, somebody
from booking.pages.language import gettext
from booking.pages.live import Live
from booking.services import bookings, changes, mine


@pages.post("/bookings/<booking_id>/end")
@needs("bookings:write")
def change_end(booking_id: str) -> Response:
    """Extend one reservation, or shorten it once it has been asked whether that is meant."""
    actor = somebody()
    live = live_of(actor, booking_id)
    reservation = next(
        (r for r in live.booking.reservations if r.id == request.form.get("reservation")), None
    )
    if reservation is None or not may_change(actor, live):
        raise NotFound("reservation", request.form.get("reservation", ""))
    try:
        end = _wanted_end(live)
        asks = end < reservation.end and not request.form.get("sure")
        wanted = changes.Change(ends={reservation.id: end})
        changes.change(context(), actor, booking_id, wanted, None, dry_run=asks)
    except Refused as refusal:
        return detail(actor, booking_id, 409, refusal=refusal)
    except Invalid as error:
        return detail(
            actor, booking_id, 422, errors={"end": [f for faults in error.errors.values() for f in faults]}
        )
    if asks:
        back = mine.core_hours(live.booking, reservation.end - end)
        values = {"live": live, "booking": live.booking, "wall": live.wall, "reservation": reservation}
        return page("bookings/shorten.html", actor=actor, end=end, given_back=back, **values)
    return go(f"/bookings/{booking_id}", gettext("It now ends %(end)s.", end=live.wall.until(end)))


def _wanted_end(live: Live) -> datetime:
    """The end that a button or the two fields name.

    :raises Invalid: if it is none.
    """
    if instant := request.form.get("end"):
        try:
            end = datetime.fromisoformat(instant)
        except ValueError:
            raise Invalid({"end": [gettext("is not an instant")]}) from None
        if end.tzinfo is None:
            raise Invalid({"end": [gettext("needs an offset from UTC")]})
        return end.astimezone(UTC)
    day = read_date("end", request.form.get("end_date"))
    if day is None:
        raise Invalid({"end": [gettext("needs a date")]})
    found = hours.instant(live.wall.zone, day, request.form.get("end_hour") or hours.DAY_END)
    if found is None:
        raise Invalid({"end": [gettext("that date has no such hour: the clocks change")]})
    return found


@pages.post("/bookings/<booking_id>/confirm")
@needs("bookings:write")
def confirm(booking_id: str) -> Response:
    """Turn a hold into a booking."""
    bookings.confirm(context(), somebody(), booking_id)
    return go(f"/bookings/{booking_id}", gettext("Confirmed. It is yours."))


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
    values = {"live": live, "booking": live.booking, "wall": live.wall, "final": FINAL}
    return page(
        "bookings/cancel.html", actor=actor, given_back=mine.given_back(live.booking, live.now), **values
    )


@pages.post("/bookings/<booking_id>/cancel")
@needs("bookings:write")
def cancel(booking_id: str) -> Response:
    """Cancel what has not begun, and end what is live; an undo only if nothing has happened to it since."""
    revision = request.form.get("revision", type=int)
    try:
        bookings.cancel(context(), somebody(), booking_id, revision)
    except Stale:
        return go(
            f"/bookings/{booking_id}/cancel",
            gettext("It has changed meanwhile, and so it is asked first."),
            "fault",
        )
    if revision is not None:
        return go(f"/bookings/{booking_id}", gettext("Undone. All of its time is free again."))
    return go(f"/bookings/{booking_id}", gettext("Cancelled. The rest of the time is free again."))


@pages.post("/bookings/<booking_id>/title")
@needs("bookings:write")
def change_title(booking_id: str) -> Response:
    """Give it another title."""
    title = " ".join(request.form.get("title", "").split())[:200]
    changes.change(context(), somebody(), booking_id, changes.Change(title=title), None)
    return go(f"/bookings/{booking_id}", gettext("Saved."))


@pages.post("/bookings/<booking_id>/guests")
@needs("bookings:write")
def share(booking_id: str) -> Response:
    """Let a named person use the booking, or no longer."""
    actor = somebody()
    remove, name = request.form.get("remove"), request.form.get("name", "").strip()
    try:
        if not remove and not name:
            raise Invalid({"name": [gettext("is needed")]})
        bookings.share(context(), actor, booking_id, remove or name, shared=not remove)
    except BookingError as error:
        if isinstance(error, NotFound) and error.code != "account.not_found":
            raise
        return detail(
            actor,
            booking_id,
            422,
            errors={"guest": [gettext("nobody here has the name %(name)r", name=name)]},
            guest=name,
        )
    may = gettext("%(name)s may use it too.", name=name)
    said = gettext("%(name)s can no longer use it.", name=remove) if remove else may
    return go(f"/bookings/{booking_id}", said)


@pages.post("/bookings/<booking_id>/group")
@needs("bookings:write")
def change_group(booking_id: str) -> Response:
    """Let a group of the owner use the booking, or no group."""
    actor, name = somebody(), "" if request.form.get("remove") else request.form.get("group", "").strip()
    try:
        changes.change(context(), actor, booking_id, changes.Change(group=name), None)
    except Invalid as error:
        return detail(actor, booking_id, 422, errors=error.errors)
    may = gettext("Everybody in %(name)s may use it too.", name=name)
    said = may if name else gettext("No group may use it.")
    return go(f"/bookings/{booking_id}", said)
