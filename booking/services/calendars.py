"""What a calendar of people keeps of bookings: an entry for each reservation, also of those that are off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dateutil.relativedelta import relativedelta
from sqlalchemy import ColumnElement, func, literal, select
from sqlalchemy.orm import Session

from booking.allocator.lifecycle import State
from booking.allocator.span import floor_minute
from booking.models import Booking, Journal, Reservation
from booking.services.bookings import visible
from booking.services.context import Actor, Context
from booking.services.listing import expire_holds

MOST_ENTRIES = 500
"""So many a feed holds, the earliest first: each costs some milliseconds to write."""
_PAST = relativedelta(months=1)


@dataclass(frozen=True)
class Entry:
    """A reservation as it stands."""

    id: str
    booking_id: str
    title: str
    package: str
    state: State
    start: datetime
    end: datetime
    revision: int
    """Of the span; the state may change without it."""
    changed_at: datetime
    """When anything last happened to the booking."""


_CHANGED = (
    select(func.max(Journal.at))
    .where(Journal.subject == literal("booking:") + Booking.id)
    .correlate(Booking)
    .scalar_subquery()
)
_ENTRY = (
    Reservation.id,
    Reservation.booking_id,
    Booking.title,
    Booking.package_name,
    Reservation.state,
    Reservation.start,
    Reservation.end,
    Reservation.revision,
    func.coalesce(_CHANGED, Booking.created_at),
)


def _entries(session: Session, *conditions: ColumnElement[bool]) -> Sequence[Entry]:
    query = (
        select(*_ENTRY)
        .join(Booking, Booking.id == Reservation.booking_id)
        .where(*conditions)
        .order_by(Reservation.start, Reservation.id)
        .limit(MOST_ENTRIES)
    )
    return [Entry(*row) for row in session.execute(query)]


def of_booking(ctx: Context, actor: Actor, booking_id: str) -> Sequence[Entry]:
    """The entries of one booking, in order of start.

    :raises NotFound: if it is not the reader's to see.
    """
    actor.require("bookings:read")
    expire_holds(ctx)

    def read(session: Session) -> Sequence[Entry]:
        visible(session, actor, booking_id)
        return _entries(session, Booking.id == booking_id)

    return ctx.db.read("calendar of a booking", read)


def of_account(ctx: Context, account_id: str) -> Sequence[Entry]:
    """The entries of an account's own bookings from one month back on, in order of start."""
    expire_holds(ctx)
    since = floor_minute(ctx.clock.now() - _PAST)
    return ctx.db.read(
        "calendar of an account",
        lambda session: _entries(session, Booking.account_id == account_id, Reservation.end > since),
    )
