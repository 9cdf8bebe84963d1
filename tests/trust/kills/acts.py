"""What is asked of the web while it is killed: book, cancel, extend; each may be asked again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from booking.allocator.lifecycle import State
from booking.allocator.span import Span
from tests.trust.kills.place import PACKAGE, Place

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Ask:
    """One request, and what must be so once it was answered."""

    method: str
    path: str
    more: dict[str, Any]
    status: int
    """What says that it was done."""
    kept: Callable[[], list[str]]
    """What is not as it was answered, in sentences."""
    again: frozenset[int] = field(default_factory=frozenset)
    """What else may be answered when it is asked again and was done before."""


def book(place: Place, key: str) -> Ask:
    """The key is also the title: there must be one booking of that title."""
    span = _span()
    body = {
        "package": PACKAGE,
        "sharing": "reserved",
        "spans": [{"start": span.start.isoformat(), "end": span.end.isoformat()}],
        "title": key,
    }

    def kept() -> list[str]:
        found = place.titled(key)
        if len(found) != 1:
            return [f"{len(found)} bookings for the key {key}"]
        return _are(place, found[0], State.CONFIRMED, made=1)

    return Ask("POST", "/bookings", {"json": body, "headers": {"Idempotency-Key": key}}, 201, kept)


def cancel(place: Place, key: str) -> Ask:
    """Of a booking that has not begun."""
    booking = place.site.book(place.person, PACKAGE, _span())
    path = f"/bookings/{booking.id}"
    return Ask("DELETE", path, {}, 204, lambda: _are(place, booking.id, State.CANCELLED, made=1, cancelled=1))


def extend(place: Place, key: str) -> Ask:
    """By an hour; asked again it is out of date, as the revision says."""
    booking = place.site.book(place.person, PACKAGE, _span())
    (reservation,) = booking.reservations
    end = reservation.end + HOUR
    more = {"json": {"end": end.isoformat()}, "headers": {"If-Match": f'"{booking.revision}"'}}

    def kept() -> list[str]:
        found = _are(place, booking.id, State.CONFIRMED, made=1, extended=1)
        now = place.site.only(booking.id).end
        return found if now == end else [*found, f"{booking.id} ends at {now}, not at {end}"]

    path = f"/bookings/{booking.id}/reservations/{reservation.id}"
    return Ask("PATCH", path, more, 200, kept, frozenset({412}))


ACTS: dict[str, Callable[[Place, str], Ask]] = {"book": book, "cancel": cancel, "extend": extend}


def _span() -> Span:
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + 48 * HOUR
    return Span(start, start + 2 * HOUR)


def _are(
    place: Place, booking_id: str, state: State, *, made: int, cancelled: int = 0, extended: int = 0
) -> list[str]:
    """Whether a booking is in a state, and was brought there once."""
    wrong = [
        f"{booking_id} is {found}, not {state}" for found in place.site.states(booking_id) if found != state
    ]
    wanted = {
        "booking.made": made,
        "reservation.cancelled": cancelled,
        "reservation.extended": extended,
    }
    for action, times in wanted.items():
        found = place.told(booking_id, action)
        if found != times:
            wrong.append(f"{booking_id}: {action} {found} times, not {times}")
    return wrong
